"""The voltage slope of one node: what it corrects, in which order, within which limits, and when it lets go."""

from dataclasses import replace
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.devices import Outcome
from core.prices import VoltageSlope
from core.resources import Battery, Capability
from realtime.chain import step_node
from realtime.cycle import CycleInputs, CycleMemory, decide, next_states
from realtime.emulation import BatteryState
from realtime.fallback import Rung
from realtime.node import AgedTarget, DeviceSetpoint, NodeLimits, NodeNow, NodeResult, NodeState, PlanTargets
from realtime.override import Override
from realtime.plane import Power
from realtime.reasons import Reason
from realtime.slope import NO_CORRECTION, RELEASE, Correction, next_correction, shifted
from realtime.storage import Storage, allowed_power
from realtime.tracker import LoadAndPv, Target, track
from tests.realtime.plant import BEFORE, NOON, RUNNING, TARGET, reading, snapshot, status
from tests.realtime.strategies import amounts, floats, storages, targets

SLOPE = VoltageSlope(v_low_pu=0.952, v_high_pu=1.048, kw_per_pu=40.0, kvar_per_pu=60.0)
BATTERY = Battery(2.5, 2.5)
LIMITS = NodeLimits("P", BATTERY, 15.0, 0.25)
PLAN = PlanTargets(AgedTarget(TARGET, 60.0, SLOPE))
BOX = BATTERY.power_box_kw


def storage(soc: float = 0.5, battery: Battery = BATTERY) -> Storage:
    at = BatteryState(soc).soc_range
    return Storage(battery, soc, allowed_power(battery, at, 105 / 3600))


@pytest.mark.parametrize(
    ("w_pu", "v_pu", "expected"),
    [
        (0.0, 1.0, 0.0),
        (0.0, 1.048, 0.0),
        (0.0, 1.06, 0.012),
        (0.01, 1.06, 0.022),
        (0.01, 1.040, 0.01 - RELEASE * 0.008),
        (0.001, 1.0, 0.0),
        (0.0, 0.94, -0.012),
        (-0.01, 0.94, -0.022),
        (-0.01, 0.956, -0.01 + RELEASE * 0.004),
        (-0.001, 1.0, 0.0),
        (0.001, 0.94, 0.0),
    ],
)
def test_the_correction_is_the_sum_of_what_lay_outside_the_band(w_pu: float, v_pu: float, expected: float) -> None:
    found = next_correction(Correction(w_pu, 970.0), SLOPE, v_pu, 1000.0)
    assert found.w_pu == pytest.approx(expected, abs=1e-12)
    assert found.seen_s == 1000.0


@pytest.mark.parametrize("v_pu", [None, nan, inf, -inf, 0.0, 0.4, 10.5])
def test_without_a_voltage_it_is_kept_for_45_s_and_then_given_up(v_pu: float | None) -> None:
    standing = Correction(0.02, 1000.0)
    assert next_correction(standing, SLOPE, v_pu, 1045.0) == standing
    assert next_correction(standing, SLOPE, v_pu, 1046.0) == NO_CORRECTION
    assert next_correction(NO_CORRECTION, SLOPE, v_pu, 1000.0) == NO_CORRECTION


def test_without_a_slope_there_is_no_correction() -> None:
    assert next_correction(Correction(0.02, 990.0), None, 1.1, 1000.0) == NO_CORRECTION


def test_reactive_power_comes_first_then_the_battery_then_less_pv() -> None:
    tracked = track(TARGET, NOON, storage(), 30 / 3600)
    assert (tracked.battery.p_kw, tracked.battery.q_kvar, tracked.pv_kw) == pytest.approx((-1.0, 0.2, 4.0))
    little = shifted(tracked, 0.01, SLOPE, NOON, storage())
    assert (little.net.p_kw, little.net.q_kvar, little.pv_kw) == pytest.approx((-2.0, 0.6, 4.0))
    q_kvar, q_pu = 0.2 + BOX, (0.2 + BOX) / 60
    more = shifted(tracked, q_pu + 0.01, SLOPE, NOON, storage())
    assert (more.net.p_kw, more.net.q_kvar, more.pv_kw) == pytest.approx((-1.6, q_kvar, 4.0))
    much = shifted(tracked, q_pu + 0.05, SLOPE, NOON, storage())
    assert (much.net.p_kw, much.net.q_kvar) == pytest.approx((0.0, q_kvar))
    assert much.pv_kw == pytest.approx(4.0 - (2.0 - (BOX - 1.0)))
    for w_pu, moved in ((0.01, little), (q_pu + 0.01, more), (q_pu + 0.05, much)):
        assert moved.done_pu == pytest.approx(w_pu)
    everything = shifted(tracked, 1.0, SLOPE, NOON, storage())
    assert (everything.net.p_kw, everything.pv_kw) == pytest.approx((NOON.load_kw + BOX, 0.0))
    assert everything.done_pu == pytest.approx(q_pu + (BOX - 1.0 + 4.0) / 40)


