"""Checks of a planner's answer, and the record of an MPC run."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from controller.planner.answer import Answer
from controller.planner.planner import PlannerError
from controller.record.records import MpcRecord
from controller.runs.summaries import UNCOORDINATED
from controller.service.days import Day
from mpc.intra_day import RunningPlan

FAILED = "failed"
ABSURD = 2.0
"""Largest power that a plan may ask of a converter, as a multiple of its rating."""


def check_ratings(running: RunningPlan, rated_kva: Mapping[str, float]) -> None:
    """Refuse a plan that no converter could come near.

    Args:
        rated_kva: by prosumer; a prosumer without an entry has no converter and no rating.

    Raises:
        PlannerError: a prosumer's plan lies beyond :data:`ABSURD` times its rating, or is not a number.
    """
    for name, plan in running.plan.prosumers.items():
        largest_kva = float(np.max(np.hypot(plan.p_kw, plan.q_kvar)))
        allowed_kva = rated_kva.get(name, float("inf"))
        if not largest_kva <= ABSURD * allowed_kva:
            raise PlannerError(f"planner: {name}: {largest_kva:g} kVA, its converter has {allowed_kva:g} kVA")


def plan_id(kind: str, at: datetime, day: Day) -> str:
    """The name of a plan: its kind, and the local time at which it was requested."""
    zone = ZoneInfo(day.forecast.axis.timezone)
    return f"{kind} {at.astimezone(zone).isoformat(timespec='seconds')}"


def record(at: datetime, answer: Answer, wall_ms: float, budget_ms: float) -> MpcRecord:
    """The record of an MPC run that returned a plan."""
    report = answer.report
    return MpcRecord(
        time=at,
        status=report.status if report else UNCOORDINATED,
        iterations=report.iterations if report else 0,
        wall_ms=wall_ms,
        gap_rel=report.gap_rel if report else None,
        violation_pu=report.violation_pu if report else None,
        primal=report.primal if report else None,
        dual=report.dual if report else None,
        budget_ms=budget_ms,
        adopted=answer.running.adopted,
    )


def failed(at: datetime, wall_ms: float, budget_ms: float) -> MpcRecord:
    """The record of an MPC run that returned none."""
    return MpcRecord(at, FAILED, 0, wall_ms, None, None, None, None, budget_ms, adopted=False)
