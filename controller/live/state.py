"""What the loop last published, kept for whoever looks: the latest cycle, MPC runs, alarms and two hours of history.

Publishing and reading happen in the event loop of the service. Publishing keeps references and wakes clients; text is
made when a client takes it, so that the loop pays the same whether nobody looks or many do.
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
class Now:
    """Everything that stands at a moment, as a page needs it that has just been opened; ``ended`` the latest first."""

    mode: str | None
    cycle: CycleRecord | None
    mpc: tuple[MpcRecord, ...]
    alarms: tuple[Alarm, ...]
    ended: tuple[Alarm, ...]
    history: tuple[HistoryPoint, ...]


@dataclass(frozen=True)
class Update:
    """What a new cycle, run or mode changes in :class:`Now`; None: nothing."""

    mode: str | None
    cycle: CycleRecord | None
    mpc: MpcRecord | None
    alarms: tuple[Alarm, ...]
    ended: tuple[Alarm, ...]
    point: HistoryPoint | None


class LiveState:
    """See the module. ``site`` is what does not change."""

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
        """How many look at it."""
        return len(self._clients)

    @property
    def age_s(self) -> float | None:
        """Since the last cycle was published, by this computer's clock; None before the first."""
        return None if self._published_s is None else time.monotonic() - self._published_s

    def publish(self, record: CycleRecord) -> None:
        """Show a cycle; never raises."""
        with _control_goes_on():
            self._publish(record)

    def publish_mpc(self, record: MpcRecord) -> None:
        """Show an MPC run; never raises."""
        with _control_goes_on():
            self._publish_mpc(record)

    def publish_mode(self, mode: str) -> None:
        """Show a mode: in OFF no cycle will tell it."""
        self._mode = mode
        self._tell()

    def now(self) -> str:
        """:class:`Now` as JSON."""
        runs, past = tuple(self._mpc), tuple(self._ended)
        return _json(Now(self._mode, self._cycle, runs, self._standing, past, self._history.points))

    @contextmanager
    def client(self) -> Iterator[Feed]:
        """A feed that is told every update until the block ends, the whole of what stands first."""
        feed = Feed(lambda: FeedMessage("now", self.now))
        self._clients.add(feed)
        try:
            yield feed
        finally:
            self._clients.discard(feed)

    def end(self) -> None:
        """Tell all clients that there will be nothing more."""
        for client in self._clients:
            client.end()

    @property
    def _standing(self) -> tuple[Alarm, ...]:
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
        self._tell(cycle=record, point=point)

    def _publish_mpc(self, record: MpcRecord) -> None:
        record = replace(record, time=record.time.astimezone(self._zone))
        self._mpc.append(record)
        self._tell(mpc=record)

    def _local(self, alarm: Alarm) -> Alarm:
        until = alarm.until.astimezone(self._zone) if alarm.until else None
        return replace(alarm, since=alarm.since.astimezone(self._zone), until=until)

    def _tell(
        self, cycle: CycleRecord | None = None, mpc: MpcRecord | None = None, point: HistoryPoint | None = None
    ) -> None:
        if self._clients:
            update = Update(self._mode, cycle, mpc, self._standing, tuple(self._ended), point)
            message = FeedMessage("update", lambda: _json(update))
            for client in self._clients:
                client.put(message)


@contextmanager
def _control_goes_on() -> Iterator[None]:
    """The page is for looking: no fault of it may reach the loop."""
    try:
        yield
    except Exception:
        _log.exception("live page: a record was not shown")


def _json(value: object) -> str:
    return json.dumps(encode(value), ensure_ascii=False, separators=(",", ":"))