def test_upward_curtailed_pv_comes_before_the_battery() -> None:
    tracked = track(Target(-2.0, 0.0, 0.9), NOON, storage(), 30 / 3600)
    assert (tracked.battery.p_kw, tracked.pv_kw) == pytest.approx((-0.6, 3.6))
    q_pu = (BOX - 0.2) / 60
    moved = shifted(tracked, -q_pu - 0.01, SLOPE, NOON, storage())
    assert (moved.net.p_kw, moved.pv_kw) == pytest.approx((-2.4, 4.0))
    moved = shifted(tracked, -q_pu - 0.02, SLOPE, NOON, storage())
    assert (moved.net.p_kw, moved.pv_kw) == pytest.approx((-2.8, 4.0))
    assert moved.done_pu == pytest.approx(-q_pu - 0.02)


@given(targets, amounts, storages(105 / 3600) | st.none(), floats(-0.1, 0.1), floats(0, 200), floats(0, 200))
def test_no_limit_is_left_and_the_direction_is_right(
    target: Target, now: LoadAndPv, held: Storage | None, w_pu: float, kw: float, kvar: float
) -> None:
    slope = VoltageSlope(0.95, 1.05, kw, kvar)
    tracked = track(target, now, held, 30 / 3600)
    moved = shifted(tracked, w_pu, slope, now, held)
    b_kw, b_kvar = now.load_kw - moved.pv_kw - moved.net.p_kw, now.load_kvar - moved.net.q_kvar
    assert -1e-9 <= moved.pv_kw <= now.pv_available_kw + 1e-9
    if held is None:
        assert (b_kw, b_kvar) == pytest.approx((0, 0), abs=1e-9)
    else:
        limit = held.battery.power_box_kw + 1e-9
        assert abs(b_kw) <= limit
        assert abs(b_kvar) <= limit
        assert held.allowed.lower_kw - 1e-9 <= b_kw <= held.allowed.upper_kw + 1e-9
        if held.battery.capability is Capability.DISC:
            assert Power(b_kw, b_kvar).s_kva <= held.battery.s_max_kva + 1e-6
    sign = 1 if w_pu > 0 else -1
    assert -1e-9 <= sign * moved.done_pu <= abs(w_pu) + 1e-9
    assert sign * (moved.net.p_kw - tracked.net.p_kw) >= -1e-9
    assert sign * (moved.net.q_kvar - tracked.net.q_kvar) >= -1e-9


def cycle(
    v_pu: float | None, state: NodeState = RUNNING, *, at_s: float = 1000.0, targets: PlanTargets = PLAN, **now: object
) -> tuple[NodeResult, NodeState]:
    """The chain with a device that holds what was sent last."""
    held = state.sent or BEFORE
    known = NodeNow(NOON, DeviceSetpoint(held, at_s - 30), v_pu=v_pu)
    seen = reading("c", held, at_s - 1)
    return step_node(at_s, seen, replace(known, **now), targets, state, LIMITS)  # type: ignore[arg-type]


def test_inside_the_band_nothing_differs_from_a_plan_without_a_slope() -> None:
    plain = PlanTargets(AgedTarget(TARGET, 60.0))
    result, state = cycle(1.0)
    assert (result, replace(state, correction=NO_CORRECTION)) == cycle(1.0, targets=plain)
    assert cycle(None) == cycle(None, targets=plain)


def test_outside_the_band_the_setpoint_moves_says_why_and_is_booked() -> None:
    result, state = cycle(1.068)
    assert result.setpoint is not None
    assert (result.setpoint.p_kw, result.setpoint.q_kvar) == pytest.approx((-2.0, 1.2), abs=1e-3)
    assert result.reasons == (Reason.VOLTAGE_SLOPE,)
    assert (result.target, result.slope_pu) == (TARGET, pytest.approx(0.02, rel=1e-3))
    result, state = cycle(1.068, state, at_s=1030.0)
    assert result.setpoint is not None
    assert result.setpoint.p_kw > -2.0
    assert result.in_force is not None
    assert result.in_force.battery.p_kw == pytest.approx(NOON.load_kw - 4.0 - result.setpoint.p_kw)
    charged, _ = cycle(1.04, state, at_s=1060.0)
    assert charged.soc is not None
    assert result.soc is not None
    assert charged.soc - result.soc == pytest.approx(-result.in_force.battery.p_kw * 30 / 3600 / 2.5)


def test_a_full_battery_leaves_it_to_pv() -> None:
    result, _ = cycle(1.12, replace(RUNNING, battery=BatteryState(0.9)))
    assert result.in_force is not None
    assert result.in_force.battery.p_kw >= 0
    assert result.in_force.pv_kw < 2.97


def test_nothing_winds_up_where_everything_is_used() -> None:
    state = RUNNING
    for k in range(20):
        result, state = cycle(1.3, state, at_s=1000.0 + 30 * k)
    assert result.in_force is not None
    assert result.in_force.pv_kw == pytest.approx(0, abs=2e-3)
    most_pu = (0.2 + BOX) / 60 + (BOX - 1.0 + 4.0) / 40
    assert state.correction.w_pu == pytest.approx(most_pu, rel=0.02)


