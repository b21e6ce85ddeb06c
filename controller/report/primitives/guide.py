"""Where to find the counterparts of paper A's figures: on this page, or by which command."""

from collections.abc import Mapping
from shlex import quote

from controller.report.primitives.markup import Markup, row, table, tag

PAPER = """Formulation and Experimental Validation of Price-Based Control of Flexible Prosumers in Distribution Grids
    with ADMM"""
CONTENT = {
    "figure 3": "the day without coordination",
    "figure 4": "the day with coordination, with its prices",
    "figure 5": "convergence of the coordination",
    "figure 6": "residuals over a constant penalty",
    "figure 7": "cost and violation over the penalty in the price signal",
    "figure 8": "the run in closed loop",
    "table 3": "what coordination costs whom",
}
COMMANDS = {
    "figure 6": "study rho {}",
    "figure 7": "study price-response {}",
    "figure 8": "simulate {} --start 10:00 --end 19:00",
}


def guide(here: Mapping[str, str], config: str) -> tuple[Markup, ...]:
    """A table of the paper's figures.

    Args:
        here: figure of the paper → id of a chapter of this page.
        config: path of the configuration, as commands use it.
    """
    rows = [
        row("td", paper.capitalize(), shown, tag("td", _place(paper, here.get(paper), config), class_="prose"))
        for paper, shown in CONTENT.items()
    ]
    words = tag("p", "The paper: ", tag("cite", PAPER), ".", class_="note")
    return tag("div", table([row("th", "there", "what it shows", "here")], rows), class_="words"), words


def _place(paper: str, anchor: str | None, config: str) -> Markup:
    if anchor is not None:
        return tag("a", "on this page", href=f"#{anchor}")
    return tag("code", f"gridlab {COMMANDS.get(paper, 'plan {}').format(quote(config))}")
