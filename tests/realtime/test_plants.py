"""Reactive power of PV plants in real time: the projection, its division, and what a voltage slope may use."""

from dataclasses import replace
from math import sqrt

import cvxpy as cp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.prices import VoltageSlope
from core.resources import Battery, Capability
from realtime.chain import step_node
from realtime.emulation import emulate
from realtime.fallback import LadderState, Rung
from realtime.node import AgedTarget, DeviceSetpoint, NodeLimits, NodeNow, NodeState, PlanTargets
from realtime.plane import Interval, Power
from realtime.plants import Inverter, Plants, shares_of
from realtime.slope import shifted
from realtime.storage import Storage
from realtime.tracker import LoadAndPv, Target, plants_with, track
from tests.realtime.plant import reading
from tests.realtime.strategies import floats, storages, targets

DT_H = 30 / 3600
ROOF = Inverter(5.0)
EAST, WEST = Inverter(3.0), Inverter(2.0, Capability.BOX)
NOON = LoadAndPv(1.0, 0.2, 4.0)
STRINGS = LoadAndPv(1.0, 0.2, 3.0, split=(0.8, 0.2))
inverters = st.builds(Inverter, st.one_of(st.none(), floats(1.0, 8.0)), st.sampled_from(Capability))


@st.composite
def two_plants(draw: st.DrawFn) -> tuple[LoadAndPv, tuple[Inverter, Inverter]]:
    """Amounts with two plants, of which none generates more than its inverter passes."""
    pair = (draw(inverters), draw(inverters))
    most = [8.0 if one.s_max_kva is None else one.capability.box_kva(one.s_max_kva) for one in pair]
    available = [draw(floats(0, 1)) * limit for limit in most]
    now = LoadAndPv(draw(floats(-1, 6)), draw(floats(-3, 3)), sum(available), shares_of(available))
    return now, pair


@settings(max_examples=60, deadline=None)
@given(target=targets, plants=two_plants(), storage=st.one_of(st.none(), storages(DT_H)), kappas=st.tuples(
    floats(0, 1), floats(0, 1)
))  # fmt: skip
def test_the_closed_form_is_the_projection_of_all_reactive_power(
    target: Target,
    plants: tuple[LoadAndPv, tuple[Inverter, Inverter]],
    storage: Storage | None,
    kappas: tuple[float, float],
) -> None:
    now, pair = plants
    target = replace(target, p_kw=max(target.p_kw, 0.0), pv_shares=kappas)  # an export is never curtailed below it
    found = track(target, now, storage, DT_H, pair)
    b, beta, gamma = cp.Variable(), cp.Variable(), cp.Variable(2)
    outputs = [kappa * kw for kappa, kw in zip(kappas, now.plants_kw, strict=True)]
    limits = [cp.abs(gamma[j]) <= one.room_kvar(outputs[j]) for j, one in enumerate(pair)]
    if storage is None:
        limits += [b == 0, beta == 0]
    else:
        side = storage.battery.s_max_kva / sqrt(2)
        limits += [b >= storage.allowed.lower_kw, b <= storage.allowed.upper_kw]
        box = storage.battery.capability is Capability.BOX
        limits += (
            [cp.abs(b) <= side, cp.abs(beta) <= side]
            if box
            else [cp.norm(cp.hstack([b, beta])) <= storage.battery.s_max_kva]
        )
    p = now.load_kw - b - sum(outputs)
    q = now.load_kvar - beta - cp.sum(gamma)
    problem = cp.Problem(cp.Minimize(cp.norm(cp.hstack([p - target.p_kw, q - target.q_kvar]))), limits)
    problem.solve(solver=cp.CLARABEL)
    p_kw = now.load_kw - found.battery.p_kw - sum(outputs)
    q_kvar = (
        now.load_kvar
        - found.battery.q_kvar
        - plants_with(pair, tuple(outputs)).reactive(sum(outputs)).clip(now.load_kvar - target.q_kvar)
    )
    reached = Power(p_kw, q_kvar).distance_kva(Power(target.p_kw, target.q_kvar))
    assert reached == pytest.approx(float(problem.value), abs=1e-6)
    assert abs(found.net.q_kvar - target.q_kvar) <= abs(q_kvar - target.q_kvar) + 1e-9, "curtailment gives room"
    assert abs(found.pv_kvar) <= found.plants.reactive(found.pv_kw).upper_kw + 1e-9
    assert found.net.q_kvar == pytest.approx(now.load_kvar - found.battery.q_kvar - found.pv_kvar)


