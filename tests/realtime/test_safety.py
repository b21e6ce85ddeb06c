"""The gate: what it lets through, what it changes, and that it is the same the second time."""

from math import hypot, inf, nan, sqrt

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from realtime.plane import ANY, ZERO, Interval, Power
from realtime.reasons import Reason
from realtime.safety import Bounds, gate
from tests.realtime.strategies import anything, floats, intervals, powers

WIRE_KW = 1e-3
CUT_KVA = sqrt(2) * WIRE_KW
bounds = st.builds(
    Bounds,
    s_max_kva=floats(0, 20),
    ramp_kva=floats(0, 15),
    p=st.one_of(st.just(ANY), intervals(18)),
    resolution_kw=st.just(WIRE_KW),
)
held_setpoints = powers(15)


def on_wire(value: float) -> bool:
    return abs(value / WIRE_KW - round(value / WIRE_KW)) < 1e-6


def ramped(power: Power, held: Power, bounds: Bounds) -> bool:
    return power.distance_kva(held) <= max(bounds.ramp_kva, CUT_KVA) + 1e-9


@given(asked=anything, held=st.one_of(st.none(), anything), bounds=bounds, safe=anything, emergency=st.booleans())
@example(Power(0.0, 2.0**53 + 2), ZERO, Bounds(1.0, 0.0), ZERO, True)
def test_always_finite_in_the_circle_and_on_the_wire(
    asked: Power, held: Power | None, bounds: Bounds, safe: Power, emergency: bool
) -> None:
    found = gate(asked, held, bounds, safe=safe, emergency=emergency).setpoint
    assert found.finite
    assert found.s_kva <= bounds.s_max_kva + 1e-9
    assert on_wire(found.p_kw)
    assert on_wire(found.q_kvar)


@given(asked=anything, held=held_setpoints, bounds=bounds)
@example(Power(0, 0), Power(3, 0), Bounds(15, 0.0, Interval(4.0, 5.0)))
@example(Power(0, 0), Power(0, 1.1875), Bounds(2, 1.0, Interval(1.0, 1.0)))
@example(Power(-0.001, 0), ZERO, Bounds(15, 0.0))
def test_ramp_holds_except_toward_a_limit(asked: Power, held: Power, bounds: Bounds) -> None:
    """Faster than the ramp only with less apparent power, and only if what is held breaks a limit by so much."""
    gated = gate(asked, held, bounds)
    within = ramped(gated.setpoint, held, bounds)
    assert (Reason.RAMP_EXCEEDED in gated.reasons) is not within
    if not within:
        assert gated.setpoint.s_kva <= held.s_kva + 1e-9
        outside = abs(bounds.p.on_grid(WIRE_KW).clip(held.p_kw) - held.p_kw)
        assert max(held.s_kva - bounds.s_max_kva, outside) > 0


@given(asked=anything, held=held_setpoints, bounds=bounds)
def test_state_of_charge_range_holds_or_is_reported(asked: Power, held: Power, bounds: Bounds) -> None:
    gated = gate(asked, held, bounds)
    missed = abs(bounds.p.clip(gated.setpoint.p_kw) - gated.setpoint.p_kw)
    if Reason.SOC_UNREACHED not in gated.reasons:
        assert missed <= 1e-6 if bounds.p.upper_kw - bounds.p.lower_kw >= WIRE_KW else missed <= WIRE_KW
        return
    strip = bounds.p.on_grid(WIRE_KW)
    disc_misses = strip.lower_kw > bounds.s_max_kva - WIRE_KW or strip.upper_kw < -bounds.s_max_kva + WIRE_KW
    assert disc_misses or Reason.RAMP in gated.reasons


@given(asked=anything, held=held_setpoints, bounds=bounds, emergency=st.booleans())
def test_what_passed_passes_again(asked: Power, held: Power, bounds: Bounds, emergency: bool) -> None:
    once = gate(asked, held, bounds, emergency=emergency).setpoint
    assert gate(once, held, bounds, emergency=emergency).setpoint == once


@given(asked=powers(10), held=powers(10), share=floats(0.01, 0.99))
def test_a_ramp_moves_along_the_straight_line(asked: Power, held: Power, share: float) -> None:
    distance = held.distance_kva(asked)
    found = gate(asked, held, Bounds(15.0, share * distance)).setpoint
    along = (found.p_kw - held.p_kw) * (asked.q_kvar - held.q_kvar) - (found.q_kvar - held.q_kvar) * (
        asked.p_kw - held.p_kw
    )
    assert abs(along) <= 2 * CUT_KVA * distance + 1e-9
    assert found.distance_kva(asked) <= distance + CUT_KVA


@given(
    previous=powers(10),
    wishes=st.lists(st.tuples(anything, floats(0, 40)), min_size=1, max_size=30),
)
def test_a_long_history_stays_in_circle_and_ramp(previous: Power, wishes: list[tuple[Power, float]]) -> None:
    """Each setpoint is the next one's read-back."""
    held = previous
    for asked, seconds in wishes:
        limits = Bounds(15.0, 0.25 * seconds)
        found = gate(asked, held, limits).setpoint
        assert found.s_kva <= 15.0 + 1e-9
        assert ramped(found, held, limits)
        held = found


