"""Two runs side by side."""

from collections.abc import Callable

from controller.report.amounts import number
from controller.report.loop.record import LoopRecord
from controller.report.loop.summary import LoopSummary
from controller.report.loop.tables import UNKNOWN, charge, signed
from controller.report.markup import Markup, row, table, tag
from controller.simulation.settlement import Account

Cell = Callable[[Account], str]


def names(one: LoopSummary, other: LoopSummary) -> tuple[str, str]:
    """What tells the two runs apart: their kind, else their seed, else nothing but their place."""
    if one.kind != other.kind:
        return one.kind, other.kind
    if one.seed != other.seed:
        return f"{one.kind}, seed {one.seed}", f"{other.kind}, seed {other.seed}"
    return "this run", "the other run"


def comparison_table(one: LoopRecord, other: LoopRecord) -> Markup:
    """What both runs cost, what they kept, and where their batteries stood at the end."""
    a, b = one.summary, other.summary
    both = zip(_amounts(a), _amounts(b), strict=True)
    rows = [
        row("td", what, number(value, digits), number(second, digits), signed(second - value, digits))
        for (what, value, digits), (_, second, _) in both
    ]
    return table([row("th", "", *names(a, b), "difference")], rows)


def prosumer_table(one: LoopRecord, other: LoopRecord) -> Markup:
    """Both runs for each prosumer of the first: cost, curtailed energy, final charge."""
    a, b = one.summary, other.summary
    columns: dict[str, Cell] = {
        f"real cost ({a.scenario.currency})": lambda account: number(account.real_chf),
        "curtailed (kWh)": lambda account: number(account.curtailed_kwh, 2),
        "final charge (%)": lambda account: charge(account.soc_final),
    }
    groups = tag("tr", tag("th", ""), *(tag("th", name, colspan="2") for name in columns))
    accounts = [(name, (account, b.settlement.get(name))) for name, account in a.settlement.items()]
    rows = [
        row("td", name, *(UNKNOWN if x is None else cell(x) for cell in columns.values() for x in pair))
        for name, pair in accounts
    ]
    return table([groups, row("th", "prosumer", *names(a, b) * len(columns))], rows)


def _amounts(summary: LoopSummary) -> tuple[tuple[str, float, int], ...]:
    """(what, value, decimals)."""
    currency, measured, accounts = summary.scenario.currency, summary.measured, summary.settlement.values()
    cost, stored = summary.total_cost_chf, sum(account.stored_chf for account in accounts)
    return (
        (f"real cost ({currency})", cost.coordinated, 3),
        (f"worth of what is stored at the end ({currency})", stored, 3),
        (f"real cost less that worth ({currency})", cost.coordinated - stored, 3),
        (f"compensation, in hindsight ({currency})", cost.difference, 3),
        (f"compensation promised day-ahead ({currency})", sum(account.promised_chf for account in accounts), 3),
        ("PV curtailed (kWh)", sum(summary.curtailed_kwh.values()), 2),
        ("10-min means outside", measured.outside_10min, 0),
        ("intervals with any node outside", measured.any_node_10min, 0),
        ("30 s samples outside", measured.outside, 0),
        ("worst 10-min mean beyond (p.u.)", measured.worst_mean_pu, 4),
        ("worst 30 s sample beyond (p.u.)", measured.worst_pu, 4),
        ("MPC runs converged", summary.mpc.converged, 0),
    )
