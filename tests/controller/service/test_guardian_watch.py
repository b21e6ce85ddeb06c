"""ACTIVE needs a living guardian: refused without one, alarmed at once, left after five minutes, or one if resumed."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.process import commanded
from controller.process.clocks import SteppedClock, WallClock
from controller.process.guardian_life import ReliedOn
from controller.process.modes import Mode
from controller.record.records import Severity
from controller.service import guardian_watch
from controller.service.alarms import Finding
from controller.service.guardian_watch import ABSENT_S, RESUMED_S, GuardianWatch
from controller.service.service import Service
from controller.service.setup import Setup
from core.errors import GridlabError
from core.load import load_config
from tests.support.guardians import living_guardian
from tests.support.paths import CONFIG

PERIOD_S = 30.0


class Room:
    """A watch and the time that a test lets pass; its guardian, if any, looks once a cycle."""

    def __init__(self, state: Path) -> None:
        self.clock = SteppedClock(datetime(2018, 6, 21, 12, tzinfo=UTC))
        self.setup = Setup(load_config(CONFIG), CONFIG, state, state)
        self.watch = GuardianWatch(self.setup, self.clock)
        self.notices: dict[str, Finding] = {}

    async def cycles(self, count: int) -> list[str]:
        """Why ACTIVE has to be left, in each of some cycles."""
        found = []
        for _ in range(count):
            self.clock.advance_to(self.clock.monotonic_s() + PERIOD_S)
            found.append(await self.watch.noticed(self.notices, Mode.ACTIVE))
        return found


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


async def test_active_is_refused_in_one_line_that_says_how_to_start_one(room: Room) -> None:
    with pytest.raises(GridlabError) as caught:
        await room.watch.require()
    start = f"start it: gridlab guardian {CONFIG} --state {room.setup.state}"
    assert str(caught.value) == f"guardian: it was never started; mode active is allowed with a living one, {start}"
    async with living_guardian(room.setup, room.clock):
        await room.watch.require()
        assert (await room.watch.look()).living
    with pytest.raises(GridlabError, match="guardian: it has ended"):
        await room.watch.require()


async def test_an_alarm_in_the_next_cycle_and_monitor_after_five_minutes(room: Room) -> None:
    async with living_guardian(room.setup, room.clock) as guardian:
        await room.watch.admit(Mode.ACTIVE, Mode.MONITOR)
        room.clock.advance_to(PERIOD_S)
        await guardian.step()
        assert await room.watch.noticed(room.notices, Mode.ACTIVE) == ""
        assert room.notices == {}
    assert await room.cycles(1) == [""]
    alarm = room.notices["guardian"]
    assert (alarm.severity, alarm.confirm) == (Severity.ALARM, False)
    assert "no living guardian: its last sign of life is 30 s old; MONITOR in 5.0 min" in alarm.text
    later = await room.cycles(round(ABSENT_S / PERIOD_S))
    assert [bool(why) for why in later] == [False] * (len(later) - 1) + [True]
    assert "MONITOR, as there was no living guardian" in room.notices["unguarded"].text
    assert await room.watch.noticed(room.notices, Mode.MONITOR) == ""
    assert room.notices.keys() == {"unguarded"}, "in MONITOR nobody needs one"


async def test_a_guardian_that_comes_back_in_time_starts_the_five_minutes_anew(room: Room) -> None:
    room.watch.resume()
    await room.watch.admit(Mode.ACTIVE, Mode.OFF)
    assert await room.cycles(2) == ["", ""]
    async with living_guardian(room.setup, room.clock):
        assert await room.watch.noticed(room.notices, Mode.ACTIVE) == ""
        assert room.notices == {}
    assert not any(await room.cycles(round(ABSENT_S / PERIOD_S)))


async def test_a_resumed_service_waits_a_minute_for_it(room: Room) -> None:
    room.watch.resume()
    await room.watch.admit(Mode.ACTIVE, Mode.OFF)
    found = await room.cycles(1 + round(RESUMED_S / PERIOD_S))
    assert [bool(why) for why in found] == [False, False, True]


async def test_only_the_first_mode_is_resumed(room: Room) -> None:
    room.watch.resume()
    await room.watch.admit(Mode.MONITOR, Mode.OFF)
    with pytest.raises(GridlabError, match="it was never started"):
        await room.watch.admit(Mode.ACTIVE, Mode.MONITOR)


async def test_a_confirmation_is_refused_when_it_has_ended_since(room: Room) -> None:
    """The service itself looks when the mode is set: it lived when ACTIVE was asked for."""
    async with Service(room.setup, room.clock, WallClock()) as service:
        async with living_guardian(room.setup, room.clock):
            await service.guardian.require()
        with pytest.raises(GridlabError, match="guardian: it has ended"):
            await service.set_mode(Mode.ACTIVE, who="operator")
        known = commanded.read(room.setup.state)
        assert isinstance(known, commanded.Commanded)
        assert (service.mode, known.mode) == (Mode.OFF, Mode.MONITOR)


async def test_one_that_hangs_is_no_living_one(room: Room) -> None:
    async with living_guardian(room.setup, room.clock):
        room.clock.advance_to(room.setup.guardian_s + 1.0)
        assert (await room.watch.look()).absent == "its last sign of life is 11 s old"


async def test_a_disk_that_does_not_respond_is_no_sign_of_life(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guardian_watch, "LOOK_S", 0.05)
    monkeypatch.setattr(ReliedOn, "life", lambda *_: time.sleep(0.5))
    assert "did not respond within" in (await room.watch.look()).absent
