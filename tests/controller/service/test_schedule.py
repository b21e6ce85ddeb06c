"""The 30 s loop's own times: when cycles and polls come. Half a second stands for the half minute."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.process.clocks import WallClock
from controller.process.modes import Mode
from controller.service import schedule
from controller.service.schedule import Schedule

PERIOD_S, POLL_S = 0.5, 0.05


class Shifted(WallClock):
    """Its wall clock begins ``after_s`` after a round half minute."""

    def __init__(self, after_s: float) -> None:
        self._began_s, self._after_s = self.monotonic_s(), after_s

    def now(self) -> datetime:
        since_s = self.monotonic_s() - self._began_s + self._after_s
        return datetime(2018, 6, 21, tzinfo=UTC) + timedelta(seconds=since_s)


@dataclass
class Diary:
    """In place of a service: what it was asked for, and when on the wall clock."""

    mode: Mode
    clock: WallClock
    missed: int = 0
    notices: dict[str, Any] = field(default_factory=dict)
    done: list[tuple[float, str]] = field(default_factory=list)

    async def cycle(self) -> None:
        self._note("cycle")

    async def poll(self) -> None:
        self._note("poll")

    def _note(self, what: str) -> None:
        self.done.append((self.clock.now().timestamp() % (100 * PERIOD_S), what))


async def diary(mode: Mode, after_s: float, monkeypatch: pytest.MonkeyPatch) -> Diary:
    """Of a little more than one period and a half."""
    monkeypatch.setattr(schedule, "POLL_S", POLL_S)
    clock = Shifted(after_s)
    alarm_log = Diary(mode, clock)

    settings = cast("Any", SimpleNamespace(realtime_s=PERIOD_S))
    loop = Schedule(cast("Any", alarm_log), settings, "Europe/Zurich", clock)
    running = asyncio.create_task(loop.run())
    await asyncio.sleep(2 * PERIOD_S - after_s + PERIOD_S / 2)
    loop.stop.set()
    await running
    return alarm_log


def words(alarm_log: Diary, since_s: float, until_s: float) -> set[str]:
    return {what for at_s, what in alarm_log.done if since_s <= at_s < until_s}


async def test_a_resumed_service_does_a_cycle_at_once_and_in_place_of_each_poll(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alarm_log = await diary(Mode.ACTIVE, 0.2, monkeypatch)
    assert alarm_log.done[0] == (pytest.approx(0.2, abs=POLL_S), "cycle")
    assert words(alarm_log, 0.0, PERIOD_S) == {"cycle"}
    assert len([at_s for at_s, _ in alarm_log.done if at_s < PERIOD_S]) > 2
    assert words(alarm_log, PERIOD_S + POLL_S / 2, 2 * PERIOD_S) == {"poll"}


@pytest.mark.parametrize(
    ("mode", "after_s"), [(Mode.MONITOR, 0.2), (Mode.ACTIVE, 0.45)], ids=["monitor", "one is about to come"]
)
async def test_else_it_waits_for_the_next_half_minute(
    mode: Mode, after_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm_log = await diary(mode, after_s, monkeypatch)
    assert "cycle" not in words(alarm_log, 0.0, PERIOD_S)
    assert "cycle" in words(alarm_log, PERIOD_S, PERIOD_S + POLL_S)
