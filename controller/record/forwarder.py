"""Forwards telemetry from SQLite to InfluxDB, at least once: a point that is written twice stays one point.

A single thread does it, so that a slow database or disk does not delay the event loop. Points that the database accepts
leave the queue (:mod:`controller.record.outbox`); while it accepts none, all wait there. A point that it refuses for
good goes to ``dead_letters.jsonl`` in the folder of the telemetry, one JSON line each: time, error, text.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import Self

from controller.process.failures import RecordError
from controller.record.database import OpenedFiles, open_database
from controller.record.influx import ANSWER_S, CONNECT_S, Influx, deliver
from controller.record.outbox import DEAD_LETTERS, Counts, Outbox, append_dead_letters
from controller.record.retention import DEFAULT_RETENTION, Retention, count_run, prune
from controller.record.telemetry import TABLES
from core.config import InfluxConfig
from core.errors import GridlabError
from core.time import Clock

_log = logging.getLogger(__name__)
_POLL_S = 0.02
COUNT_EVERY_S = 60
"""How often the time for which the service has run is written, s."""


@dataclass(frozen=True)
class Pace:
    """How often the queue is polled (s), points per request, and pauses after failures (s, doubled each time)."""

    period_s: float = 5.0
    batch_points: int = 5000
    first_pause_s: float = 1.0
    last_pause_s: float = 60.0
    answer_s: float = ANSWER_S

    def pause_s(self, failures: int) -> float:
        """The pause after this many consecutive failures (1 or more)."""
        return float(min(self.last_pause_s, self.first_pause_s * 2 ** min(failures - 1, 30)))


class Forwarder:
    """Runs while the block lasts. Without an InfluxDB it only deletes what is beyond the retention limits.

    Args:
        database: file of a :class:`~controller.record.telemetry.Telemetry` with an outbox.
        clock: its monotonic time counts for how long the service has run.
    """

    def __init__(
        self,
        database: Path,
        influx: InfluxConfig | None,
        clock: Clock,
        retention: Retention = DEFAULT_RETENTION,
        pace: Pace = Pace(),
    ) -> None:
        self._database, self._influx, self._clock = database, influx, clock
        self._retention, self._pace = retention, pace
        self._stop, self._wake, self._ended = Event(), Event(), asyncio.Event()
        self._counts, self._rounds = Counts(), 0
        self._failure: str | None = None
        self._counted_s = clock.monotonic_s()

    async def __aenter__(self) -> Self:
        """Start the thread. A missing token or database sets ``failure`` and raises nothing: control never stops for
        telemetry.
        """
        loop = asyncio.get_running_loop()
        Thread(target=self._run, args=[loop], name="telemetry forwarder", daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the request in progress; points still in the queue are sent after the next start."""
        self._stop.set()
        self._wake.set()
        try:
            async with asyncio.timeout(CONNECT_S + self._pace.answer_s + 1):
                await self._ended.wait()
        except TimeoutError:
            _log.warning("telemetry: the forwarder's last request does not end; not waiting any longer")

    @property
    def counts(self) -> Counts:
        """The counts at the last poll of the queue."""
        return self._counts

    @property
    def failure(self) -> str | None:
        """Why nothing is being forwarded; None if there is no failure."""
        return self._failure

    async def drain(self, within_s: float) -> bool:
        """Wait until all points written before the call have been handled; False if ``within_s`` was too short."""
        begun = self._rounds
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while self._rounds < begun + 2 or self._counts.backlog:
                    self._wake.set()
                    await asyncio.sleep(_POLL_S)
                return True
        return False

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                for _ in self._session():
                    failures = 0
                    self._log_recovery()
            except Exception as error:
                if self._stop.is_set():
                    break
                failures += 1
                self._log_failure(error)
                self._stop.wait(self._pace.pause_s(failures))
        with suppress(RuntimeError):  # the event loop has already ended
            loop.call_soon_threadsafe(self._ended.set)

    def _session(self) -> Iterator[None]:
        """Yields after every successful round; all rounds use one connection to each database."""
        if not self._database.exists():
            raise RecordError(f"{self._database}: not there, the next cycle begins it anew")
        with closing(open_database(self._database, TABLES)) as connection, ExitStack() as stack:
            files = OpenedFiles(self._database)
            outbox = Outbox(self._database, connection)
            self._counts = outbox.counts()
            influx = stack.enter_context(Influx(self._influx, self._pace.answer_s)) if self._influx else None
            while not self._stop.is_set():
                self._wake.clear()
                if touched := files.touched():
                    raise RecordError(f"{self._database}: {touched}")
                more = self._prune(connection)
                if influx:
                    more |= self._forward(outbox, influx)
                self._counts = outbox.counts()
                self._rounds += 1
                yield
                self._wake.wait(0.0 if more else self._pace.period_s)

    def _prune(self, connection: sqlite3.Connection) -> bool:
        """Delete an hour beyond the limits; whether there was one."""
        now_s = self._clock.monotonic_s()
        if (run_s := int(now_s - self._counted_s)) >= COUNT_EVERY_S:
            count_run(self._database, connection, run_s)
            self._counted_s += run_s
        removed = prune(self._database, connection, self._retention)
        if removed:
            at, kept = datetime.fromtimestamp(3600 * removed.hour, UTC), f"limit {removed.limit}"
            _log.info("telemetry: %d points from %s removed, %d unsent: %s", removed.points, at, removed.unsent, kept)
        return removed is not None

    def _forward(self, outbox: Outbox, influx: Influx) -> bool:
        """Send one batch; False if the queue was empty."""
        batch = outbox.next_batch(self._pace.batch_points)
        if batch is None:
            return False
        delivery = deliver(influx.write, batch.lines, self._stop.is_set)
        dead = (*batch.dead, *delivery.dead)
        append_dead_letters(self._database.with_name(DEAD_LETTERS), self._clock.now(), dead)
        outbox.done(batch, delivery.sent, len(dead))
        return True

    def _log_recovery(self) -> None:
        if self._failure:
            self._failure = None
            _log.warning("telemetry: forwarded again, %d points wait", self._counts.backlog)

    def _log_failure(self, error: Exception) -> None:
        """Log the first of consecutive failures; an unexpected exception with its traceback."""
        if self._failure is None:
            unexpected = not isinstance(error, GridlabError)
            _log.warning("telemetry: not forwarded: %s", error, exc_info=unexpected)
        self._failure = str(error)