def test_a_setpoint_on_the_ramp_counts_as_far_as_it_goes() -> None:
    slow = replace(LIMITS, ramp_kva_per_s=0.01)
    known = NodeNow(NOON, DeviceSetpoint(Power(-2.0, 0.0), 970.0), v_pu=1.088)
    result, state = step_node(1000.0, reading("c", Power(-2.0, 0.0), 999.0), known, PLAN, RUNNING, slow)
    assert Reason.RAMP in result.reasons
    assert result.setpoint is not None
    asked_kva, got_kva = Power(0.0, 0.2 + BOX), Power(2.0 + result.setpoint.p_kw, result.setpoint.q_kvar)
    assert got_kva.s_kva < 0.35
    assert 0 < state.correction.w_pu < 0.04 * 0.5
    assert got_kva.s_kva < asked_kva.s_kva


def test_the_safe_state_an_override_and_a_node_that_sends_nothing_have_no_correction() -> None:
    standing = replace(RUNNING, correction=Correction(0.02, 970.0))
    _, state = cycle(1.1, standing, targets=PlanTargets())
    assert state.correction == NO_CORRECTION
    result, state = cycle(1.1, standing, targets=Override(1.0, 0.5, 2000.0).targets)
    assert state.correction == NO_CORRECTION
    assert Reason.VOLTAGE_SLOPE not in result.reasons
    _, state = cycle(1.1, standing, stop=True)
    assert state.correction == NO_CORRECTION
    result, _ = cycle(1.058, replace(standing, sent=None))
    assert result.slope_pu == pytest.approx(0.01, rel=1e-2), "what was corrected before was released"


def test_while_a_setpoint_is_held_its_correction_is_too() -> None:
    standing = replace(RUNNING, correction=Correction(0.02, 970.0))
    known = NodeNow(NOON, DeviceSetpoint(BEFORE, 970.0), v_pu=1.1)
    result, state = step_node(1000.0, None, known, PLAN, standing, LIMITS)
    assert (result.rung, state.correction) == (Rung.HOLD, Correction(0.02, 970.0))


def test_a_refused_setpoint_corrects_nothing() -> None:
    said = {"c": status(BEFORE)}
    image = snapshot(1000.0, reading("c", BEFORE, 999.0), statuses=said)
    inputs = CycleInputs({"P": NOON}, {"P": PLAN}, voltages_pu={"c": 1.068})
    before = {"c": replace(RUNNING, correction=Correction(0.001, 970.0))}
    decided = decide(image, inputs, CycleMemory(before, {"c": 970.0}), {"c": LIMITS})
    assert decided.states["c"].correction.w_pu > 0.01
    assert next_states(decided, before, {"c": Outcome.REJECTED})["c"].correction == Correction(0.001, 970.0)
    assert next_states(decided, before, {"c": Outcome.VERIFIED})["c"].correction.w_pu > 0.01


def test_in_monitor_it_does_not_add_up() -> None:
    states = {"c": RUNNING}
    inputs = CycleInputs({"P": NOON}, {"P": PLAN}, voltages_pu={"c": 1.058}, write=False)
    for k in range(5):
        image = snapshot(1000.0 + 30 * k, reading("c", BEFORE, 999.0 + 30 * k), statuses={"c": status(BEFORE)})
        decided = decide(image, inputs, CycleMemory(states, {}), {"c": LIMITS})
        states = dict(decided.states)
        assert decided.nodes["P"].slope_pu <= 0.0101


def test_several_converters_move_together() -> None:
    limits = {
        name: NodeLimits("P", BATTERY, 20.0 * share, 0.25, share) for name, share in (("big", 0.75), ("small", 0.25))
    }
    states = {
        name: replace(RUNNING, sent=Power(share * -2.0, share * 0.1), in_force=None)
        for name, share in (("big", 0.75), ("small", 0.25))
    }
    held = {name: state.sent or BEFORE for name, state in states.items()}
    image = snapshot(
        1000.0,
        *(reading(name, power, 999.0) for name, power in held.items()),
        statuses={name: status(power) for name, power in held.items()},
    )
    inputs = CycleInputs({"P": NOON}, {"P": PLAN}, voltages_pu={"big": 1.058, "small": 1.058})
    decided = decide(image, inputs, CycleMemory(states, dict.fromkeys(limits, 970.0)), limits)
    q_kvar = {name: write.setpoint.q_kvar for name, write in decided.writes.items() if write.setpoint}
    assert q_kvar == pytest.approx({"big": 0.45, "small": 0.15}, abs=2e-3)
    assert decided.nodes["P"].slope_pu == pytest.approx(0.01, rel=1e-2)


def test_a_restart_goes_on_with_it_but_not_after_a_lease() -> None:
    standing = replace(RUNNING, cycle_s=1000.0, correction=Correction(0.02, 998.0))
    resumed = standing.resumed(at_s=50.0, away_s=20.0)
    assert resumed.correction == Correction(0.02, 28.0)
    assert standing.resumed(at_s=500.0, away_s=80.0).correction == NO_CORRECTION
