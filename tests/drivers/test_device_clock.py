"""Which clocks of a device are believed: those that go on as ours does, and new ones that three readings agree on."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.device_clock import READINGS, TOLERANCE_S, DeviceClock

START_S = 1529575200.0
POLL_S = 5.0
JUMPS_S = st.floats(-1e9, 1e9).filter(lambda jump_s: abs(jump_s) > TOLERANCE_S + POLL_S)


def believed(clock: DeviceClock, sights: Iterable[tuple[float, float]]) -> list[bool]:
    """Of (device's clock, ours), one after the other."""
    return [not clock.jump(device_s, ours_s) for device_s, ours_s in sights]


def honest(offset_s: float, first: int, n: int) -> list[tuple[float, float]]:
    """Polls of a clock that is ``offset_s`` ahead of START_S."""
    return [(START_S + offset_s + k * POLL_S, k * POLL_S) for k in range(first, first + n)]


@given(
    polls_s=st.lists(st.floats(0.1, 3600), min_size=1, max_size=20),
    rate=st.floats(0.99, 1.01),
    offset_s=st.floats(0, 2e9),
)
def test_a_clock_that_drifts_is_believed(polls_s: list[float], rate: float, offset_s: float) -> None:
    times_s = [sum(polls_s[:k]) for k in range(len(polls_s) + 1)]
    assert all(believed(DeviceClock(), [(offset_s + rate * time_s, time_s) for time_s in times_s]))


@given(jump_s=JUMPS_S)
def test_one_wrong_clock_is_doubted_and_the_right_one_believed_again_at_once(jump_s: float) -> None:
    clock = DeviceClock()
    assert all(believed(clock, honest(0.0, 0, 2)))
    assert believed(clock, honest(jump_s, 2, 1)) == [False]
    assert all(believed(clock, honest(0.0, 3, 2)))


@given(jump_s=JUMPS_S)
def test_a_clock_that_was_set_is_believed_at_the_third_reading(jump_s: float) -> None:
    clock = DeviceClock()
    believed(clock, honest(0.0, 0, 1))
    assert believed(clock, honest(jump_s, 1, 4)) == [False] * (READINGS - 1) + [True, True]
    assert believed(clock, honest(0.0, 5, 4)) == [False] * (READINGS - 1) + [True, True]


def test_a_device_that_was_restarted_counts_from_0() -> None:
    clock = DeviceClock()
    believed(clock, honest(0.0, 0, 3))
    assert believed(clock, honest(-START_S, 3, 4)) == [False, False, True, True]


@given(jumps_s=st.lists(JUMPS_S.map(abs), min_size=3, max_size=20), sign=st.sampled_from((-1, 1)))
def test_wrong_clocks_that_contradict_each_other_are_never_believed(jumps_s: list[float], sign: int) -> None:
    clock = DeviceClock()
    believed(clock, honest(0.0, 0, 1))
    wrong = [sight for k in range(1, len(jumps_s) + 1) for sight in honest(sign * sum(jumps_s[:k]), k, 1)]
    assert not any(believed(clock, wrong))


@pytest.mark.parametrize("back_s", [0.001, 1.0, 30.0])
def test_a_reading_from_before_the_last_one_is_doubted(back_s: float) -> None:
    clock = DeviceClock()
    believed(clock, honest(0.0, 0, 3))
    assert clock.jump(START_S + 2 * POLL_S - back_s, 3 * POLL_S)


def test_a_clock_that_stands_has_not_left_its_course() -> None:
    clock = DeviceClock()
    believed(clock, honest(0.0, 0, 1))
    assert all(believed(clock, [(START_S, k * POLL_S) for k in range(100)]))
    assert all(believed(clock, honest(0.0, 100, 3))), "it shows the right time again"


def test_a_clock_that_goes_on_where_it_stood_is_one_that_was_set() -> None:
    clock = DeviceClock()
    believed(clock, [(START_S, k * POLL_S) for k in range(100)])
    assert believed(clock, honest(-99 * POLL_S, 100, 3)) == [False, False, True]


def test_what_is_said_of_it() -> None:
    clock = DeviceClock()
    believed(clock, honest(0.0, 0, 1))
    assert clock.jump(START_S + 3605, 5.0) == "went on by 3605 s in 5 s, tolerated ±60 s and never backward"
