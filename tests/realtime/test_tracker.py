"""The closed form of (26) against cvxpy, and its curtailment rule."""

from dataclasses import replace
from math import nan, sqrt

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.plan import AVAILABLE, PV, ProsumerPlan, ResourcePlan
from core.resources import Battery, Capability
from realtime.plane import Interval, Power
from realtime.reasons import Reason
from realtime.storage import SocRange, Storage, allowed_power, soc_change
from realtime.tracker import LoadAndPv, Target, Tracked, nearest, pv_share, track
from tests.realtime.strategies import amounts, powers, storages, targets

DT_H = 30 / 3600
BATTERY = Battery(2.5, 2.5)


def at(soc: float, battery: Battery = BATTERY) -> Storage:
    return Storage(battery, soc, allowed_power(battery, SocRange(soc, soc), DT_H))


def by_cvxpy(target: Target, now: LoadAndPv, storage: Storage) -> tuple[Power, float]:
    """(26) from method.md with the state of charge of (20), in kWh: (b, β), and the distance from the target."""
    battery, b, beta = storage.battery, cp.Variable(), cp.Variable()
    g = target.pv_share * now.pv_available_kw
    p, q = now.load_kw - b - g, now.load_kvar - beta
    stored_kwh = storage.soc * battery.energy_kwh
    limits = [
        (stored_kwh - b * DT_H / battery.efficiency - battery.soc_min * battery.energy_kwh) / DT_H >= 0,
        (stored_kwh - b * DT_H * battery.efficiency - battery.soc_max * battery.energy_kwh) / DT_H <= 0,
    ]
    if battery.capability is Capability.BOX:
        limits += [cp.abs(b) <= battery.s_max_kva / sqrt(2), cp.abs(beta) <= battery.s_max_kva / sqrt(2)]
    else:
        limits.append(cp.norm(cp.hstack([b, beta])) <= battery.s_max_kva)
    problem = cp.Problem(cp.Minimize(cp.norm(cp.hstack([p - target.p_kw, q - target.q_kvar]))), limits)
    problem.solve(solver=cp.CLARABEL)
    return Power(float(b.value), float(beta.value)), float(problem.value)


def distance_before_curtailment(target: Target, now: LoadAndPv, found: Tracked) -> float:
    p_kw = now.load_kw - found.battery.p_kw - target.pv_share * now.pv_available_kw
    return float(np.hypot(p_kw - target.p_kw, found.net.q_kvar - target.q_kvar))


@settings(max_examples=60, deadline=None)
@given(target=targets, now=amounts, storage=storages(DT_H))
def test_closed_form_is_the_projection(target: Target, now: LoadAndPv, storage: Storage) -> None:
    found = track(target, now, storage, DT_H)
    battery, distance = by_cvxpy(target, now, storage)
    assert distance_before_curtailment(target, now, found) == pytest.approx(distance, abs=1e-6)
    assert found.battery.distance_kva(battery) < 1e-2


@given(target=targets, now=amounts, storage=storages(DT_H), other=powers(10))
def test_optimality_to_machine_precision(target: Target, now: LoadAndPv, storage: Storage, other: Power) -> None:
    """No other (b, β) within the limits is nearer: ⟨wanted − found, other − found⟩ ≤ 0."""
    found, other = track(target, now, storage, DT_H).battery, nearest(storage, other)
    g = target.pv_share * now.pv_available_kw
    b, beta = now.load_kw - g - target.p_kw, now.load_kvar - target.q_kvar
    product = (b - found.p_kw) * (other.p_kw - found.p_kw) + (beta - found.q_kvar) * (other.q_kvar - found.q_kvar)
    assert product <= 1e-9


@given(target=targets, now=amounts, storage=st.one_of(st.none(), storages(DT_H)))
def test_what_always_holds(target: Target, now: LoadAndPv, storage: Storage | None) -> None:
    found = track(target, now, storage, DT_H)
    planned = target.pv_share * now.pv_available_kw
    assert 0 <= found.pv_kw <= planned
    assert found.net.p_kw == pytest.approx(now.load_kw - found.battery.p_kw - found.pv_kw, abs=1e-12)
    assert found.net.q_kvar == pytest.approx(now.load_kvar - found.battery.q_kvar, abs=1e-12)
    if found.pv_kw > 0:
        assert -min(found.net.p_kw, 0) <= -min(target.p_kw, 0) + 1e-9
    if found.pv_kw < planned - 1e-9:
        assert Reason.PV_CURTAILED in found.reasons
        assert found.pv_kw == 0 or found.net.p_kw == pytest.approx(min(target.p_kw, 0), abs=1e-9)
    if storage is None:
        assert (found.battery, found.soc) == (Power(0, 0), None)
        return
    battery = storage.battery
    assert found.soc is not None
    assert battery.soc_min - 1e-12 <= found.soc <= battery.soc_max + 1e-12
    assert found.battery.s_kva <= battery.s_max_kva + 1e-12
    assert abs(found.battery.p_kw) <= battery.power_box_kw + 1e-12


