"""Account of an emulated battery, with and without measurements."""

from dataclasses import replace
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.resources import Battery
from realtime.emulation import BatteryState, InForce, advance, battery_power, emulate, explains, range_after
from realtime.plane import Interval, Power
from realtime.storage import SocRange
from realtime.timing import HOLD_DATA_S, LEASE_S
from realtime.tracker import LoadAndPv
from tests.realtime.strategies import amounts, batteries, floats, intervals, powers

BATTERY = Battery(2.5, 2.5)
LOSSY = replace(BATTERY, efficiency=0.9)
START = BatteryState(0.5)


def discharging(battery_kw: float, load_kw: float = 1.0, pv_kw: float = 2.0) -> InForce:
    return InForce(load_kw, 0.3, pv_kw, Power(battery_kw, 0.0), 0.0)


def measured(battery_kw: float, load_kw: float = 1.0, pv_kw: float = 2.0) -> Power:
    return Power(load_kw - pv_kw - battery_kw, 0.3)


@pytest.mark.parametrize(
    ("battery", "battery_kw", "seconds", "soc", "charged", "discharged"),
    [
        (BATTERY, 1.0, 36.0, 0.496, 0.0, 0.01),
        (BATTERY, -1.0, 36.0, 0.504, 0.01, 0.0),
        (LOSSY, 0.9, 36.0, 0.496, 0.0, 0.009),
        (LOSSY, -1.0, 36.0, 0.5036, 0.01, 0.0),
        (BATTERY, 1.0, 0.0, 0.5, 0.0, 0.0),
    ],
    ids=["discharge", "charge", "lossy discharge", "lossy charge", "no time"],
)
def test_measured_power_over_the_real_time(
    battery: Battery, battery_kw: float, seconds: float, soc: float, charged: float, discharged: float
) -> None:
    """The command (0) does not matter where there is a measurement."""
    after = advance(battery, START, discharging(0.0), measured(battery_kw), seconds)
    assert (after.soc, after.charged_kwh, after.discharged_kwh) == pytest.approx((soc, charged, discharged))
    assert after.battery_kw == pytest.approx(battery_kw)
    assert (after.soc_range.low, after.soc_range.high, after.estimated_kwh) == (after.soc, after.soc, 0.0)


def test_battery_is_what_load_and_pv_leave_over() -> None:
    assert battery_power(Power(-2.0, 0.5), 1.0, 0.2, 4.0).distance_kva(Power(-1.0, -0.3)) < 1e-12


steps = st.tuples(floats(-4, 4), st.one_of(st.none(), floats(-4, 4)), floats(0, 120))


@given(battery=batteries, history=st.lists(steps, max_size=20))
def test_account_balance(battery: Battery, history: list[tuple[float, float | None, float]]) -> None:
    """ΔSoC · E = η charged − discharged/η, but for what a full or empty battery could not take."""
    state = BatteryState(0.5)
    for commanded, seen, seconds in history:
        power = None if seen is None else measured(seen)
        state = advance(battery, state, discharging(commanded), power, seconds)
        assert 0 <= state.soc <= 1
        assert state.soc_range.low <= state.soc <= state.soc_range.high
    stored = battery.efficiency * state.charged_kwh - state.discharged_kwh / battery.efficiency
    assert abs((state.soc - 0.5) * battery.energy_kwh - stored) <= state.unexplained_kwh + 1e-9
    assert state.estimated_kwh <= state.charged_kwh + state.discharged_kwh + 1e-9


@given(
    commanded=floats(-1.7, 1.7),
    before=floats(-1.7, 1.7),
    true_share=floats(0, 1),
    gap_s=floats(0, 45),
    after=floats(-1.7, 1.7),
)
def test_the_true_state_of_charge_is_within_the_doubt(
    commanded: float, before: float, true_share: float, gap_s: float, after: float
) -> None:
    """Whatever the converter did among command, last measurement and standstill, and whatever is measured later."""
    low, high = min(commanded, before, 0.0), max(commanded, before, 0.0)
    true_kw = low + true_share * (high - low)
    state = advance(BATTERY, START, discharging(before), measured(before), 30.0)
    truth = state.soc - true_kw * gap_s / 3600 / 2.5
    state = advance(BATTERY, state, discharging(commanded), None, gap_s)
    assert state.soc_range.low - 1e-12 <= truth <= state.soc_range.high + 1e-12
    follows = abs(after - commanded) <= 0.125
    truth -= after * 30 / 3600 / 2.5
    state = advance(BATTERY, state, discharging(commanded), measured(after), 30.0)
    if not follows:
        assert state.soc_range.low - 1e-12 <= truth <= state.soc_range.high + 1e-12


def test_a_gap_follows_the_command_with_doubt_on_both_sides() -> None:
    state = advance(BATTERY, replace(START, battery_kw=-0.5), discharging(1.0), None, 36.0)
    assert state.soc == pytest.approx(0.496)
    assert state.soc_range.low == pytest.approx(0.496)
    assert state.soc_range.high == pytest.approx(0.502)
    assert state.estimated_kwh == pytest.approx(0.01)


