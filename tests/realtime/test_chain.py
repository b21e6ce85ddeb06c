"""The chain of one prosumer: which setpoint it gets, and why."""

from dataclasses import replace
from math import nan

import pytest

from core.devices import Measurement, Quality
from core.resources import Battery
from realtime.chain import step_node
from realtime.emulation import BatteryState
from realtime.fallback import LadderState, Rung, Source
from realtime.node import AgedTarget, DeviceSetpoint, NodeLimits, NodeNow, NodeResult, NodeState, PlanTargets
from realtime.plane import ZERO, Power
from realtime.reasons import Reason
from realtime.tracker import LoadAndPv, Target
from tests.realtime.plant import BEFORE, NOON, RUNNING, TARGET, offers, reading

BATTERY = Battery(2.5, 2.5)
LIMITS = NodeLimits("P", BATTERY, 15.0, 0.25)
NOW = NodeNow(NOON, DeviceSetpoint(BEFORE, 970.0))
SEEN = reading("c", BEFORE, 999.0)


def run(
    now: NodeNow = NOW,
    seen: Measurement | None = SEEN,
    targets: PlanTargets | None = None,
    state: NodeState = RUNNING,
    limits: NodeLimits = LIMITS,
    at_s: float = 1000.0,
) -> tuple[NodeResult, NodeState]:
    return step_node(at_s, seen, now, offers(TARGET) if targets is None else targets, state, limits)


def net(result: NodeResult) -> tuple[float, float]:
    assert result.setpoint is not None
    return result.setpoint.p_kw, result.setpoint.q_kvar


def test_a_normal_cycle() -> None:
    result, state = run()
    assert net(result) == pytest.approx((-2.0, 0.0))
    assert result.setpoint is not None
    assert result.setpoint.lease_s == 75
    assert (result.rung, result.source, result.reasons) == (Rung.USE, Source.INTRADAY, ())
    assert (result.target, result.measured) == (TARGET, BEFORE)
    assert result.soc == pytest.approx(0.5 + 30 / 3600 / 2.5)
    assert result.in_force is not None
    assert (result.in_force.battery.p_kw, result.in_force.pv_kw) == pytest.approx((-1.0, 4.0))
    assert (state.cycle_s, state.received_s, state.amounts_s) == (1000.0, 999.0, 1000.0)
    assert state.sent == Power(*net(result))


STALE = reading("c", BEFORE, 999.0, Quality.STALE)
INVALID = reading("c", Power(nan, 0.0), 999.0)
UNKNOWN = replace(SEEN, p_kw=None)
REPEATED = reading("c", BEFORE, 970.0)


@pytest.mark.parametrize(
    "seen", [None, STALE, INVALID, UNKNOWN, REPEATED], ids=["none", "stale", "nan", "unknown", "old"]
)
def test_without_a_new_valid_reading_the_setpoint_is_held(seen: Measurement | None) -> None:
    result, state = run(seen=seen)
    assert result.rung is Rung.HOLD
    assert net(result) == pytest.approx((-2.0, 0.1))
    assert result.reasons == (Reason.SOC_ESTIMATED, Reason.DATA_HELD)
    assert result.measured is None
    assert state.in_force == RUNNING.in_force
    assert state.battery is not None
    assert state.battery.gap.seconds == 30
    result, _ = run(seen=seen, state=state, at_s=1030.0)
    assert result.rung is Rung.SAFE
    assert net(result) == pytest.approx((-3.0, 0.2))


@pytest.mark.parametrize("amounts", [None, LoadAndPv(nan, 0, 0), LoadAndPv(1, 0, -1)], ids=["none", "nan", "negative"])
def test_without_load_and_pv_it_is_held_and_then_zero(amounts: LoadAndPv | None) -> None:
    result, state = run(replace(NOW, amounts=amounts))
    assert result.rung is Rung.HOLD
    assert net(result) == pytest.approx((-2.0, 0.1))
    now = NodeNow(amounts, DeviceSetpoint(BEFORE, 1000.0))
    result, state = run(now, reading("c", BEFORE, 1029.0), state=state, at_s=1030.0)
    assert (result.rung, net(result), result.in_force) == (Rung.SAFE, (0, 0), None)
    after, _ = run(now, reading("c", ZERO, 1059.0), state=state, at_s=1060.0)
    assert after.soc == result.soc


def test_holding_keeps_what_an_older_setpoint_draws() -> None:
    """The last write failed: the device still holds less, and holding must not grow."""
    result, _ = run(replace(NOW, held=DeviceSetpoint(Power(-1.0, 0.0), 940.0)), None)
    assert result.rung is Rung.HOLD
    assert Power(*net(result)).s_kva <= 1.001