NAN, FAR = Power(nan, 0.0), Power(0.0, inf)
CASES = {
    # asked, held, bounds → setpoint, reasons
    "unchanged": (Power(3, -4), ZERO, Bounds(15, 7.5), Power(3, -4), ()),
    "nan is not a limit": (NAN, ZERO, Bounds(15, 7.5), ZERO, (Reason.NOT_FINITE,)),
    "infinity": (FAR, ZERO, Bounds(15, 7.5), ZERO, (Reason.NOT_FINITE,)),
    "circle keeps the power factor": (Power(30, 40), ZERO, Bounds(15, 99), Power(9, 12), (Reason.CAPABILITY,)),
    "soc from below": (Power(1, 2), ZERO, Bounds(15, 99, Interval(1.5, 9)), Power(1.5, 2), (Reason.SOC,)),
    "soc range ends on the wire's grid": (
        Power(1, 0), ZERO, Bounds(15, 99, Interval(1.5004, 9)), Power(1.501, 0), (Reason.SOC,),
    ),
    "and so it does below zero": (
        Power(-1, 0), ZERO, Bounds(15, 99, Interval(-9, -1.5004)), Power(-1.501, 0), (Reason.SOC,),
    ),
    "soc costs reactive power": (
        Power(0, 15), ZERO, Bounds(15, 99, Interval(9, 20)), Power(9, 12), (Reason.SOC,),
    ),
    "soc beyond the circle": (
        Power(0, 5), ZERO, Bounds(15, 99, Interval(20, 30)), Power(15, 0), (Reason.SOC, Reason.SOC_UNREACHED),
    ),
    "ramp": (Power(6, 8), ZERO, Bounds(15, 5), Power(2.999, 3.998), (Reason.RAMP, Reason.TRUNCATED)),
    "ramp from where the device is": (
        Power(10, 0), Power(0, 5), Bounds(15, 0), Power(0, 5), (Reason.RAMP,),
    ),
    "derating shrinks at once": (
        Power(12, 0), Power(12, 0), Bounds(5, 1), Power(5, 0), (Reason.CAPABILITY, Reason.RAMP_EXCEEDED),
    ),
    "derating does not let the rest run": (
        Power(0, -5), Power(12, 0), Bounds(5, 1), Power(5, 0), (Reason.RAMP, Reason.RAMP_EXCEEDED),
    ),
    "soc shrinks at once": (
        Power(-9, 0), Power(-9, 0), Bounds(15, 1, Interval(-2, 5)), Power(-2, 0), (Reason.SOC, Reason.RAMP_EXCEEDED),
    ),
    "soc does not grow at once": (
        Power(0, 0), Power(1, 0), Bounds(15, 2, Interval(9, 12)), Power(2.998, 0),
        (Reason.SOC, Reason.SOC_UNREACHED, Reason.RAMP, Reason.TRUNCATED),
    ),
    "toward zero, both signs": (
        Power(1.2349, -1.2349), ZERO, Bounds(15, 99), Power(1.234, -1.234), (Reason.TRUNCATED,),
    ),
    "unknown read-back": (Power(3, 4), None, Bounds(15, 7.5), ZERO, (Reason.NO_READBACK,)),
    "read-back that is no number": (Power(3, 4), NAN, Bounds(15, 7.5), ZERO, (Reason.NO_READBACK,)),
}  # fmt: skip


@pytest.mark.parametrize(("asked", "held", "limits", "expected", "reasons"), CASES.values(), ids=CASES)
def test_by_hand(
    asked: Power, held: Power | None, limits: Bounds, expected: Power, reasons: tuple[Reason, ...]
) -> None:
    gated = gate(asked, held, limits)
    assert gated.setpoint.distance_kva(expected) < (1.1e-3 if Reason.RAMP in reasons else 1e-9)
    assert gated.reasons == reasons


def test_ramping_p_and_q_separately_leaves_the_circle() -> None:
    """The trap (libraries.md): 15 kVA apart, each coordinate within its own ramp, and 20.5 kVA together."""
    held, asked = Power(15.0, 0.0), Power(0.0, 15.0)
    apart = Power(max(asked.p_kw, held.p_kw - 1.0), min(asked.q_kvar, held.q_kvar + 15.0))
    assert hypot(apart.p_kw, apart.q_kvar) == pytest.approx(20.5, abs=0.05)
    for ramp_kva in (1.0, 7.5, 15.0, 20.0):
        found = gate(asked, held, Bounds(15.0, ramp_kva)).setpoint
        assert found.s_kva <= 15.0
        assert found.distance_kva(held) <= ramp_kva


def test_an_emergency_does_not_wait_for_the_ramp() -> None:
    gated = gate(ZERO, Power(9, 12), Bounds(15, 1), emergency=True)
    assert gated.setpoint == ZERO
    assert gated.reasons == (Reason.RAMP_EXCEEDED,)


def test_the_safe_setpoint_takes_the_place_of_nan_and_is_limited_too() -> None:
    assert gate(NAN, ZERO, Bounds(15, 99), safe=Power(1, 2)).setpoint == Power(1, 2)
    assert gate(NAN, ZERO, Bounds(15, 99), safe=Power(30, 40)).setpoint == Power(9, 12)


@pytest.mark.parametrize(
    "limits",
    [
        (nan, 1.0), (-1.0, 1.0), (inf, 1.0), (15.0, nan), (15.0, -1.0), (15.0, inf),
        (15.0, 1.0, Interval(nan, 0)), (15.0, 1.0, Interval(1, 0)), (15.0, 1.0, ANY, 0.0),
    ],
)  # fmt: skip
def test_a_gate_without_limits_does_not_exist(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="no gate"):
        Bounds(*limits)
