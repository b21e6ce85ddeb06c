"""A wall clock that jumps is believed only after it has stayed there; until then time goes on as before."""

from datetime import UTC, datetime, timedelta

import pytest

from controller.process.clocks import SteppedClock
from controller.service.steady_time import LASTS_S, SteadyTime

START = datetime(2018, 6, 21, 10, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@pytest.mark.parametrize("jump_s", [100 * 86_400.0, -100 * 86_400.0, 3600.0, -3600.0])
def test_a_jump_for_a_while_changes_nothing_and_one_that_lasts_is_believed(jump_s: float) -> None:
    clock = SteppedClock(START)
    time = SteadyTime(clock)
    clock.advance_to(30.0)
    assert time.now() == after(30.0)
    clock.jump(jump_s)
    clock.advance_to(60.0)
    assert time.now() == after(60.0)
    clock.jump(-jump_s)
    clock.advance_to(90.0)
    assert time.now() == after(90.0)
    clock.jump(jump_s)
    clock.advance_to(120.0)
    assert time.now() == after(120.0)
    clock.advance_to(120.0 + LASTS_S - 1.0)
    assert time.now() == after(120.0 + LASTS_S - 1.0)
    clock.advance_to(120.0 + LASTS_S)
    assert time.now() == after(120.0 + LASTS_S + jump_s)


def test_small_corrections_are_followed_at_once() -> None:
    clock = SteppedClock(START)
    time = SteadyTime(clock)
    for k in range(1, 10):
        clock.jump(60.0)
        clock.advance_to(30.0 * k)
        assert time.now() == after(90.0 * k)
