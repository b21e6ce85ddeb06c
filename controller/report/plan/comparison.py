"""Comparison of two day-ahead plans."""

from collections.abc import Callable

from controller.report.comparison import Amount, amounts_table, prosumers_table, run_names
from controller.report.plan.record import Record
from controller.report.primitives.amounts import number
from controller.report.primitives.markup import Markup, tag
from controller.report.primitives.summary import Summary


def plan_comparison(one: Record, other: Record) -> tuple[Markup, ...]:
    """Two day-ahead plans: costs in total and by prosumer, and results of the coordination."""
    a, b = one.summary, other.summary
    run_labels, currency = run_names(a, b), a.scenario.currency
    columns: dict[str, Callable[[tuple[float, float, float]], str]] = {
        f"cost ({currency})": lambda compared: number(compared[0]),
        f"compensation ({currency})": lambda compared: number(compared[1]),
        "curtailed (kWh)": lambda compared: number(compared[2], 2),
    }
    tables = (
        amounts_table(run_labels, _amounts(a), _amounts(b)),
        prosumers_table(run_labels, columns, _cost_columns(a), _cost_columns(b)),
    )
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


def _cost_columns(summary: Summary) -> dict[str, tuple[float, float, float]]:
    """Cost, compensation and curtailed energy by prosumer."""
    return {
        name: (compared.coordinated, compared.compensation, summary.curtailed_kwh[name])
        for name, compared in summary.cost_chf.items()
    }
