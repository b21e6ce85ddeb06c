"""Comparison of two runs."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from controller.report.primitives.amounts import UNKNOWN, number, signed
from controller.report.primitives.markup import Markup, row, table, tag

Amount = tuple[str, float | None, int]
"""Label, value, decimals."""
T = TypeVar("T")


class Compared(Protocol):
    """The properties by which two runs are distinguished."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def seed(self) -> int | None: ...  # noqa: D102


def run_names(one: Compared, other: Compared) -> tuple[str, str]:
    """Names of the two runs: by their kind, else by their seed, else by their position."""
    if one.kind != other.kind:
        return one.kind, other.kind
    if one.seed != other.seed:
        return f"{one.kind}, seed {one.seed}", f"{other.kind}, seed {other.seed}"
    return "this run", "the other run"


def amounts_table(run_labels: tuple[str, str], one: Iterable[Amount], other: Iterable[Amount]) -> Markup:
    """The same amounts of both runs, and their differences."""
    rows = [
        row(
            "td",
            what,
            _number_or_unknown(value, digits),
            _number_or_unknown(second, digits),
            _difference(value, second, digits),
        )
        for (what, value, digits), (_, second, _) in zip(one, other, strict=True)
    ]
    return table([row("th", "", *run_labels, "difference")], rows)


def prosumers_table(
    run_labels: tuple[str, str],
    columns: Mapping[str, Callable[[T], str]],
    one: Mapping[str, T],
    other: Mapping[str, T],
) -> Markup:
    """``columns`` of both runs for each prosumer of the first."""
    groups = tag("tr", tag("th", ""), *(tag("th", name, colspan="2") for name in columns))
    pairs = [(name, (mine, other.get(name))) for name, mine in one.items()]
    rows = [
        row("td", name, *(UNKNOWN if x is None else cell(x) for cell in columns.values() for x in pair))
        for name, pair in pairs
    ]
    return table([groups, row("th", "prosumer", *run_labels * len(columns))], rows)


def _number_or_unknown(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None else number(value, digits)


def _difference(one: float | None, other: float | None, digits: int) -> str:
    return UNKNOWN if one is None or other is None else signed(other - one, digits)