def test_a_house_without_a_battery_follows_the_planned_reactive_power() -> None:
    planned = Target(-3.0, 1.7, 1.0)
    assert track(planned, NOON, None, DT_H, (ROOF,)).net == Power(-3.0, pytest.approx(1.7))
    assert track(planned, NOON, None, DT_H).net.q_kvar == 0.2, "without a rating it has none"
    far = track(Target(-3.0, 9.0, 1.0), NOON, None, DT_H, (ROOF,))
    assert far.net.q_kvar == pytest.approx(0.2 + 3.0), "√(5² − 4²) is left"


def test_more_sun_than_planned_is_curtailed_so_that_reactive_power_stays() -> None:
    """5 kW of sun where 4 kW were planned with 3 kvar: the export must not grow, so the inverter keeps room."""
    bright = LoadAndPv(1.0, 0.0, 5.0)
    found = track(Target(-3.0, 3.0, 1.0), bright, None, DT_H, (ROOF,))
    assert (found.pv_kw, found.net) == (4.0, Power(-3.0, 3.0))


def test_each_plant_generates_its_own_planned_share() -> None:
    target = Target(-0.2, 0.0, 0.5, pv_shares=(0.25, 1.0))
    assert target.outputs_kw(STRINGS) == pytest.approx((0.6, 0.6))
    found = track(target, STRINGS, None, DT_H, (EAST, WEST))
    assert found.plants.split == pytest.approx((0.5, 0.5))
    room = sqrt(3.0**2 - 0.6**2) + 2.0 / sqrt(2)
    assert found.plants.reactive(found.pv_kw).upper_kw == pytest.approx(room)
    assert replace(target, pv_shares=()).outputs_kw(STRINGS) == pytest.approx((1.2, 0.3)), "as an operator's target"


def test_what_the_plants_cannot_supply_the_battery_does() -> None:
    plants = Plants((Inverter(2.0),), (1.0,))
    found = emulate(Power(0.0, -1.5), LoadAndPv(1.0, 0.5, 1.6), 1.6, Interval(-2, 2), plants)
    assert found.pv_kvar == pytest.approx(1.2)
    assert found.battery == Power(pytest.approx(-0.6), pytest.approx(0.8))
    assert found.load_kvar - found.pv_kvar - found.battery.q_kvar == pytest.approx(-1.5)


def test_the_share_of_one_of_several_converters() -> None:
    half = ROOF.scaled(0.5)
    whole = track(Target(-3.0, 9.0, 1.0), NOON, None, DT_H, (ROOF,))
    part = track(Target(-3.0, 9.0, 1.0).scaled(0.5), NOON.scaled(0.5), None, DT_H, (half,))
    assert (part.net.p_kw, part.net.q_kvar) == pytest.approx((whole.net.p_kw / 2, whole.net.q_kvar / 2))
    assert Inverter().scaled(0.5) == Inverter()


SLOPE = VoltageSlope(v_low_pu=0.952, v_high_pu=1.048, kw_per_pu=40.0, kvar_per_pu=60.0)


