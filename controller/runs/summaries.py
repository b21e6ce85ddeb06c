"""Keys of summary.json about plan and configuration of a run, and the tables of plan and prices."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from controller.runs import tables
from controller.runs.directory import write_table
from core.config import Config
from mpc.day_ahead import AgreedDay, DayAhead

UNCOORDINATED = "uncoordinated"
"""Status of a plan without coordination."""


def day_summary(day: DayAhead) -> dict[str, Any]:
    """The keys of summary.json that describe a planned day."""
    outcome, bills = day.outcome if isinstance(day, AgreedDay) else None, day.bills
    return {
        "status": str(outcome.status) if outcome else UNCOORDINATED,
        "iterations": len(outcome.iterations) if outcome else 0,
        "relinearisations": outcome.relinearisations if outcome else 0,
        "cost_chf": {
            name: {
                "uncoordinated": bill.uncoordinated_chf,
                "coordinated": bill.coordinated_chf,
                "compensation": bill.compensation_chf,
            }
            for name, bill in bills.items()
        },
        "total_cost_chf": {
            "uncoordinated": sum(bill.uncoordinated_chf for bill in bills.values()),
            "coordinated": sum(bill.coordinated_chf for bill in bills.values()),
        },
        "own_cost_chf": {
            name: {"uncoordinated": bill.uncoordinated_own_chf, "coordinated": bill.coordinated_own_chf}
            for name, bill in bills.items()
        },
        **_amounts(day),
        "fee_chf": {name: agreement.signal.fee_chf for name, agreement in day.plan.agreements.items()},
        "lower_bound_chf": outcome.lower_bound_chf if outcome else None,
        "gap_rel": outcome.gap_rel if outcome else None,
        "relaxation_gap_rel": outcome.relaxation_gap_rel if outcome else None,
        "unheld": {
            "violation_pu": outcome.unheld_pu if outcome else 0.0,
            "cost_chf": outcome.unheld_chf if outcome else 0.0,
        },
        "ac": _power_flow(day),
        "simultaneous_kw": {name: plan.simultaneous_kw for name, plan in day.plan.prosumers.items()},
    }


def _amounts(day: DayAhead) -> dict[str, dict[str, float]]:
    """Energies of the day by prosumer, kWh: curtailed, charged and discharged, lost in converters."""
    dt_h, plans = day.problem.axis.dt_h, day.plan.prosumers
    series = {
        "curtailed_kwh": {name: plan.pv_available_kw - plan.pv_kw for name, plan in plans.items()},
        "throughput_kwh": {name: np.abs(plan.battery_kw) for name, plan in plans.items()},
        "loss_kwh": {name: plan.loss_kw for name, plan in plans.items()},
    }
    return {key: {name: float(kw.sum()) * dt_h for name, kw in each.items()} for key, each in series.items()}


def _power_flow(day: DayAhead) -> dict[str, float]:
    """Extreme voltages (p.u.) of the plan where it has a power flow, and violations of the limits, by AC power flow."""
    v_pu, violation = np.abs(day.flow.v[day.flow.solved]), day.violation
    return {
        "v_min_pu": float(v_pu.min()),
        "v_max_pu": float(v_pu.max()),
        "violation_max_pu": violation.v_pu,
        "slack_q_violation_kvar": violation.slack_q_kvar,
        "slack_p_violation_kw": violation.slack_p_kw,
        "line_overload_a": violation.line_a,
    }


def config_summary(config: Config) -> dict[str, Any]:
    """The keys of summary.json that repeat the configuration."""
    limits, lines = config.limits, config.grid.network().lines
    return {
        "date": config.horizon.date.isoformat(),
        "timezone": config.horizon.timezone,
        "step_min": config.horizon.step_min,
        "currency": config.currency,
        "feed_in": config.tariff.feed_in is not None,
        "slack": config.grid.slack,
        "v_min_pu": limits.v_min_pu,
        "v_max_pu": limits.v_max_pu,
        "slack_s_max_kva": limits.slack_s_max_kva,
        "slack_pf_min": limits.slack_pf_min,
        "line_i_max_a": {line.name: line.i_max_a for line in lines if line.i_max_a is not None},
        "splitting": config.coordination.splitting,
        "gap_tol": config.coordination.gap_tol,
        "violation_tol_pu": config.coordination.violation_tol_pu,
        "max_iterations": config.coordination.max_iterations,
        "telemetry": str(config.telemetry.sqlite),
        "budget_s": config.coordination.budget_s,
        "nodes": {prosumer.name: prosumer.node for prosumer in config.prosumers},
        **_aggregators(config),
        **_teams(config),
    }


def _aggregators(config: Config) -> dict[str, Any]:
    """The aggregators by name, where there are any."""
    found = {each.name: each.model_dump(mode="json", exclude={"name"}) for each in config.hierarchy}
    return {"aggregators": found} if found else {}


def _teams(config: Config) -> dict[str, Any]:
    """The converters of prosumers that have several, where there are any."""
    found = {prosumer: list(names) for prosumer, names in config.converters_of.items() if len(names) > 1}
    return {"teams": found} if found else {}


def plan_tables(day: DayAhead) -> dict[str, pd.DataFrame]:
    """The tables of plan and prices, by the name of their file; ``resources`` only where ``plan`` lacks something,
    ``aggregators`` only where there are any.
    """
    resources = tables.resources_frame(day.plan)
    more = {"resources": resources} if len(resources) else {}
    if day.problem.feeders:
        more["aggregators"] = tables.aggregators_frame(day)
    return {"plan": tables.plan_frame(day.plan, day.problem.tariff), **more, "prices": tables.prices_frame(day)}


def write_plan(folder: Path, day: DayAhead) -> None:
    """Write the tables of plan and prices into a run folder."""
    for name, frame in plan_tables(day).items():
        write_table(folder / f"{name}.csv", frame)


def rounds_table(day: DayAhead) -> pd.DataFrame:
    """The coordination rounds; no rows without coordination."""
    return tables.iterations_frame(day.outcome.iterations if isinstance(day, AgreedDay) else ())


def write_rounds(folder: Path, day: DayAhead) -> None:
    """Write the coordination rounds as iterations.csv; it has no rows without coordination."""
    write_table(folder / "iterations.csv", rounds_table(day))
