"""Two runs side by side."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from controller.report.plan.record import Record
from controller.report.primitives.amounts import UNKNOWN, number, signed
from controller.report.primitives.markup import Markup, row, table, tag
from controller.report.primitives.summary import Summary

Amount = tuple[str, float | None, int]
"""What it is, how much, decimals."""
T = TypeVar("T")


class Compared(Protocol):
    """What tells a run from another."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def seed(self) -> int | None: ...  # noqa: D102


def names(one: Compared, other: Compared) -> tuple[str, str]:
    """What tells the two runs apart: their kind, else their seed, else nothing but their place."""
    if one.kind != other.kind:
        return one.kind, other.kind
    if one.seed != other.seed:
        return f"{one.kind}, seed {one.seed}", f"{other.kind}, seed {other.seed}"
    return "this run", "the other run"


def amounts_table(called: tuple[str, str], one: Iterable[Amount], other: Iterable[Amount]) -> Markup:
    """The same amounts of both runs, and their differences."""
    rows = [
        row("td", what, _known(value, digits), _known(second, digits), _difference(value, second, digits))
        for (what, value, digits), (_, second, _) in zip(one, other, strict=True)
    ]
    return table([row("th", "", *called, "difference")], rows)


def prosumers_table(
    called: tuple[str, str],
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
    return table([groups, row("th", "prosumer", *called * len(columns))], rows)


def plan_comparison(one: Record, other: Record) -> tuple[Markup, ...]:
    """Two day-ahead plans: what they cost, whom, and how they were found."""
    a, b = one.summary, other.summary
    called, currency = names(a, b), a.scenario.currency
    columns: dict[str, Callable[[tuple[float, float, float]], str]] = {
        f"cost ({currency})": lambda compared: number(compared[0]),
        f"compensation ({currency})": lambda compared: number(compared[1]),
        "curtailed (kWh)": lambda compared: number(compared[2], 2),
    }
    tables = amounts_table(called, _amounts(a), _amounts(b)), prosumers_table(called, columns, _whom(a), _whom(b))
    text = "Costs are under the retail tariff of each; negative amounts are earned."
    if a.config_sha256 != b.config_sha256:
        text += " The two configurations differ."
    return *tables, tag("p", text, class_="note")


def _amounts(summary: Summary) -> tuple[Amount, ...]:
    currency, ac, cost = summary.scenario.currency, summary.ac, summary.total_cost_chf
    return (
        (f"cost of the day ({currency})", cost.coordinated, 3),
        (f"cost without coordination ({currency})", cost.uncoordinated, 3),
        (f"compensation ({currency})", sum(compared.compensation for compared in summary.cost_chf.values()), 3),
        ("PV curtailed (kWh)", sum(summary.curtailed_kwh.values()), 2),
        ("certified gap", summary.gap_rel, 5),
        ("rounds", summary.iterations, 0),
        ("wall clock (s)", summary.wall_s, 2),
        ("lowest voltage (p.u.)", ac.v_min_pu, 4),
        ("highest voltage (p.u.)", ac.v_max_pu, 4),
        ("voltages off limits by (p.u.)", ac.violation_max_pu, 5),
        ("reactive power off limits by (kvar)", ac.slack_q_violation_kvar, 3),
    )


def _whom(summary: Summary) -> dict[str, tuple[float, float, float]]:
    """Cost, compensation, curtailed energy."""
    return {
        name: (compared.coordinated, compared.compensation, summary.curtailed_kwh[name])
        for name, compared in summary.cost_chf.items()
    }


def _known(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None else number(value, digits)


def _difference(one: float | None, other: float | None, digits: int) -> str:
    return UNKNOWN if one is None or other is None else signed(other - one, digits)
