"""The planning planning: which day it is, what was observed of it, and the plans made for it.

Day-ahead at 23:00 for the next day, starting from the state of charge with which today's plan ends; every 10 min for
what is left of today (paper A, section 4.3), and after a start as soon as may be if these 10 min have no plan of their
own. Nothing is adopted while it is computed: the 30 s loop takes a finished plan between two of its cycles.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from controller.planner.answer import Answer
from controller.planner.link import AnyPlanner
from controller.planner.planner import DayAheadJob, PlannerError, ReplanJob
from controller.record.records import MpcRecord
from controller.runs.summaries import UNCOORDINATED
from controller.service.cycle import Cycle
from controller.service.days import Day, DayLoader
from controller.service.describe import Places, Price
from controller.service.observation import Interval, IntervalMeans, Sight
from controller.service.plans import Dated, Plans
from controller.service.setup import node_limits
from core.arrays import FloatArray
from core.config import Config
from core.devices import Outcome
from core.errors import GridlabError, InputError
from core.scenario import Scenario, Site
from core.time import Clock
from mpc.day_ahead import DayAhead
from mpc.forecast import Observed
from mpc.intra_day import Running
from mpc.margin import Margin
from realtime.fallback import Mode as Rung
from realtime.node import SOC_RESERVE
from realtime.storage import usable_band

_log = logging.getLogger(__name__)

RETRY = timedelta(minutes=10)
"""Between two attempts to read the series of a day that cannot be had."""
FAILED = "failed"
ABSURD = 2.0


@dataclass(frozen=True)
class Question:
    """An MPC run that is to be made, as things stood ``at`` (``made_s`` monotonic)."""

    at: datetime
    made_s: float
    day: Day
    job: ReplanJob


@dataclass(frozen=True)
class Replanned:
    """A finished MPC run; ``plan`` None where it failed."""

    plan: Dated | None
    record: MpcRecord


class Planning:
    """Keeps plans and makes new ones. ``day_ahead`` is the last day-ahead plan made here, with its bills.

    Args:
        clock: the loop's time.
        stopwatch: real time, for what computations take.
        coordinate: False for the selfish baseline.
    """

    def __init__(
        self, config: Config, days: DayLoader, planner: AnyPlanner, clock: Clock, stopwatch: Clock, *, coordinate: bool
    ) -> None:
        self.plans = Plans()
        self.day: Day
        self.day_ahead: DayAhead | None = None
        network = config.grid.network()
        self.margin = Margin.unlearned(len(network.nodes) - 1)
        self._config, self._network, self._places = config, network, Places.of(config, network)
        self._days, self._planner, self._coordinate = days, planner, coordinate
        self._clock, self._stopwatch = clock, stopwatch
        self._rated_kva = {name: node.s_max_kva for name, node in node_limits(config).items()}
        self._budget_ms = 1e3 * config.schedule.mpc_budget_s
        self._interval = Interval()
        self._lost_until = clock.now()
        self._interval_ends = clock.now()
        self._followed = False
        self._planned: tuple[date, int] | None = None
        self._means: IntervalMeans | None = None

    async def open(self, plans: Plans | None = None, margin: Margin | None = None) -> None:
        """Take up the plans and margin of a journal where they reach now, else plan the whole of today.

        Raises:
            InputError, SolverError, PlannerError: there is no plan for today.
        """
        at = self._clock.now()
        self.day = self._load(at)
        self.margin = margin or self.margin
        kept = plans.turned(at) if plans else Plans()
        if kept.ruling(at) is not None:
            self.plans = kept
            if done := kept.intraday:
                self._planned = self._period(done.day, done.day.forecast.axis.times[done.running.computed_for])
            return
        made = await self._day_ahead(self.day, {})
        self.plans = Plans(day_ahead=made)

    def soc_at(self, at: datetime) -> Mapping[str, float]:
        """States of charge with which the plan in force enters the step of ``at``; of prosumers with a battery."""
        ruling = self.plans.ruling(at)
        if ruling is None:
            return {}
        row = ruling.day.step_of(at) - ruling.running.begins
        prosumers = ruling.running.plan.prosumers
        if row <= 0:
            return {}
        return {name: float(plan.soc[row - 1]) for name, plan in prosumers.items() if plan.soc is not None}

    async def tomorrow(self) -> None:
        """Plan the next day from its forecasts and from the state of charge with which today's plan ends.

        Raises:
            InputError, SolverError, PlannerError: today's plan stays all there is.
        """
        day = await asyncio.to_thread(self._load, self.day.forecast.axis.end)
        last = self.plans.intraday or self.plans.day_ahead
        ends = (
            {n: float(p.soc[-1]) for n, p in last.running.plan.prosumers.items() if p.soc is not None} if last else {}
        )
        made = await self._day_ahead(day, ends)
        self.plans = replace(self.plans, tomorrow=made)

    def turn(self) -> None:
        """What midnight changes. Where the new day's series cannot be had there is no plan, and nodes go safe."""
        at = self._clock.now()
        if self.day.covers(at) or at < self._lost_until:
            return
        self.plans = self.plans.turned(at)
        planned = self.plans.day_ahead
        try:
            self.day = planned.day if planned and planned.day.covers(at) else self._load(at)
        except InputError as error:
            self._lost_until = at + RETRY
            _log.error("no series of today: %s", error)

    def saw(self, cycle: Cycle) -> None:
        """Observe a cycle; the one at the end of an interval closes it, and the first of all is one of its own.

        A whole interval teaches the margin if everybody followed the plan all the time: in MONITOR, or of a part, the
        deviation says nothing.
        """
        nodes = {
            node: r.v_pu if (r := cycle.image.fresh(meter)) else None for node, meter in self._places.meters.items()
        }
        soc = {name: result.soc for name, result in cycle.result.nodes.items()}
        self._interval = self._interval.after(Sight(cycle.amounts, soc, nodes))
        self._followed &= _followed(cycle)
        step = timedelta(minutes=self._config.horizon.step_min)
        at_once = timedelta(seconds=self._config.schedule.realtime_s)
        late = cycle.at - self._interval_ends
        if -step <= late < timedelta(0):
            return
        self._means, self._interval = self._interval.closed(self._network), Interval()
        if self._followed and timedelta(0) <= late < at_once:
            self._learn(self._interval_ends - step)
        since = (cycle.at - self.day.forecast.axis.start) % step
        self._interval_ends, self._followed = cycle.at - since + step, since < at_once

    def due(self, at: datetime) -> bool:
        """Whether an MPC run begins now: one in each period, late where there was no service."""
        return self.day.covers(at) and self._period(self.day, at) != self._planned

    def question(self, soc: Mapping[str, float | None]) -> Question:
        """What the next MPC run is to answer, from what was observed and the states of charge now."""
        at = self._clock.now()
        self._planned = self._period(self.day, at)
        return Question(at, self._clock.monotonic_s(), self.day, self._job(at, self.day, soc))

    async def replan(self, question: Question) -> Replanned:
        """Compute the rest of the day; nothing is in force before :meth:`adopt`."""
        at, day, began_s = question.at, question.day, self._stopwatch.monotonic_s()
        try:
            answer = await self._planner.answer(question.job)
            self._check(answer.running)
        except GridlabError as error:
            _log.error("the running plan stays: %s", error)
            wall_ms = 1e3 * (self._stopwatch.monotonic_s() - began_s)
            return Replanned(
                None, MpcRecord(at, FAILED, 0, wall_ms, None, None, None, None, self._budget_ms, adopted=False)
            )
        wall_ms = 1e3 * (self._stopwatch.monotonic_s() - began_s)
        plan = Dated(day, answer.running, question.made_s, _plan_id(at, day, "mpc"))
        return Replanned(plan, _record(at, answer, wall_ms, self._budget_ms))

    def adopt(self, done: Replanned) -> None:
        """Put a finished plan in force."""
        if done.plan is not None and done.plan.day is self.day:
            self.plans = self.plans.with_intraday(done.plan)

    def prices(self) -> Mapping[str, Price]:
        """Of the plan in force now, by prosumer."""
        at = self._clock.now()
        ruling = self.plans.ruling(at)
        if ruling is None:
            return {}
        step = ruling.day.step_of(at)
        tariff = ruling.day.forecast.tariff
        buy, sell = float(tariff.buy_chf_per_kwh[step]), float(tariff.sell_chf_per_kwh[step])
        return {
            name: Price(buy, sell, price, ruling.running.bills[name].compensation_chf)
            for name, price in ruling.running.prices_chf_per_kwh(step).items()
        }

    def plan_age_s(self) -> float | None:
        """Since the plan in force now was made."""
        ruling = self.plans.ruling(self._clock.now())
        return None if ruling is None else self._clock.monotonic_s() - ruling.made_s

    def _period(self, day: Day, at: datetime) -> tuple[date, int]:
        """Of the MPC: whole steps of a day."""
        return day.date, (at - day.forecast.axis.start) // timedelta(minutes=self._config.mpc_period_min)

    def _load(self, at: datetime) -> Day:
        loaded = self._days.load(at.astimezone(ZoneInfo(self._config.horizon.timezone)).date())
        for alarm in loaded.alarms:
            _log.warning("%s", alarm)
        return loaded.day

    async def _day_ahead(self, day: Day, soc: Mapping[str, float]) -> Dated:
        sites = tuple(_from(site, soc) for site in day.forecast.sites)
        scenario = self._narrowed(replace(day.forecast, sites=sites))
        settings, solver = self._config.coordination, self._config.solver.prosumer
        made_s = self._clock.monotonic_s()
        answer = await self._planner.answer(DayAheadJob(scenario, settings, solver, self._coordinate))
        self._check(answer.running)
        if report := answer.report:
            _log.info("day-ahead plan of %s: %s after %d rounds", day.date, report.status, report.iterations)
        self.day_ahead = answer.made
        return Dated(day, answer.running, made_s, _plan_id(self._clock.now(), day, "day-ahead"))

    def _check(self, running: Running) -> None:
        """Refuse what no converter could come near, however it came about.

        Raises:
            PlannerError: a plan beyond :data:`ABSURD` times a rating.
        """
        for name, plan in running.plan.prosumers.items():
            most_kva = float(np.max(np.hypot(plan.p_kw, plan.q_kvar)))
            rated_kva = self._rated_kva.get(name, float("inf"))
            if not most_kva <= ABSURD * rated_kva:
                raise PlannerError(f"planner: {name}: {most_kva:g} kVA, its converter has {rated_kva:g} kVA")

    def _job(self, at: datetime, day: Day, soc: Mapping[str, float | None]) -> ReplanJob:
        step, means, ruling = day.step_of(at), self._means, self.plans.ruling(at)
        seen = means.observed if means else {}
        sites = {site.prosumer.name: site for site in day.forecast.sites}
        observed = {name: seen.get(name) or _expected(site, step) for name, site in sites.items()}
        return ReplanJob(
            day=self._narrowed(day.forecast),
            step=step,
            observed={name: replace(amounts, soc=soc.get(name, amounts.soc)) for name, amounts in observed.items()},
            slack_voltage_pu=(means.slack_voltage_pu if means else None) or float(day.forecast.slack_voltage_pu[step]),
            running=ruling.running if ruling else None,
            settings=self._config.coordination,
            solver=self._config.solver.prosumer,
            coordinate=self._coordinate,
        )

    def _narrowed(self, scenario: Scenario) -> Scenario:
        """With the margin of this moment to the voltage limits, and without the reserves that the 30 s layer keeps."""
        asked = self._config.limits.margin
        scenario = replace(scenario, sites=tuple(map(_without_reserve, scenario.sites)))
        if asked == "auto":
            return replace(scenario, margin_pu=self.margin.margin_pu)
        return replace(scenario, margin_pu=0.0 if asked == "off" else asked)

    def _learn(self, begin: datetime) -> None:
        """How far the voltages from ``begin`` on lay from the planned ones; unmeasured nodes take the worst."""
        ruling = self.plans.ruling(begin) if self.day.covers(begin) else None
        if ruling is None or self._means is None or all(v is None for v in self._means.v_pu):
            return
        predicted = ruling.running.voltages_pu(max(ruling.day.step_of(begin), ruling.running.begins))
        measured = np.array([np.nan if v is None else v for v in self._means.v_pu])
        worst: FloatArray = np.nanmax(np.abs(measured - predicted))
        self.margin = self.margin.after(predicted, np.where(np.isnan(measured), predicted + worst, measured))