def test_without_a_plan_net_load_and_pv_only() -> None:
    for targets in (PlanTargets(), offers(TARGET, 1300.0), offers(Target(nan, 0, 1))):
        result, _ = run(targets=targets)
        assert (result.rung, result.source) == (Rung.SAFE, Source.NONE)
        assert net(result) == pytest.approx((-3.0, 0.2))
        assert result.in_force is not None
        assert result.in_force.battery.p_kw == 0


def test_the_day_ahead_plan_takes_over() -> None:
    targets = PlanTargets(AgedTarget(TARGET, 1300.0), AgedTarget(Target(-3.0, 0.2, 1.0), 50_000.0))
    result, _ = run(targets=targets)
    assert net(result) == pytest.approx((-3.0, 0.2))
    assert result.reasons == (Reason.DAY_AHEAD,)


def test_a_full_battery_curtails() -> None:
    """It rests but for the 30 W that lead back out of its reserve."""
    result, _ = run(state=replace(RUNNING, battery=BatteryState(0.9)))
    assert net(result) == pytest.approx((-2.0, 0.0))
    assert result.in_force is not None
    assert (result.in_force.battery.p_kw, result.in_force.pv_kw) == pytest.approx((0.03, 2.97))
    assert Reason.PV_CURTAILED in result.reasons


def test_without_a_battery_pv_alone_follows() -> None:
    result, state = run(state=replace(RUNNING, battery=None), limits=replace(LIMITS, battery=None))
    assert net(result) == pytest.approx((-2.0, 0.2))
    assert (result.soc, state.battery) == (None, None)


def test_doubt_blocks_both_directions() -> None:
    """Where the battery may be anywhere it rests, and PV is curtailed to the target."""
    result, _ = run(state=replace(RUNNING, battery=BatteryState(0.5, below=0.4, above=0.4)))
    assert result.in_force is not None
    assert result.in_force.battery.p_kw == 0


def test_emergency_stop_is_at_once() -> None:
    result, _ = run(replace(NOW, stop=True, held=DeviceSetpoint(Power(9.0, 12.0), 999.0)))
    assert net(result) == (0.0, 0.0)
    assert (result.rung, result.in_force) == (Rung.SAFE, None)
    assert result.reasons == (Reason.STOPPED, Reason.RAMP_EXCEEDED)


def test_derating_counts_and_nonsense_does_not() -> None:
    assert Power(*net(run(replace(NOW, s_max_kva=1.0))[0])).s_kva <= 1.0
    for nonsense in (nan, -1.0):
        assert net(run(replace(NOW, s_max_kva=nonsense))[0]) == pytest.approx((-2.0, 0.0))


def test_after_a_pause_the_ramp_is_that_of_one_cycle() -> None:
    """A setpoint that stood for long does not allow a leap of 15 kVA."""
    result, _ = run(
        NodeNow(LoadAndPv(14.0, 0.0, 0.0), DeviceSetpoint(ZERO, 100.0)), targets=offers(Target(14.0, 0.0, 1.0))
    )
    assert net(result)[0] == pytest.approx(7.5, abs=2e-3)


def test_a_slow_converter_curtails_pv_before_the_battery_is_overdriven() -> None:
    now = NodeNow(NOON, DeviceSetpoint(Power(1.0, 0.2), 996.0))
    result, _ = run(now, targets=offers(Target(-4.0, 0.2, 1.0)))
    assert Reason.RAMP in result.reasons
    assert net(result)[0] == pytest.approx(0.0, abs=2e-3)
    assert result.in_force is not None
    assert result.in_force.battery.p_kw == pytest.approx(-BATTERY.power_box_kw)
    assert result.in_force.pv_kw == pytest.approx(1.0 + BATTERY.power_box_kw, abs=2e-3)
    assert result.in_force.load_kw == pytest.approx(1.0)


def test_load_that_cannot_be_reproduced_is_reported() -> None:
    now = NodeNow(LoadAndPv(6.0, 0.0, 0.0), DeviceSetpoint(ZERO, 996.0))
    result, _ = run(now, targets=offers(Target(6.0, 0.0, 1.0)))
    assert Reason.LOAD_MISMATCH in result.reasons
    assert result.in_force is not None
    assert result.in_force.mismatch_kw == pytest.approx(-5 + BATTERY.power_box_kw, abs=3e-3)


def test_power_that_the_battery_cannot_explain_is_reported() -> None:
    assert Reason.BEYOND_BATTERY in run(seen=reading("c", Power(2.0, 0.0), 999.0))[0].reasons


