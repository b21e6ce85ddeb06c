"""The plans in force: that of the last MPC run, behind it the day-ahead plan, and tomorrow's once it is made."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from controller.service.days import Day
from mpc.intra_day import RunningPlan
from realtime.fallback import Source
from realtime.node import Offer, PlanTargets
from realtime.tracker import Target


@dataclass(frozen=True)
class Dated:
    """A plan for ``day``; ``made_s`` is monotonic."""

    day: Day
    running: RunningPlan
    made_s: float
    plan_id: str

    def offer(self, prosumer: str, at: datetime, at_s: float) -> Offer | None:
        """Its target for a prosumer now; None where it does not reach."""
        plan = self.running.plan.prosumers.get(prosumer)
        if plan is None or not self.reaches(at):
            return None
        return Offer(Target.of(plan, self.running.row(self.day.step_of(at))), at_s - self.made_s)

    def soc_after(self, row: int) -> Mapping[str, float]:
        """States of charge at the end of a step, of prosumers with a battery; ``row`` counts from the plan's begin."""
        plans = self.running.plan.prosumers
        return {name: float(plan.soc[row]) for name, plan in plans.items() if plan.soc is not None}

    def reaches(self, at: datetime) -> bool:
        """Whether it has a step for ``at``; a wall clock that was set back may have left it."""
        return self.day.covers(at) and 0 <= self.day.step_of(at) - self.running.begins < len(self.running.v_pu)


@dataclass(frozen=True)
class Plans:
    """All plans there are; each may be missing."""

    intraday: Dated | None = None
    day_ahead: Dated | None = None
    tomorrow: Dated | None = None

    def targets(self, prosumer: str, at: datetime, at_s: float) -> PlanTargets:
        """What they want of a prosumer now."""
        return PlanTargets(
            *(plan.offer(prosumer, at, at_s) if plan else None for plan in (self.intraday, self.day_ahead))
        )

    def ruling(self, at: datetime) -> Dated | None:
        """The newest plan that reaches ``at``; prices are read from it."""
        return next((plan for plan in (self.intraday, self.day_ahead) if plan and plan.reaches(at)), None)

    def age_s(self, at: datetime, at_s: float) -> float | None:
        """Since the plan that rules at ``at`` (monotonic ``at_s``) was made; None without one."""
        ruling = self.ruling(at)
        return None if ruling is None else at_s - ruling.made_s

    def soc_at(self, at: datetime) -> Mapping[str, float]:
        """States of charge with which the plan in force enters the step of ``at``, of prosumers with a battery.

        Empty without a plan, and where ``at`` lies in the first step of it.
        """
        ruling = self.ruling(at)
        row = ruling.running.row(ruling.day.step_of(at)) if ruling else 0
        return ruling.soc_after(row - 1) if ruling and row > 0 else {}

    def soc_at_end(self) -> Mapping[str, float]:
        """States of charge with which today's plan ends, of prosumers with a battery; empty without a plan."""
        last = self.intraday or self.day_ahead
        return last.soc_after(-1) if last else {}

    def id_of(self, source: Source) -> str:
        """Of the plan that the fallback ladder chose; empty without one."""
        plan = {Source.INTRADAY: self.intraday, Source.DAY_AHEAD: self.day_ahead}.get(source)
        return plan.plan_id if plan else ""

    def turned(self, at: datetime) -> "Plans":
        """The same at ``at``: plans of days that are over are gone, tomorrow's may have become today's."""
        if self.tomorrow is not None and self.tomorrow.day.covers(at):
            return Plans(None, self.tomorrow, None)
        alive = (plan if plan and at < plan.day.forecast.axis.end else None for plan in vars(self).values())
        return Plans(*alive)

    def with_intraday(self, plan: Dated) -> "Plans":
        """A new plan of the MPC. Where it is no improvement, the plan in force takes over its warm start alone."""
        if plan.running.adopted:
            return replace(self, intraday=plan)
        if self.intraday is not None:
            return replace(self, intraday=replace(self.intraday, running=plan.running))
        if self.day_ahead is not None:
            return replace(self, day_ahead=replace(self.day_ahead, running=plan.running))
        return self
