"""The plans of the service: it keeps them, and requests new ones.

Day-ahead at 23:00 for the next day, starting from the state of charge at the end of today's plan; every 10 min for the
rest of today (paper A, section 4.3), and as soon as possible after a start if these 10 min have no plan of their own.
Nothing is adopted while it is computed: the real-time loop gets a finished plan between two of its cycles.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from controller.planner.link import AnyPlanner
from controller.planner.planner import ReplanJob
from controller.record.records import MpcRecord
from controller.service.alarms import Finding
from controller.service.cycle import Cycle
from controller.service.days import Day, DayLoader
from controller.service.describe import Places
from controller.service.margins import learn_margin
from controller.service.observation import CycleView, Observation
from controller.service.planner_answers import check_ratings, failed, plan_id, record
from controller.service.planner_jobs import PlannerJobs, PlanningInputs
from controller.service.plans import DatedPlan, Plans
from controller.service.steady_time import SteadyTime
from controller.service.today import Today
from core.config import Config
from core.errors import GridlabError
from core.time import Clock
from mpc.day_ahead import DayAhead
from mpc.margin import Margin

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MpcRequest:
    """An MPC run to be made, from the situation at ``at`` (``made_s`` monotonic)."""

    at: datetime
    made_s: float
    day: Day
    job: ReplanJob


@dataclass(frozen=True)
class Replanned:
    """A finished MPC run; ``plan`` is None if it failed."""

    plan: DatedPlan | None
    record: MpcRecord


class Planning:
    """Combines change of day, observation, margin, and the planner's jobs.

    Args:
        clock: the loop's time.
        stopwatch: real time, for the duration of computations.
        coordinate: False for the baseline without coordination.

    Attributes:
        day_ahead: the last day-ahead plan that was computed here, with its bills.
    """

    def __init__(
        self, config: Config, days: DayLoader, planner: AnyPlanner, clock: Clock, stopwatch: Clock, *, coordinate: bool
    ) -> None:
        self.plans = Plans()
        self.day_ahead: DayAhead | None = None
        self._network = config.grid.network()
        self.margin = Margin.unlearned(len(self._network.nodes) - 1)
        self._places = Places.of(config, self._network)
        self._today = Today(days, config.horizon.timezone)
        self._jobs, self._planner = PlannerJobs(config, coordinate), planner
        self._observation = Observation.beginning(config, clock.now())
        self._clock, self._stopwatch, self._time = clock, stopwatch, SteadyTime(clock)
        self._rated_kva = config.rating_kva_of
        self._budget_ms = 1e3 * config.schedule.mpc_budget_s
        self._period = timedelta(minutes=config.mpc_period_min)
        self._planned: tuple[date, int] | None = None

    async def open(self, plans: Plans | None = None, margin: Margin | None = None) -> None:
        """Resume plans and margin of a journal if they reach the present, else plan the whole of today.

        Raises:
            InputError, SolverError, PlannerError: there is no plan for today.
        """
        at = self._clock.now()
        self._today.open(at)
        self.margin = margin or self.margin
        kept = plans.advanced_to(at) if plans else Plans()
        if kept.plan_at(at) is not None:
            self.plans = kept
            if done := kept.intraday:
                self._planned = self._period_of(done.day, done.day.forecast.axis.times[done.running.computed_for])
            return
        made = await self._plan_day(self.day, {})
        self.plans = Plans(day_ahead=made)

    def planned_soc(self) -> Mapping[str, float]:
        """The state of charge that the plan has now, by prosumer."""
        return self.plans.soc_at(self._clock.now())

    @property
    def day(self) -> Day:
        """The day in progress."""
        return self._today.day

    @property
    def findings(self) -> Iterator[Finding]:
        """Whose data serve in place of missing ones, today and tomorrow."""
        return self._today.findings

    def advance_day(self) -> None:
        """Move to the present date; a wall clock that jumps does not turn the day before it has stayed there."""
        self.plans = self._today.advance(self.plans, self._time.now())

    async def tomorrow(self) -> None:
        """Plan the next day from its forecasts, and from the state of charge at the end of today's plan.

        Raises:
            InputError, SolverError, PlannerError: there is no plan for tomorrow; today's is unaffected.
        """
        day = await asyncio.to_thread(self._today.load, self.day.forecast.axis.end)
        made = await self._plan_day(day, self.plans.soc_at_end())
        self.plans = replace(self.plans, tomorrow=made)

    def observe(self, cycle: Cycle) -> None:
        """Observe a cycle; when it closes a complete interval, the margin learns from it."""
        midnight = self.day.forecast.axis.start
        self._observation = seen = self._observation.after(CycleView.of(cycle, self._places), cycle.at, midnight)
        means = seen.last.closed(self._network)
        if means is not None and seen.learn_from is not None:
            self.margin = learn_margin(self.margin, seen.learn_from, means, self.plans)

    def due(self, at: datetime) -> bool:
        """Whether an MPC run begins now: one in each period, late if there was no service before."""
        return self.day.covers(at) and self._period_of(self.day, at) != self._planned

    def request(self, soc: Mapping[str, float | None]) -> MpcRequest:
        """The next MPC run, from observations and present states of charge."""
        at, day = self._clock.now(), self.day
        self._planned = self._period_of(day, at)
        known = PlanningInputs(at, day, soc, self._observation.last.closed(self._network), self.plans.plan_at(at))
        return MpcRequest(at, self._clock.monotonic_s(), day, self._jobs.replan(known, self.margin))

    async def replan(self, request: MpcRequest) -> Replanned:
        """Compute the rest of the day; the plan is not in force before :meth:`adopt`."""
        at, day, began_s = request.at, request.day, self._stopwatch.monotonic_s()
        try:
            answer = await self._planner.answer(request.job)
            check_ratings(answer.running, self._rated_kva)
        except GridlabError as error:
            _log.error("the running plan stays: %s", error)
            return Replanned(None, failed(at, self._since_ms(began_s), self._budget_ms))
        plan = DatedPlan(day, answer.running, request.made_s, plan_id("mpc", at, day))
        return Replanned(plan, record(at, answer, self._since_ms(began_s), self._budget_ms))

    def adopt(self, done: Replanned) -> None:
        """Put a finished plan in force."""
        if done.plan is not None and done.plan.day is self.day:
            self.plans = self.plans.with_intraday(done.plan)

    async def _plan_day(self, day: Day, soc: Mapping[str, float]) -> DatedPlan:
        made_s = self._clock.monotonic_s()
        answer = await self._planner.answer(self._jobs.day_ahead(day, soc, self.margin))
        check_ratings(answer.running, self._rated_kva)
        if report := answer.report:
            _log.info("day-ahead plan of %s: %s after %d rounds", day.date, report.status, report.iterations)
        self.day_ahead = answer.made
        return DatedPlan(day, answer.running, made_s, plan_id("day-ahead", self._clock.now(), day))

    def _period_of(self, day: Day, at: datetime) -> tuple[date, int]:
        """The period of the MPC that contains ``at``: the date, and the number of complete periods of it before."""
        return day.date, (at - day.forecast.axis.start) // self._period

    def _since_ms(self, began_s: float) -> float:
        return 1e3 * (self._stopwatch.monotonic_s() - began_s)
