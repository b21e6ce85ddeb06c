"""The plans in force: that of the last MPC run, behind it the day-ahead plan, and tomorrow's once it is made."""

from dataclasses import dataclass, replace
from datetime import datetime

from controller.service.days import Day
from mpc.intra_day import Running
from realtime.node import Offer, PlanTargets
from realtime.tracker import Target


@dataclass(frozen=True)
class Dated:
    """A plan for ``day``; ``made_s`` is monotonic."""

    day: Day
    running: Running
    made_s: float
    plan_id: str

    def offer(self, prosumer: str, at: datetime, at_s: float) -> Offer | None:
        """Its target for a prosumer now; None where it does not reach."""
        if not self.day.covers(at):
            return None
        step = self.day.step_of(at) - self.running.begins
        plan = self.running.plan.prosumers.get(prosumer)
        if plan is None or not 0 <= step < len(plan.p_kw):
            return None
        return Offer(Target.of(plan, step), at_s - self.made_s)


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
        return next((plan for plan in (self.intraday, self.day_ahead) if plan and plan.day.covers(at)), None)

    def turned(self, at: datetime) -> "Plans":
        """The same after midnight: yesterday's plans are done, tomorrow's has become today's."""
        if self.tomorrow is None or not self.tomorrow.day.covers(at):
            return self
        return Plans(None, self.tomorrow, None)

    def with_intraday(self, plan: Dated) -> "Plans":
        """A new plan of the MPC."""
        return replace(self, intraday=plan)