def _followed(cycle: Cycle) -> bool:
    """Whether everybody was told to follow the plan, and heard it."""
    if cycle.overrides:
        return False
    modes = {result.mode for result in cycle.result.nodes.values()}
    return modes == {Rung.USE} and set(cycle.outcomes.values()) == {Outcome.VERIFIED}


def _without_reserve(site: Site) -> Site:
    """What the 30 s layer keeps free of a battery must not be planned with."""
    battery = site.prosumer.battery
    if battery is None:
        return site
    low, high = usable_band(battery, SOC_RESERVE)
    final = None if battery.soc_final_min is None else min(battery.soc_final_min, high)
    begins = min(max(battery.soc_initial, low), high)
    narrowed = replace(battery, soc_min=low, soc_max=high, soc_final_min=final, soc_initial=begins)
    return replace(site, prosumer=replace(site.prosumer, battery=narrowed))


def _from(site: Site, soc: Mapping[str, float]) -> Site:
    battery, name = site.prosumer.battery, site.prosumer.name
    if battery is None or name not in soc:
        return site
    begins = min(max(soc[name], battery.soc_min), battery.soc_max)
    return replace(site, prosumer=replace(site.prosumer, battery=replace(battery, soc_initial=begins)))


def _expected(site: Site, step: int) -> Observed:
    """Of a prosumer that nobody has seen yet."""
    outlook, battery = site.outlook, site.prosumer.battery
    return Observed(
        float(outlook.load_kw[step]),
        float(outlook.load_kvar[step]),
        float(outlook.pv_available_kw[step]),
        battery.soc_initial if battery else None,
    )


def _plan_id(at: datetime, day: Day, kind: str) -> str:
    zone = ZoneInfo(day.forecast.axis.timezone)
    return f"{kind} {at.astimezone(zone).isoformat(timespec='seconds')}"


def _record(at: datetime, answer: Answer, wall_ms: float, budget_ms: float) -> MpcRecord:
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
