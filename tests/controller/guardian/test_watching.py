"""When a guardian takes over and when it does not; times by hand."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.guardian.watching import SILENCE_S, Action, WatchState, watch
from controller.process.heartbeat import Heartbeat, NoHeartbeat
from controller.process.modes import Mode

NOTHING, TAKE_OVER, STEP_BACK = Action.NOTHING, Action.TAKE_OVER, Action.STEP_BACK
BOOT = "this"


def beat(at_s: float, epoch: int = 5, mode: Mode = Mode.ACTIVE, boot: str = BOOT) -> Heartbeat:
    return Heartbeat(epoch, mode, datetime(2018, 6, 21, tzinfo=UTC), at_s, boot)


class Eyes:
    """Looks one after the other."""

    def __init__(self) -> None:
        self.known = WatchState()

    def look(self, found: Heartbeat | NoHeartbeat, now_s: float) -> Action:
        self.known, action = watch(self.known, found, now_s, BOOT)
        return action


def test_silence_after_a_heartbeat() -> None:
    eyes, last = Eyes(), beat(100.0)
    assert eyes.look(last, 100.5) is STEP_BACK
    assert eyes.look(last, 159.9) is NOTHING
    assert eyes.look(last, 160.0) is TAKE_OVER
    assert eyes.known.overtaken == 5
    assert [eyes.look(last, t_s) for t_s in (161.0, 300.0, 1e6)] == [NOTHING] * 3


def test_the_first_look_may_come_late() -> None:
    assert Eyes().look(beat(100.0), 170.0) is TAKE_OVER


@pytest.mark.parametrize("found", [beat(1e6), beat(0.0, boot="another")])
def test_a_clock_that_cannot_be_compared_counts_from_the_first_sight(found: Heartbeat) -> None:
    eyes = Eyes()
    assert [eyes.look(found, t_s) for t_s in (100.0, 159.9, 160.0)] == [STEP_BACK, NOTHING, TAKE_OVER]


def test_nothing_to_guard() -> None:
    eyes = Eyes()
    for mode in (Mode.MONITOR, Mode.OFF):
        assert [eyes.look(beat(100.0, mode=mode), t_s) for t_s in (100.0, 1e5)] == [NOTHING] * 2
    assert [Eyes().look(NoHeartbeat.MISSING, t_s) for t_s in (0.0, 1e5)] == [NOTHING] * 2


def test_a_stop_disarms() -> None:
    eyes = Eyes()
    eyes.look(beat(100.0), 100.0)
    assert [eyes.look(beat(150.0, mode=Mode.OFF), t_s) for t_s in (150.0, 1e5)] == [NOTHING] * 2


@pytest.mark.parametrize("sight", NoHeartbeat)
def test_a_heartbeat_that_goes_bad_is_silence(sight: NoHeartbeat) -> None:
    eyes = Eyes()
    eyes.look(beat(100.0), 100.0)
    assert [eyes.look(sight, t_s) for t_s in (130.0, 159.0, 160.0, 300.0)] == [NOTHING, NOTHING, TAKE_OVER, NOTHING]
    assert eyes.known.overtaken == 5


@pytest.mark.parametrize("before", [None, Mode.MONITOR])
def test_a_damaged_one_counts_from_the_first_sight(before: Mode | None) -> None:
    """Nobody knows what it said."""
    eyes = Eyes()
    if before:
        eyes.look(beat(90.0, mode=before), 90.0)
    times_s = (100.0, 159.9, 160.0, 161.0, 300.0)
    assert [eyes.look(NoHeartbeat.DAMAGED, t_s) for t_s in times_s] == [NOTHING, NOTHING, TAKE_OVER, NOTHING, NOTHING]
    assert eyes.look(beat(310.0, epoch=6), 310.0) is STEP_BACK


def test_the_old_writer_is_released_again_and_a_new_one_is_not() -> None:
    eyes = Eyes()
    eyes.look(beat(100.0), 160.0)
    assert eyes.look(beat(170.0), 170.0) is TAKE_OVER
    assert eyes.look(beat(170.0), 171.0) is NOTHING
    assert eyes.look(beat(200.0), 200.0) is TAKE_OVER
    assert eyes.look(beat(210.0, epoch=6), 210.0) is STEP_BACK
    assert eyes.known.overtaken is None
    assert eyes.look(beat(210.0, epoch=6), 270.0) is TAKE_OVER
    assert eyes.known.overtaken == 6


def test_a_writer_that_has_yielded_takes_a_new_epoch_whatever_it_is() -> None:
    """Journal and devices may both have lost the number."""
    eyes = Eyes()
    eyes.look(beat(100.0), 160.0)
    assert eyes.look(beat(170.0, mode=Mode.MONITOR), 170.0) is NOTHING
    assert eyes.look(beat(180.0, epoch=1), 180.0) is STEP_BACK


@given(gaps=st.lists(st.floats(0.1, 100.0), min_size=1, max_size=20), look_s=st.floats(0.5, 5.0))
def test_it_takes_over_exactly_in_silences(gaps: list[float], look_s: float) -> None:
    """Every heartbeat is of a new epoch, so that each begins anew."""
    eyes, now_s = Eyes(), 0.0
    for epoch, gap in enumerate(gaps):
        found, end_s, taken = beat(now_s, epoch), now_s + gap, []
        while now_s < end_s:
            if eyes.look(found, now_s) is TAKE_OVER:
                taken.append(now_s - found.monotonic_s)
            now_s += look_s
        assert len(taken) <= 1
        assert all(SILENCE_S <= silent_s < SILENCE_S + look_s + 1e-6 for silent_s in taken)
        assert bool(taken) or gap < SILENCE_S + look_s
