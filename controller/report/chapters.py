"""The chapters of a report: a heading, a table or figure, and how to read it."""

from collections.abc import Iterator
from shlex import quote

from matplotlib.figure import Figure

from controller.report import svg
from controller.report.amounts import magnitude, number
from controller.report.cast import Cast
from controller.report.figures import convergence_figure, day_figure, exchange_figure, extremes_figure
from controller.report.markup import Markup, tag
from controller.report.record import Day, Record
from controller.report.tables import cost_table, excursion_table
from controller.report.times import changes

PAPER = """Formulation and Experimental Validation of Price-Based Control of Flexible Prosumers in Distribution Grids
    with ADMM"""


def chapters(record: Record) -> Iterator[Markup]:
    """Everything below the header."""
    cast = Cast(record)
    yield _costs(record)
    yield _excursions(record)
    yield _selfish_day(cast)
    if record.coordinated is not None:
        yield _coordinated_day(cast, record.coordinated)
    yield _extremes(record)
    yield _exchange(cast)
    if len(record.iterations):
        yield _convergence(record)
    yield _origin(record)


def _costs(record: Record) -> Markup:
    text = "Cost under the retail tariff; negative amounts are earned."
    if record.coordinated is None:
        return chapter("What the day costs", cost_table(record), note(text))
    more = """ Compensation (16) is what the grid operator owes a prosumer so that following the prices costs nothing
        against the prosumer’s own optimum. The fee (15) is the part of the advertised price that does not depend on
        the demand. Counterpart of table 3 of the paper."""
    return chapter("What coordination costs", cost_table(record), note(text + more))


def _excursions(record: Record) -> Markup:
    ac, tolerance = record.summary.ac, record.summary.scenario.violation_tol_pu
    day = "coordinated" if record.coordinated else "uncoordinated"
    text = f"""Listed is what leaves its limit by more than the tolerance of {tolerance:g} p.u. in the AC power flow,
        worst first; 1 % of the rating of a power or current counts as 0.001 p.u. On the {day} day, voltages are off
        limits by at most {magnitude(ac.violation_max_pu)} p.u., the upper grid by
        {number(ac.slack_p_violation_kw, 2)} kW and {number(ac.slack_q_violation_kvar, 2)} kvar, lines by
        {number(ac.line_overload_a, 1)} A."""
    return chapter("What left its limits, and when", excursion_table(record), note(text))


def _selfish_day(cast: Cast) -> Markup:
    text = """Each prosumer minimises its own bill: batteries buy when the tariff is low and sell when it is high, all
        at the same time, and no PV is curtailed that earns something. Where voltages enter the tinted areas, the grid
        pays for it. Counterpart of figure 3 of the paper."""
    figure = day_figure(cast, cast.record.uncoordinated)
    return drawn("The day without coordination", figure, "uncoordinated", text + cast_note(cast))


def _coordinated_day(cast: Cast, day: Day) -> Markup:
    text = """The price is what one more kWh costs a prosumer under the signal. It follows the tariff (black) where no
        limit binds. A lower price asks for consumption against high voltages, a higher one for less of it; it is zero
        where PV is curtailed (shaded), since more of it is worth nothing. Batteries wait for the hours in which the
        grid needs them. Scales are those of the figure before. Counterpart of figure 4 of the paper."""
    return drawn("The day with coordination", day_figure(cast, day), "coordinated", text + cast_note(cast))


def _extremes(record: Record) -> Markup:
    text = """For every node the range of its voltage over the day, for every line its largest current. What reaches
        beyond the dashed lines is a violation. Voltages move most far from the upper grid, currents are largest near
        it."""
    return drawn("Nodes and lines at their worst", extremes_figure(record), "extremes", text)


def _exchange(cast: Cast) -> Markup:
    text = """What the upper grid delivers: power above zero is imported, below zero exported. Reactive power is free
        under the tariff, so that batteries support the voltage with it first, as far as their converters and the power
        factor at the upper grid allow; without coordination they have no reason to."""
    return drawn("The upper grid and reactive power", exchange_figure(cast), "exchange", text)


def _convergence(record: Record) -> Markup:
    text = """All axes are logarithmic. Residuals tell how far prosumers and grid operator disagree (primal) and still
        move (dual), for the prosumer with the largest. The gap compares the cost with a proven lower bound, where one
        was asked for; it can be negative (hollow) while limits are violated. The coordination ends when gap and
        violation are below their tolerances; the linearisation is renewed until its error does not matter. ▽ marks
        zeros. Counterpart of figure 5 of the paper."""
    return drawn("How the coordination converged", convergence_figure(record), "convergence", text)


def _origin(record: Record) -> Markup:
    summary, scenario = record.summary, record.summary.scenario
    facts = {
        "configuration": f"SHA-256 {summary.config_sha256} of the configuration with all series that it names",
        "version": f"gridlab {summary.version}",
        "computed": summary.created_at.isoformat(),
        "seed": "none, nothing is random" if summary.seed is None else str(summary.seed),
        "tolerances": f"gap {scenario.gap_tol:g}, violation {scenario.violation_tol_pu:g} p.u.",
        "the paper": PAPER,
    }
    items = [part for name, value in facts.items() for part in (tag("dt", name), tag("dd", value))]
    options = "--uncoordinated"
    if summary.coordinated:
        caps = f"--max-iterations {scenario.max_iterations} --budget-s {scenario.budget_s:g}"
        options = f"--splitting {scenario.splitting} {caps}"
    command = f"gridlab {summary.command} {quote(summary.config)} {options}"
    return chapter("How to reproduce it", tag("pre", command), tag("dl", *items, class_="origin"))


def note(text: str) -> Markup:
    """How to read what stands above it."""
    return tag("p", text, class_="note")


def drawn(title: str, figure: Figure, key: str, reading: str) -> Markup:
    """A chapter that consists of a figure; ``key`` tells it from others of the page."""
    shown = drawing(figure, key, title)
    return tag("section", tag("h2", title), shown, tag("p", reading, class_="reading"), class_="drawn")


def drawing(figure: Figure, key: str, title: str) -> Markup:
    """The figure alone."""
    return tag("figure", Markup(svg.inline(figure, key, title)))


def chapter(title: str, *content: Markup) -> Markup:
    """A heading and what belongs to it."""
    return tag("section", tag("h2", title), *content)


def cast_note(cast: Cast) -> str:
    """Who is drawn, and how the time axis runs, where that is not plain."""
    notes = []
    if cast.crowd:
        notes.append(
            f"Of {len(cast.prosumers)} prosumers, lines show the {len(cast.shown)} with the largest compensation, "
            "curtailment and voltage; bands show all."
        )
    notes.append("A node has the colour of its prosumer.")
    if changes(cast.record.axis):
        notes.append("The clocks change on this day; the axis counts elapsed time.")
    if cast.record.result.v_pu.isna().any(axis=None) or cast.record.uncoordinated.v_pu.isna().any(axis=None):
        notes.append("Where a voltage is missing the power flow has no solution: the grid would collapse.")
    return " " + " ".join(notes)
