"""The plans in force: that of the last MPC run, behind it the day-ahead plan, and tomorrow's once it is computed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from controller.service.days import Day
from mpc.intra_day import RunningPlan
from realtime.fallback import Source
from realtime.node import AgedTarget, PlanTargets
from realtime.tracker import Target


@dataclass(frozen=True)
class DatedPlan:
    """A plan for ``day``; ``made_s`` is the monotonic time at which it was requested."""

    day: Day
    running: RunningPlan
    made_s: float
    plan_id: str

    def offer(self, prosumer: str, at: datetime, at_s: float) -> AgedTarget | None:
        """The plan's present target for a prosumer, its age and voltage slope; None if it has none."""
        plan = self.running.plan
        own, agreement = plan.prosumers.get(prosumer), plan.agreements.get(prosumer)
        if own is None or not self.reaches(at):
            return None
        slope = agreement.signal.slope if agreement else None
        return AgedTarget(Target.of(own, self.running.row(self.day.step_of(at))), at_s - self.made_s, slope)

    def soc_after(self, row: int) -> Mapping[str, float]:
        """States of charge at the end of a step, of prosumers with a battery; ``row`` counts from the plan's begin."""
        plans = self.running.plan.prosumers
        return {name: float(plan.soc[row]) for name, plan in plans.items() if plan.soc is not None}

    def reaches(self, at: datetime) -> bool:
        """Whether it has a step for ``at``; a wall clock that was set back may have left the plan."""
        return self.day.covers(at) and 0 <= self.day.step_of(at) - self.running.begins < len(self.running.v_pu)


@dataclass(frozen=True)
class Plans:
    """All plans; each may be missing."""

    intraday: DatedPlan | None = None
    day_ahead: DatedPlan | None = None
    tomorrow: DatedPlan | None = None

    def targets(self, prosumer: str, at: datetime, at_s: float) -> PlanTargets:
        """The present targets of both plans for a prosumer."""
        return PlanTargets(
            *(plan.offer(prosumer, at, at_s) if plan else None for plan in (self.intraday, self.day_ahead))
        )

    def plan_at(self, at: datetime) -> DatedPlan | None:
        """The newest plan with a step for ``at``, from which prices are read; None without one."""
        return next((plan for plan in (self.intraday, self.day_ahead) if plan and plan.reaches(at)), None)

    def age_s(self, at: datetime, at_s: float) -> float | None:
        """Age of the plan in force at ``at`` (monotonic ``at_s``), s; None without one."""
        current = self.plan_at(at)
        return None if current is None else at_s - current.made_s

    def soc_at(self, at: datetime) -> Mapping[str, float]:
        """States of charge of the plan in force at the begin of the step of ``at``, of prosumers with a battery.

        Empty without a plan, and in the first step of a plan.
        """
        current = self.plan_at(at)
        row = current.running.row(current.day.step_of(at)) if current else 0
        return current.soc_after(row - 1) if current and row > 0 else {}

    def soc_at_end(self) -> Mapping[str, float]:
        """States of charge at the end of today's plan, of prosumers with a battery; empty without a plan."""
        last = self.intraday or self.day_ahead
        return last.soc_after(-1) if last else {}

    def id_of(self, source: Source) -> str:
        """Name of the plan that the fallback ladder chose; empty without one."""
        plan = {Source.INTRADAY: self.intraday, Source.DAY_AHEAD: self.day_ahead}.get(source)
        return plan.plan_id if plan else ""

    def advanced_to(self, at: datetime) -> "Plans":
        """The plans at ``at``: without those of past days, and with tomorrow's as today's once its day has begun."""
        if self.tomorrow is not None and self.tomorrow.day.covers(at):
            return Plans(None, self.tomorrow, None)
        alive = (plan if plan and at < plan.day.forecast.axis.end else None for plan in vars(self).values())
        return Plans(*alive)

    def with_intraday(self, plan: DatedPlan) -> "Plans":
        """Adopt a new plan of the MPC. If it is no improvement, the plan in force only gets its warm start."""
        if plan.running.adopted:
            return replace(self, intraday=plan)
        if self.intraday is not None:
            return replace(self, intraday=replace(self.intraday, running=plan.running))
        if self.day_ahead is not None:
            return replace(self, day_ahead=replace(self.day_ahead, running=plan.running))
        return self
