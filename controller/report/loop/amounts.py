"""The amounts by which two closed-loop runs are compared."""

from collections.abc import Callable, Mapping

from controller.accounts.settlement import Account
from controller.report.comparison import Amount
from controller.report.loop.summary import LoopSummary
from controller.report.loop.tables import charge
from controller.report.primitives.amounts import number


def amounts(summary: LoopSummary) -> tuple[Amount, ...]:
    """Costs, compliance with limits, and final state of the batteries of a run."""
    currency, measured, accounts = summary.scenario.currency, summary.measured, summary.settlement.values()
    cost, stored = summary.total_cost_chf, sum(account.stored_chf for account in accounts)
    return (
        (f"cost as measured ({currency})", cost.coordinated, 3),
        (f"worth of what is stored at the end ({currency})", stored, 3),
        (f"cost less that worth ({currency})", cost.coordinated - stored, 3),
        (f"compensation, in hindsight ({currency})", summary.compensation_chf, 3),
        (f"compensation promised day-ahead ({currency})", sum(account.promised_chf for account in accounts), 3),
        ("PV curtailed (kWh)", sum(summary.curtailed_kwh.values()), 2),
        ("10-min means outside", measured.outside_10min, 0),
        ("intervals with any node outside", measured.any_node_10min, 0),
        ("30 s samples outside", measured.outside, 0),
        ("worst 10-min mean beyond (p.u.)", measured.worst_mean_pu, 4),
        ("worst 30 s sample beyond (p.u.)", measured.worst_pu, 4),
        ("MPC runs converged", summary.mpc.converged, 0),
    )


def account_columns(currency: str) -> Mapping[str, Callable[[Account], str]]:
    """Columns of the comparison of prosumers' accounts."""
    return {
        f"cost as measured ({currency})": lambda account: number(account.real_chf),
        "curtailed (kWh)": lambda account: number(account.curtailed_kwh, 2),
        "final charge (%)": lambda account: charge(account.soc_final),
    }
