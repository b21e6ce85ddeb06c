"""Physics of the converter against closed forms, and against an integration in small steps."""

from cmath import isclose, rect
from dataclasses import replace
from math import exp, inf, nan, pi

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.epochs import LAST
from sim_plant.converter import (
    ControlState,
    ConverterError,
    ConverterRating,
    Frame,
    Inputs,
    Refusal,
    State,
    accept,
    initial_state,
    update,
)

RATING = ConverterRating(s_max_kva=15.0, ramp_kva_per_s=0.5, tau_s=2.0)
REST = initial_state(0.0, RATING)
discs = st.builds(rect, st.floats(0, 15), st.floats(0, 2 * pi))


def commanded(s_kva: complex, lease_s: float = 75.0, state: State = REST, rating: ConverterRating = RATING) -> State:
    result = accept(state, Frame(s_kva, lease_s, epoch=1), rating)
    assert isinstance(result, State)
    return result


def test_a_small_step_is_a_first_order_response() -> None:
    state = commanded(0.8 - 0.6j)
    for t_s in (0.0, 0.5, 2.0, 10.0):
        expected = (0.8 - 0.6j) * (1 - exp(-t_s / 2.0))
        assert isclose(update(state, t_s, RATING).s_kva, expected, abs_tol=1e-12)


def test_a_large_step_ramps_until_the_response_is_slower_than_the_ramp() -> None:
    state = commanded(6 + 8j)
    assert isclose(update(state, 10.0, RATING).s_kva, 0.5 * (6 + 8j), abs_tol=1e-12)
    knee_s = 10 / 0.5 - 2.0
    assert isclose(update(state, knee_s, RATING).s_kva, 0.9 * (6 + 8j), abs_tol=1e-12)
    expected = (6 + 8j) * (1 - 0.1 * exp(-3.0 / 2.0))
    assert isclose(update(state, knee_s + 3.0, RATING).s_kva, expected, abs_tol=1e-12)


@given(start=discs, target=discs, t_s=st.floats(0.1, 60))
def test_power_and_energy_agree_with_an_integration_in_small_steps(start: complex, target: complex, t_s: float) -> None:
    state = replace(commanded(target), s_kva=start)
    s, energy, n = start, 0j, 4000
    for _ in range(n):
        rate = (target - s) / RATING.tau_s
        rate *= min(1.0, RATING.ramp_kva_per_s / abs(rate)) if rate else 1.0
        energy += (s + rate * t_s / n / 2) * t_s / n / 3600
        s += rate * t_s / n
    end = update(state, t_s, RATING)
    assert abs(end.s_kva - s) < 5e-3
    assert abs(end.energy_kvah - energy) < 1e-4


@given(start=discs, target=discs, cuts=st.lists(st.floats(0, 200), max_size=5))
def test_steps_may_be_cut_anywhere(start: complex, target: complex, cuts: list[float]) -> None:
    whole = state = replace(commanded(target), s_kva=start)
    for t_s in sorted(cuts):
        state = update(state, t_s, RATING)
        assert abs(state.s_kva) <= 15 + 1e-9
    state, whole = update(state, 200.0, RATING), update(whole, 200.0, RATING)
    assert abs(state.s_kva - whole.s_kva) < 1e-9
    assert abs(state.energy_kvah - whole.energy_kvah) < 1e-9


def test_the_lease_ends_in_the_middle_of_a_step() -> None:
    rating = replace(RATING, safe_kva=1 + 0j)
    state = replace(commanded(3 + 0j, lease_s=40.0, state=initial_state(0.0, rating), rating=rating), s_kva=3 + 0j)
    assert update(state, 39.999, rating).mode is ControlState.REMOTE
    lapsed = update(state, 44.0, rating)
    assert (lapsed.mode, lapsed.setpoint_kva, lapsed.lease_s) == (ControlState.SAFE, 1 + 0j, 0.0)
    knee_s = 2 / 0.5 - 2.0
    assert isclose(lapsed.s_kva, 1 + 1.0 * exp(-(4.0 - knee_s) / 2.0), abs_tol=1e-12)
    assert isclose(update(state, 1e4, rating).s_kva, 1 + 0j, abs_tol=1e-12)


def test_time_does_not_go_back() -> None:
    state = update(commanded(1 + 0j), 10.0, RATING)
    assert update(state, 5.0, RATING) == state