def test_a_voltage_too_high_is_lowered_by_the_inverter_before_sun_is_lost() -> None:
    tracked = track(Target(-3.0, 0.2, 1.0), NOON, None, DT_H, (ROOF,))
    moved = shifted(tracked, 0.02, SLOPE, NOON, None)
    assert (moved.pv_kw, moved.net.q_kvar, moved.done_pu) == pytest.approx((4.0, 0.2 + 1.2, 0.02))
    more = shifted(tracked, 0.06, SLOPE, NOON, None)
    assert more.net.q_kvar == pytest.approx(0.2 + 3.0), "all that 4 kW leave of 5 kVA"
    assert more.pv_kw == pytest.approx(4.0 - 40 * (0.06 - 3.0 / 60))
    assert more.done_pu == pytest.approx(0.06)


def test_sun_that_is_let_through_leaves_the_reactive_power_in_use() -> None:
    """The plan curtails to half; the voltage is too low: reactive power first, then sun, within the rating."""
    tracked = track(Target(-1.0, 0.2, 0.5), NOON, None, DT_H, (Inverter(4.0),))
    assert tracked.pv_kw == 2.0
    moved = shifted(tracked, -0.2, SLOPE, NOON, None)
    supplied_kvar = 0.2 - moved.net.q_kvar
    assert supplied_kvar == pytest.approx(sqrt(4.0**2 - 2.0**2))
    assert moved.pv_kw**2 + supplied_kvar**2 <= 4.0**2 + 1e-9
    assert moved.done_pu == pytest.approx(-supplied_kvar / 60)


def test_the_chain_of_a_node_without_a_battery_uses_and_records_it() -> None:
    limits = NodeLimits("P", None, 15.0, 0.25, inverters=(EAST, WEST))
    state = NodeState(None, LadderState(Rung.USE), None, Power(-2.0, 1.0), cycle_s=970.0)
    offers = PlanTargets(AgedTarget(Target(-2.0, 1.0, 1.0, (1.0, 1.0)), 60.0))
    now = NodeNow(STRINGS, DeviceSetpoint(Power(-2.0, 1.0), 970.0))
    result, after = step_node(1000.0, reading("c", Power(-2.0, 1.0), 1000.0), now, offers, state, limits)
    assert result.setpoint is not None
    assert (result.setpoint.p_kw, result.setpoint.q_kvar) == pytest.approx((-2.0, 1.0))
    assert result.in_force is not None
    assert result.in_force.pv_kvar == pytest.approx(-0.8)
    assert result.in_force.battery == Power(pytest.approx(0.0), pytest.approx(0.0))
    assert result.in_force.pv_split == pytest.approx((0.8, 0.2))
    held, _ = step_node(1030.0, None, replace(now, amounts=None), offers, after, limits)
    assert held.in_force is not None
    assert held.in_force.pv_kvar == pytest.approx(-0.8), "a held setpoint keeps its reactive power"


def test_without_data_nothing_is_supplied() -> None:
    limits = NodeLimits("P", None, 15.0, 0.25, inverters=(ROOF,))
    state = NodeState(None, LadderState(Rung.USE), None, Power(-3.0, 1.0), cycle_s=970.0, amounts=NOON, amounts_s=970.0)
    result, _ = step_node(1200.0, None, NodeNow(NOON, DeviceSetpoint(Power(-3.0, 1.0), 970.0)), PlanTargets(), state,
                          limits)  # fmt: skip
    assert result.rung is Rung.SAFE
    assert result.setpoint is not None
    assert (result.setpoint.p_kw, result.setpoint.q_kvar) == pytest.approx((-3.0, 0.2)), "net load and PV"


def test_a_battery_keeps_its_rating_for_active_power() -> None:
    storage = Storage(Battery(2.5, 2.5, capability=Capability.DISC), 0.5, Interval(-2.5, 2.5))
    found = track(Target(-0.5, -1.8, 1.0), NOON, storage, DT_H, (ROOF,))
    assert found.battery == Power(pytest.approx(-2.5), pytest.approx(0.0))
    assert found.net == Power(pytest.approx(-0.5), pytest.approx(-1.8))
