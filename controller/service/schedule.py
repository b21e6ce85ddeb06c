"""The clocks of real life: what drives a service on a laboratory's computer.

Prices are jobs of APScheduler: once a minute it is asked whether an MPC run or tomorrow's plan is due, so that daylight
saving needs no care and a day-ahead plan that failed is tried again. The 30 s loop is no such job: it runs on the
monotonic clock, begins with a round half minute of the wall clock, and skips what it has missed.
"""

import asyncio
import logging
from datetime import UTC
from zoneinfo import ZoneInfo

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger

from controller.service.service import Service
from core.config import ScheduleConfig
from core.errors import GridlabError
from core.time import Clock
from realtime.timing import CYCLE_DEADLINE_S, POLL_S

_log = logging.getLogger(__name__)

MPC_SECOND, DAY_AHEAD_SECOND = 3, 33
"""Of the minute: shortly after a cycle of the 30 s loop, whose observations the MPC takes."""
GRACE_S, DAY_AHEAD_GRACE_S = 120, 3600
"""How late a job may still begin."""


class Schedule:
    """Drives ``service`` until ``stop`` is set."""

    def __init__(self, service: Service, settings: ScheduleConfig, timezone: str, clock: Clock) -> None:
        self.stop = asyncio.Event()
        self._service, self._settings, self._clock = service, settings, clock
        self._zone = ZoneInfo(timezone)

    async def run(self) -> None:
        """Return when stopped, the cycle in progress finished."""
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
        try:
            await self._cycles()
        finally:
            scheduler.shutdown(wait=False)

    async def _cycles(self) -> None:
        """Cycles at t0 + k · 30 s of the monotonic clock, and polls between them."""
        period_s = self._settings.realtime_s
        ahead_s = period_s - self._clock.now().timestamp() % period_s
        begin_s = self._clock.monotonic_s() + ahead_s
        await self._poll_until(begin_s)
        while not self.stop.is_set():
            await self._cycle()
            now_s = self._clock.monotonic_s()
            passed = int((now_s - begin_s) // period_s)
            self._service.missed += max(passed, 0)
            begin_s += period_s * (passed + 1)
            await self._poll_until(begin_s)

    async def _cycle(self) -> None:
        try:
            async with asyncio.timeout(CYCLE_DEADLINE_S):
                await self._service.cycle()
        except Exception:  # the loop goes on whatever became of one cycle; leases end where none succeeds
            self._service.missed += 1
            _log.exception("cycle failed")

    async def _poll_until(self, next_s: float) -> None:
        """Sleep until the next cycle, but read the devices every 5 s."""
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
                    await self._poll()

    async def _poll(self) -> None:
        try:
            await self._service.poll()
        except Exception:  # as above
            _log.exception("poll failed")

    async def _mpc(self) -> None:
        self._service.desk.turn()
        if self._service.desk.due(self._clock.now()):
            self._service.adopt(await self._service.replan())

    async def _day_ahead(self) -> None:
        self._service.desk.turn()
        local = self._clock.now().astimezone(self._zone)
        if local.time() >= self._settings.day_ahead_at and self._service.desk.plans.tomorrow is None:
            try:
                await self._service.tomorrow()
            except GridlabError as error:
                _log.error("no day-ahead plan yet: %s", error)