def test_what_a_device_did_before_it_dropped_out_is_in_doubt() -> None:
    result, state = run(replace(NOW, operated=False), reading("c", ZERO, 999.0))
    assert result.soc == pytest.approx(0.5 + 30 / 3600 / 2.5)
    assert state.battery is not None
    assert state.battery.soc_range.low == pytest.approx(0.5)
    assert state.battery.battery_kw == 0


def test_a_device_that_does_not_follow_leaves_the_battery_at_rest() -> None:
    resting = replace(RUNNING, in_force=None)
    result, _ = run(replace(NOW, operated=False), reading("c", ZERO, 999.0), state=resting)
    assert result.soc == 0.5


def test_a_start_waits_for_three_readings_and_repeats_what_the_device_holds() -> None:
    state, held, rungs = NodeState.start(BATTERY, 0.7), Power(-1.234, 0.5), []
    for k in range(3):
        at_s = 5.0 + 30 * k
        result, state = run(NodeNow(NOON, DeviceSetpoint(held)), reading("c", held, at_s), state=state, at_s=at_s)
        rungs.append(result.rung)
        if k == 0:
            assert net(result) == pytest.approx((-1.234, 0.5))
            assert result.soc == 0.7
        held = Power(*net(result))
    assert rungs == [Rung.SAFE, Rung.SAFE, Rung.USE]


def test_a_start_with_nothing_known_is_zero() -> None:
    result, _ = run(NodeNow(), None, PlanTargets(), NodeState.start(BATTERY))
    assert net(result) == (0.0, 0.0)
    assert Reason.NO_READBACK in result.reasons


def test_a_quick_restart_goes_on_without_a_bump() -> None:
    """Another monotonic clock, 20 s after the last cycle; the journal kept the state."""
    state = RUNNING.resumed(at_s=3.0, away_s=20.0)
    result, _ = run(NodeNow(NOON, DeviceSetpoint(BEFORE)), reading("c", BEFORE, 3.0), state=state, at_s=3.0)
    assert result.rung is Rung.USE
    assert net(result) == pytest.approx((-2.0, 0.1)), "when the device accepted this, nobody knows"
    assert result.soc == pytest.approx(0.5 + 20 / 3600 / 2.5)


def test_a_long_absence_begins_anew_with_doubt() -> None:
    state = RUNNING.resumed(at_s=3.0, away_s=600.0)
    result, after = run(NodeNow(NOON, DeviceSetpoint(ZERO)), reading("c", ZERO, 3.0), state=state, at_s=3.0)
    assert result.rung is Rung.SAFE
    assert after.battery is not None
    assert after.battery.soc == pytest.approx(0.5 + 75 / 3600 / 2.5)
    assert after.battery.soc_range.low == pytest.approx(0.5)
    assert after.battery.battery_kw == 0
    fresh = NodeState.start(BATTERY)
    assert fresh.resumed(3.0, 600.0) is fresh


def test_a_reading_of_before_a_pause_says_nothing_of_now() -> None:
    result, after = run(NOW, reading("c", BEFORE, 985.0), at_s=1020.0)
    assert result.measured is None
    assert Reason.SOC_ESTIMATED in result.reasons
    assert after.received_s == 985.0


def test_what_a_dead_process_read_and_sent_does_not_count() -> None:
    leaving = replace(RUNNING, ladder=LadderState(Rung.SAFE, fresh_polls=2))
    assert leaving.resumed(3.0, 20.0).ladder == LadderState(Rung.SAFE)
    assert RUNNING.resumed(3.0, 20.0).sent == BEFORE
    assert RUNNING.resumed(3.0, 80.0).sent is None, "the lease has ended"


def test_what_the_guardian_saw_before_it_released_leaves_no_doubt() -> None:
    released = RUNNING.released(BATTERY, BEFORE, after_s=60.0)
    result, after = run(
        NodeNow(NOON, DeviceSetpoint(ZERO), operated=False),
        reading("c", ZERO, 3.0),
        state=released.resumed(3.0, 15.0),
        at_s=3.0,
    )
    assert result.rung is Rung.SAFE, "the device was released: three readings come first"
    assert after.battery is not None
    assert after.battery.soc == pytest.approx(0.5 + 60 / 3600 / 2.5)
    assert after.battery.soc_range.low == after.battery.soc_range.high == after.battery.soc
    assert released.sent is None, "it holds that no longer"
    strayed = RUNNING.released(BATTERY, ZERO, after_s=60.0)
    assert strayed.battery is not None
    assert strayed.battery.soc_range.low < strayed.battery.soc