NOON = LoadAndPv(1.0, 0.2, 4.0)
REACHED, SATURATED, CURTAILED = (), (Reason.BATTERY_SATURATED,), (Reason.BATTERY_SATURATED, Reason.PV_CURTAILED)
CASES = {
    # target, now, soc (None: no battery) → net p, net q, pv, battery, reasons
    "reached": (Target(-2.0, 0.0, 1.0), NOON, 0.5, (-2.0, 0.0, 4.0, -1.0), REACHED),
    "planned curtailment is kept": (Target(-0.5, 0.0, 0.5), NOON, 0.5, (-0.5, 0.0, 2.0, -0.5), REACHED),
    "full battery curtails": (Target(-2.0, 0.0, 1.0), NOON, 0.9, (-2.0, 0.0, 3.0, 0.0), CURTAILED),
    "weak battery curtails": (
        Target(-1.0, 0.0, 1.0), NOON, 0.5, (-1.0, 0.0, 2 + 2.5 / sqrt(2), -2.5 / sqrt(2)), CURTAILED,
    ),
    "import target curtails to no export": (Target(1.0, 0.0, 1.0), NOON, 0.9, (0.0, 0.0, 1.0, 0.0), CURTAILED),
    "less import than planned is no export": (
        Target(2.0, 0.0, 1.0), LoadAndPv(1.0, 0.2, 0.5), 0.9, (0.5, 0.0, 0.5, 0.0), SATURATED,
    ),
    "empty battery imports": (Target(0.0, 0.0, 1.0), LoadAndPv(1.0, 0.2, 0.0), 0.1, (1.0, 0.0, 0.0, 0.0), SATURATED),
    "no battery follows by PV alone": (Target(-2.0, 0.0, 1.0), NOON, None, (-2.0, 0.2, 3.0, 0.0), CURTAILED),
    "cannot curtail below zero": (
        Target(-1.0, 0.0, 1.0), LoadAndPv(-3.0, 0.0, 1.0), 0.9, (-3.0, 0.0, 0.0, 0.0), CURTAILED,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("target", "now", "soc", "expected", "reasons"), CASES.values(), ids=CASES)
def test_by_hand(
    target: Target, now: LoadAndPv, soc: float | None, expected: tuple[float, ...], reasons: tuple[Reason, ...]
) -> None:
    found = track(target, now, None if soc is None else at(soc), DT_H)
    assert (found.net.p_kw, found.net.q_kvar, found.pv_kw, found.battery.p_kw) == pytest.approx(expected)
    assert found.reasons == reasons


def test_disc_trades_reactive_for_active_power() -> None:
    battery = replace(BATTERY, capability=Capability.DISC)
    found = track(Target(-3.0, -4.0, 1.0), LoadAndPv(0.0, 0.0, 0.0), at(0.5, battery), DT_H)
    assert found.battery.distance_kva(Power(1.5, 2.0)) < 1e-12
    empty = track(Target(-3.0, -4.0, 1.0), LoadAndPv(0.0, 0.0, 0.0), at(0.1, battery), DT_H)
    assert empty.battery.distance_kva(Power(0.0, 2.5)) < 1e-12


@pytest.mark.parametrize(
    ("planned", "available", "share"),
    [(2, 4, 0.5), (4, 4, 1.0), (0, 4, 0.0), (0, 0, 1.0), (3e-7, 9e-7, 1.0), (4.0001, 4, 1.0), (-1e-9, 4, 0.0)],
)
def test_pv_share(planned: float, available: float, share: float) -> None:
    assert pv_share(planned, available) == share


def test_target_of_a_plan() -> None:
    series = np.array([0.0, 1.0])
    pv = ResourcePlan(PV, -series, 0 * series, {AVAILABLE: np.array([0.0, 4.0])})
    plan = ProsumerPlan(np.array([9.0, -2.0]), series, {"pv": pv})
    assert Target.of(plan, 1) == Target(-2.0, 1.0, 0.25)


@pytest.mark.parametrize(
    ("target", "now"),
    [
        (Target(nan, 0, 1), NOON),
        (Target(0, nan, 1), NOON),
        (Target(0, 0, nan), NOON),
        (Target(0, 0, 1.1), NOON),
        (Target(0, 0, 1), LoadAndPv(nan, 0, 0)),
        (Target(0, 0, 1), LoadAndPv(0, float("inf"), 0)),
        (Target(0, 0, 1), LoadAndPv(0, 0, -1)),
        (Target(0, 0, 1), LoadAndPv(0, 0, nan)),
    ],
)
def test_nothing_is_followed_that_is_not_a_number(target: Target, now: LoadAndPv) -> None:
    with pytest.raises(ValueError, match="cannot follow"):
        track(target, now, at(0.5), DT_H)


@given(storage=storages(DT_H))
def test_allowed_power_ends_exactly_at_the_band(storage: Storage) -> None:
    battery, allowed = storage.battery, storage.allowed
    assert storage.soc + soc_change(battery, allowed.upper_kw, DT_H) == pytest.approx(battery.soc_min)
    assert storage.soc + soc_change(battery, allowed.lower_kw, DT_H) == pytest.approx(battery.soc_max)


@pytest.mark.parametrize(
    ("low", "high", "discharges", "charges"),
    [(0.5, 0.5, True, True), (0.05, 0.05, False, True), (0.95, 0.95, True, False), (0.05, 0.95, False, False)],
    ids=["inside", "too empty", "too full", "could be anywhere"],
)
def test_outside_its_band_a_battery_may_only_return(low: float, high: float, discharges: bool, charges: bool) -> None:
    allowed = allowed_power(BATTERY, SocRange(low, high), DT_H)
    assert (allowed.upper_kw > 0, allowed.lower_kw < 0) == (discharges, charges)
    assert allowed.clip(0.0) == 0.0


@pytest.mark.parametrize(("low", "high", "hours"), [(0.5, 0.5, 0.0), (0.5, 0.5, nan), (nan, 0.5, 1.0), (0.6, 0.5, 1.0)])
def test_no_power_range_without_numbers(low: float, high: float, hours: float) -> None:
    with pytest.raises(ValueError, match="no power range"):
        allowed_power(BATTERY, SocRange(low, high), hours)


def test_a_stricter_range_binds() -> None:
    storage = Storage(BATTERY, 0.5, Interval(-0.2, 0.1))
    assert track(Target(-2, 0, 1), LoadAndPv(0, 0, 0), storage, DT_H).battery.p_kw == 0.1