def test_a_gap_that_ends_on_the_command_was_followed() -> None:
    state = advance(BATTERY, START, discharging(1.0), None, 36.0)
    closed = advance(BATTERY, state, discharging(1.0), measured(1.1), 0.0)
    assert closed.soc_range == SocRange(state.soc, state.soc)
    elsewhere = advance(BATTERY, state, discharging(1.0), measured(0.2), 0.0)
    assert elsewhere.soc_range == state.soc_range
    assert elsewhere.gap.seconds == 0


def test_beyond_the_lease_the_command_says_nothing() -> None:
    state = START
    for _ in range(10):
        state = advance(BATTERY, state, discharging(1.0), None, 30.0)
    assert state.soc == pytest.approx(0.5 - LEASE_S / 3600 / 2.5)
    assert state.soc_range.low == pytest.approx(0.5 - 300 / 3600 / 2.5)
    assert state.soc_range.high == pytest.approx(0.5)
    assert advance(BATTERY, state, discharging(1.0), measured(1.0), 0.0).soc_range == state.soc_range


def test_a_reading_vouches_for_45_seconds() -> None:
    """Time before that was not seen, although a reading came at last."""
    state = advance(BATTERY, START, discharging(1.0), measured(0.0), HOLD_DATA_S + 18.0)
    assert state.soc == pytest.approx(0.498)
    assert state.soc_range.high == pytest.approx(0.5)


def test_after_an_absence_longer_than_the_lease_nothing_was_operated() -> None:
    state = advance(BATTERY, START, discharging(1.0), measured(1.0), 3600.0)
    assert state.soc == state.soc_range.low == pytest.approx(0.5 - LEASE_S / 3600 / 2.5)
    assert state.soc_range.high == pytest.approx(0.5)
    assert (state.battery_kw, state.gap.seconds) == (0.0, 0.0)


def test_a_node_that_is_not_operated_rests() -> None:
    state = advance(BATTERY, replace(START, battery_kw=1.0), None, Power(3.0, 0.0), 30.0)
    assert (state.soc, state.battery_kw) == (0.5, 0.0)


def test_a_full_battery_takes_no_more() -> None:
    state = advance(BATTERY, BatteryState(1.0), discharging(-1.0), measured(-1.0), 36.0)
    assert state.soc == 1.0
    assert state.unexplained_kwh == pytest.approx(0.01)


@pytest.mark.parametrize(("battery_kw", "possible"), [(1.7, True), (-1.85, True), (2.0, False), (-2.5, False)])
def test_power_that_no_such_battery_has(battery_kw: float, possible: bool) -> None:
    assert explains(BATTERY, battery_kw) == possible


@pytest.mark.parametrize(
    ("power", "seconds"), [(Power(nan, 0), 30.0), (None, nan), (None, -1.0), (Power(0, 0), float("inf"))]
)
def test_nothing_is_booked_that_is_not_a_number(power: Power | None, seconds: float) -> None:
    with pytest.raises(ValueError, match="cannot book"):
        advance(BATTERY, START, discharging(0.0), power, seconds)


@given(
    net=powers(15),
    now=amounts,
    share=floats(0, 1),
    battery=intervals(3).filter(lambda i: i.lower_kw <= 0 <= i.upper_kw),
)
def test_what_is_in_force_adds_up_within_its_limits(
    net: Power, now: LoadAndPv, share: float, battery: Interval
) -> None:
    pv_kw = share * now.pv_available_kw
    found = emulate(net, now, pv_kw, battery)
    assert found.load_kw - found.battery.p_kw - found.pv_kw == pytest.approx(net.p_kw, abs=1e-9)
    assert found.load_kvar - found.battery.q_kvar == pytest.approx(net.q_kvar, abs=1e-9)
    assert battery.lower_kw <= found.battery.p_kw <= battery.upper_kw
    assert 0 <= found.pv_kw <= pv_kw
    assert found.mismatch_kw == pytest.approx(found.load_kw - now.load_kw)


@pytest.mark.parametrize(
    ("net_kw", "battery_kw", "pv_kw", "load_kw"),
    [
        (-2.0, -1.0, 4.0, 1.0),
        (-1.5, -1.5, 4.0, 1.0),
        (-1.0, -1.5, 3.5, 1.0),
        (2.5, -1.5, 0.0, 1.0),
        (4.0, -1.5, 0.0, 2.5),
        (-5.0, 1.5, 4.0, 0.5),
    ],
    ids=["in range", "at the limit", "less PV", "no PV", "more load", "less load"],
)
def test_first_the_battery_then_pv_then_load(net_kw: float, battery_kw: float, pv_kw: float, load_kw: float) -> None:
    found = emulate(Power(net_kw, 0.0), LoadAndPv(1.0, 0.0, 4.0), 4.0, Interval(-1.5, 1.5))
    assert (found.battery.p_kw, found.pv_kw, found.load_kw) == pytest.approx((battery_kw, pv_kw, load_kw))


def test_state_of_charge_until_the_write() -> None:
    """It may go on as commanded, as last seen, or not at all."""
    state = replace(START, battery_kw=-0.5)
    ahead = range_after(BATTERY, state, discharging(1.0), 36.0)
    assert (ahead.low, ahead.high) == pytest.approx((0.496, 0.502))
    assert range_after(BATTERY, START, None, 36.0) == SocRange(0.5, 0.5)
