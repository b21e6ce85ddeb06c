"""Drives a service by real time: timed jobs, and the real-time loop.

Prices are jobs of APScheduler: once a minute a job checks whether an MPC run or tomorrow's plan is due, so that
daylight saving needs no care and a failed day-ahead plan is tried again. The real-time loop is no such job: it runs on
the monotonic clock, begins with a round half minute of the wall clock, and skips cycles that it has missed. It also
watches the jobs: if none has ended for 12 min, the scheduler is discarded with all hanging jobs and built again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from controller.process.modes import Mode
from controller.process.systemd import WATCHDOG, notify, status
from controller.record.records import Severity
from controller.service.alarms import Finding
from controller.service.service import Service
from core.config import ScheduleConfig
from core.errors import GridlabError
from core.time import Clock
from realtime.timing import CYCLE_DEADLINE_S, POLL_S, SOON

_log = logging.getLogger(__name__)

MPC_SECOND, DAY_AHEAD_SECOND = 3, 33
"""Second of the minute: shortly after a cycle, whose observations the MPC uses."""
GRACE_S, DAY_AHEAD_GRACE_S = 120, 3600
"""Delay with which a job may still begin."""
JOBS_SILENT_S = 12 * 60.0
LAG_EVERY_S, LAG_S = 0.25, 0.25
"""How often the event loop's punctuality is measured, and the delay that it may have."""


class Schedule:
    """Drives ``service`` until ``stop`` is set."""

    def __init__(self, service: Service, settings: ScheduleConfig, timezone: str, clock: Clock) -> None:
        self.stop = asyncio.Event()
        self._service, self._settings, self._clock = service, settings, clock
        self._zone = ZoneInfo(timezone)
        self._job_ended_s = clock.monotonic_s()
        self._lag_s = 0.0

    async def run(self) -> None:
        """Run until stopped; the cycle in progress is finished."""
        self._scheduler = self._start_scheduler()
        lag = asyncio.create_task(self._measure_lag())
        try:
            await self._cycles()
        finally:
            lag.cancel()
            self._scheduler.shutdown(wait=False)

    def _start_scheduler(self) -> AsyncIOScheduler:
        scheduler = AsyncIOScheduler(timezone=UTC)
        common = {"coalesce": True, "max_instances": 1}
        minutely = (
            (self._mpc, MPC_SECOND, GRACE_S),
            (self._day_ahead, DAY_AHEAD_SECOND, DAY_AHEAD_GRACE_S),
        )
        for job, second, grace_s in minutely:
            trigger = CronTrigger(second=second, timezone=UTC)
            scheduler.add_job(job, trigger, misfire_grace_time=grace_s, **common)
        scheduler.start()
        return scheduler

    async def _cycles(self) -> None:
        """Cycles at t0 + k · 30 s of the monotonic clock, and polls between them.

        A service that is ACTIVE from its start has leases of its predecessor to renew, or converters to bring back from
        their safe state: it does not wait for t0, but runs a cycle at once and then in place of every poll.
        """
        period_s = self._settings.realtime_s
        ahead_s = period_s - self._clock.now().timestamp() % period_s
        begin_s = self._clock.monotonic_s() + ahead_s
        if self._service.mode is Mode.ACTIVE and ahead_s > SOON * period_s:
            await self._cycle()
            await self._until(begin_s, self._cycle)
        else:
            await self._until(begin_s, self._poll)
        while not self.stop.is_set():
            await self._cycle()
            self._check_jobs()
            now_s = self._clock.monotonic_s()
            passed = int((now_s - begin_s) // period_s)
            self._service.missed += max(passed, 0)
            begin_s += period_s * (passed + 1)
            await self._until(begin_s, self._poll)

    async def _cycle(self) -> None:
        try:
            async with asyncio.timeout(CYCLE_DEADLINE_S):
                await self._service.cycle()
            notify(WATCHDOG, status(self._service.mode))
        except Exception:  # the loop continues after a failed cycle; if all fail, leases end
            self._service.missed += 1
            _log.exception("cycle failed")

    def _check_jobs(self) -> None:
        silent_s = self._clock.monotonic_s() - self._job_ended_s
        hung, rebuilt = silent_s > JOBS_SILENT_S, f"no job ended for {silent_s:.0f} s; built anew"
        self._notice("scheduler", Severity.ALARM, hung, rebuilt)
        self._notice("blocked", Severity.WARNING, self._lag_s > LAG_S, f"the event loop stood for {self._lag_s:.2f} s")
        self._lag_s = 0.0
        if hung:
            _log.error("scheduler: %s", rebuilt)
            self._scheduler.shutdown(wait=False)
            self._scheduler, self._job_ended_s = self._start_scheduler(), self._clock.monotonic_s()

    def _notice(self, kind: str, severity: Severity, present: bool, text: str) -> None:
        """Set or clear a notice for the next record."""
        if present:
            self._service.notices[kind] = Finding(kind, severity, "service", text)
        else:
            self._service.notices.pop(kind, None)

    async def _measure_lag(self) -> None:
        while True:
            due_s = self._clock.monotonic_s() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._lag_s = max(self._lag_s, self._clock.monotonic_s() - due_s)

    async def _until(self, next_s: float, between: Callable[[], Awaitable[None]]) -> None:
        """Wait for the time of the next cycle; call ``between`` every 5 s."""
        while not self.stop.is_set():
            left_s = next_s - self._clock.monotonic_s()
            if left_s <= 0:
                return
            pause_s = POLL_S if left_s >= 2 * POLL_S else left_s
            try:
                async with asyncio.timeout(pause_s):
                    await self.stop.wait()
            except TimeoutError:
                if pause_s < left_s:
                    await between()

    async def _poll(self) -> None:
        try:
            await self._service.poll()
        except Exception:  # as above
            _log.exception("poll failed")

    async def _mpc(self) -> None:
        self._service.planning.advance_day()
        if self._service.planning.due(self._clock.now()):
            self._service.adopt(await self._service.replan())
        self._job_ended_s = self._clock.monotonic_s()

    async def _day_ahead(self) -> None:
        self._service.planning.advance_day()
        local = self._clock.now().astimezone(self._zone)
        if local.time() >= self._settings.day_ahead_at and self._service.planning.plans.tomorrow is None:
            try:
                await self._service.tomorrow()
            except GridlabError as error:
                _log.error("no day-ahead plan yet: %s", error)
