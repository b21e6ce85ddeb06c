"""The latest records of the control loop for the live page: last cycle, MPC runs, alarms and two hours of history.

Publishing and reading happen in the event loop of the service. Publishing only stores references and wakes clients;
text is created when a client needs it, so that the control loop takes the same time with or without clients.
"""

import json
import logging
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from controller.live.feed import Feed, FeedMessage
from controller.live.history import History, HistoryPoint
from controller.live.site import PageSite
from controller.record.records import Alarm, CycleRecord, MpcRecord
from core.codec import encode
from core.config import Config

_log = logging.getLogger(__name__)

MPC_KEPT, ENDED_KEPT = 36, 20


@dataclass(frozen=True)
class FullState:
    """The full current state, for a page that has just been opened; ``ended`` alarms, the latest first."""

    mode: str | None
    cycle: CycleRecord | None
    mpc: tuple[MpcRecord, ...]
    alarms: tuple[Alarm, ...]
    ended: tuple[Alarm, ...]
    history: tuple[HistoryPoint, ...]


@dataclass(frozen=True)
class Update:
    """The changes to :class:`FullState` by a new cycle, MPC run or mode; None: unchanged."""

    mode: str | None
    cycle: CycleRecord | None
    mpc: MpcRecord | None
    alarms: tuple[Alarm, ...]
    ended: tuple[Alarm, ...]
    point: HistoryPoint | None


class LiveState:
    """The state that the page shows; ``site`` is its constant part."""

    def __init__(self, config: Config) -> None:
        self.site = PageSite.of(config)
        self._zone = ZoneInfo(self.site.zone)
        self._mode: str | None = None
        self._cycle: CycleRecord | None = None
        self._published_s: float | None = None
        self._mpc: deque[MpcRecord] = deque(maxlen=MPC_KEPT)
        self._ended: deque[Alarm] = deque(maxlen=ENDED_KEPT)
        self._history = History(self.site.cycle_s)
        self._clients: set[Feed] = set()

    @property
    def clients(self) -> int:
        """Number of connected clients."""
        return len(self._clients)

    @property
    def age_s(self) -> float | None:
        """Time since the last cycle was published, by this computer's clock; None before the first."""
        return None if self._published_s is None else time.monotonic() - self._published_s

    def publish(self, record: CycleRecord) -> None:
        """Publish a cycle; never raises."""
        with _errors_logged():
            self._publish(record)

    def publish_mpc(self, record: MpcRecord) -> None:
        """Publish an MPC run; never raises."""
        with _errors_logged():
            self._publish_mpc(record)

    def publish_mode(self, mode: str) -> None:
        """Publish a mode: in OFF there is no cycle that would report it."""
        self._mode = mode
        self._send_update()

    def now(self) -> str:
        """The :class:`FullState` as JSON."""
        runs, ended = tuple(self._mpc), tuple(self._ended)
        return _json(FullState(self._mode, self._cycle, runs, self._active_alarms, ended, self._history.points))

    @contextmanager
    def client(self) -> Iterator[Feed]:
        """A feed that gets the full state, then every update until the block ends."""
        feed = Feed(lambda: FeedMessage("now", self.now))
        self._clients.add(feed)
        try:
            yield feed
        finally:
            self._clients.discard(feed)

    def end(self) -> None:
        """End the feeds of all clients."""
        for client in self._clients:
            client.end()

    @property
    def _active_alarms(self) -> tuple[Alarm, ...]:
        return self._cycle.alarms if self._cycle else ()

    def _publish(self, record: CycleRecord) -> None:
        record = replace(
            record,
            time=record.time.astimezone(self._zone),
            alarms=tuple(map(self._local, record.alarms)),
            ended=tuple(map(self._local, record.ended)),
        )
        point = HistoryPoint.of(record, self.site.slack)
        self._cycle, self._mode, self._published_s = record, record.mode, time.monotonic()
        self._history.add(point)
        self._ended.extendleft(record.ended)
        self._send_update(cycle=record, point=point)

    def _publish_mpc(self, record: MpcRecord) -> None:
        record = replace(record, time=record.time.astimezone(self._zone))
        self._mpc.append(record)
        self._send_update(mpc=record)

    def _local(self, alarm: Alarm) -> Alarm:
        until = alarm.until.astimezone(self._zone) if alarm.until else None
        return replace(alarm, since=alarm.since.astimezone(self._zone), until=until)

    def _send_update(
        self, cycle: CycleRecord | None = None, mpc: MpcRecord | None = None, point: HistoryPoint | None = None
    ) -> None:
        if self._clients:
            update = Update(self._mode, cycle, mpc, self._active_alarms, tuple(self._ended), point)
            message = FeedMessage("update", lambda: _json(update))
            for client in self._clients:
                client.put(message)


@contextmanager
def _errors_logged() -> Iterator[None]:
    """A failure of the page must not reach the control loop."""
    try:
        yield
    except Exception:
        _log.exception("live page: a record was not shown")


def _json(value: object) -> str:
    return json.dumps(encode(value), ensure_ascii=False, separators=(",", ":"))