@pytest.mark.parametrize("mode", [ControlState.OFF, ControlState.FAULT, ControlState.LOCAL])
def test_who_holds_the_panel_holds_the_converter(mode: ControlState) -> None:
    running = update(commanded(4 + 0j), 30.0, RATING)
    held = update(running, 30.5, RATING, Inputs(panel=mode))
    assert held.mode is mode
    assert accept(held, Frame(1 + 0j, 75, 1), RATING) is Refusal.STATE
    assert held.s_kva == 0 if mode is not ControlState.LOCAL else 0 < abs(held.s_kva) < abs(running.s_kva)
    free = update(held, 31.0, RATING)
    assert free.mode is ControlState.SAFE
    assert free.epoch == (0 if mode is ControlState.OFF else 1), "power off is a loss of memory"


def test_a_stuck_output_stays_and_a_derated_one_shrinks() -> None:
    running = update(commanded(3 + 4j), 60.0, RATING)
    assert update(replace(running, setpoint_kva=0j), 70.0, RATING, Inputs(stuck=True)).s_kva == running.s_kva
    shrunk = update(running, 74.0, RATING, Inputs(derated_kva=2.0))
    assert isclose(shrunk.s_kva, (3 + 4j) * 2 / 5, rel_tol=1e-2)
    assert accept(shrunk, Frame(3 + 0j, 75, 1), RATING, Inputs(derated_kva=2.0)) is Refusal.CAPABILITY


@pytest.mark.parametrize(
    ("frame", "refusal"),
    [
        (Frame(complex(nan, 0), 75, 1), Refusal.NOT_FINITE),
        (Frame(complex(0, inf), 75, 1), Refusal.NOT_FINITE),
        (Frame(15.1 + 0j, 75, 1), Refusal.CAPABILITY),
        (Frame(12 + 12j, 75, 1), Refusal.CAPABILITY),
        (Frame(1 + 0j, 0, 1), Refusal.LEASE),
        (Frame(1 + 0j, nan, 1), Refusal.LEASE),
        (Frame(1 + 0j, inf, 1), Refusal.LEASE),
        (Frame(1 + 0j, 75, 0), Refusal.EPOCH),
    ],
)
def test_what_is_refused(frame: Frame, refusal: Refusal) -> None:
    assert accept(commanded(2 + 0j), frame, RATING) is refusal


def test_a_release_and_a_setpoint_without_lease_at_the_safe_state_drop_the_setpoint() -> None:
    for frame in (Frame(9 + 0j, 75, 2, enable=False), Frame(0j, 0, 2)):
        state = accept(commanded(2 + 0j), frame, RATING)
        assert isinstance(state, State)
        assert (state.mode, state.setpoint_kva, state.epoch) == (ControlState.SAFE, 0j, 2)


@pytest.mark.parametrize("epoch", [0, 2, 9, LAST])
def test_a_release_is_accepted_from_every_writer_and_lets_no_older_one_back(epoch: int) -> None:
    held = replace(commanded(2 + 0j), epoch=9)
    state = accept(held, Frame(0j, 0, epoch, enable=False), RATING)
    assert isinstance(state, State)
    assert (state.mode, state.epoch) == (ControlState.SAFE, 9)
    refused = accept(held, Frame(0j, 0, epoch, enable=False), RATING, Inputs(plain_epochs=True))
    assert (refused is Refusal.EPOCH) is (epoch < 9)


def test_after_the_last_epoch_comes_the_first() -> None:
    held = replace(commanded(2 + 0j), epoch=LAST)
    assert isinstance(accept(held, Frame(1 + 0j, 75, 1), RATING), State)
    assert accept(held, Frame(1 + 0j, 75, LAST - 1), RATING) is Refusal.EPOCH
    assert accept(held, Frame(1 + 0j, 75, 1), RATING, Inputs(plain_epochs=True)) is Refusal.EPOCH


@pytest.mark.parametrize(
    "rating", [{"s_max_kva": 0}, {"ramp_kva_per_s": -1}, {"tau_s": 0}, {"safe_kva": 16 + 0j}, {"tau_s": nan}]
)
def test_a_rating_that_no_converter_has(rating: dict[str, float]) -> None:
    with pytest.raises(ConverterError, match="allowed"):
        ConverterRating(**{"s_max_kva": 15.0, "ramp_kva_per_s": 0.5, **rating})
