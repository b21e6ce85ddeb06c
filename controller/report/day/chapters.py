"""The chapters that plans and closed loops share, with the texts that explain the figures of a planned day."""

import pandas as pd

from controller.report.day.figures import convergence_figure
from controller.report.primitives.chapter import figure_chapter
from controller.report.primitives.markup import Markup
from controller.report.primitives.summary import RunSummary, ScenarioSummary

CONVERGED = "How the coordination converged"
COSTS = "costs"
"""Id of the chapter that corresponds to table 3."""


def selfish(scenario: ScenarioSummary) -> str:
    """How to read the day of prosumers that nobody coordinates."""
    batteries = """batteries store what would earn little and serve the load when the tariff is high"""
    if not scenario.feed_in:
        batteries = "batteries buy when the tariff is low and sell when it is high"
    return f"""Each prosumer minimises its own bill: {batteries}, all at the same time, and no PV is curtailed that
        earns something."""


def coordinated(scenario: ScenarioSummary) -> str:
    """How to read the prices of a coordinated day, and what they bring about."""
    curtailed = "it is zero where PV is curtailed (shaded), since more of it is worth nothing."
    if scenario.feed_in:
        curtailed = "PV is curtailed (shaded) where selling is worth nothing."
    return f"""The price is what one more kWh costs a prosumer under the signal. {price_of_a_kwh(scenario)} A lower
        price asks for consumption against high voltages, a higher one for less of it; {curtailed} Batteries wait for
        the hours in which the grid needs them."""


def price_of_a_kwh(scenario: ScenarioSummary) -> str:
    """What a marginal price is where no limit binds."""
    if not scenario.feed_in:
        return "It follows the tariff where no limit binds."
    return """Drawn is the marginal price of buying, which follows the tariff where no limit binds. That of selling is
        lower by the difference of tariff and feed-in, and follows the feed-in."""


def convergence(scenario: ScenarioSummary, iterations: pd.DataFrame, key: str, title: str) -> Markup:
    """The chapter on the convergence of the day-ahead coordination."""
    text = """All axes are logarithmic. Residuals tell how far prosumers and grid operator disagree (primal) and still
        move (dual), for the prosumer with the largest. The gap compares the cost with a proven lower bound, where one
        was asked for; it can be negative (hollow) while limits are violated. The coordination ends when gap and
        violation are below their tolerances; the linearisation is renewed until its error does not matter. ▽ marks
        zeros. Counterpart of figure 5 of the paper."""
    return figure_chapter(title, convergence_figure(scenario, iterations), key, text)


def facts(summary: RunSummary, computed: str) -> dict[str, str]:
    """Everything that the result of a run depends on."""
    return {
        "configuration": f"SHA-256 {summary.config_sha256} of the configuration with all series that it names",
        "version": f"gridlab {summary.version}",
        "computed": computed,
        "seed": "none, nothing is random" if summary.seed is None else str(summary.seed),
    }
