"""The prosumer's answer against the same problem in cvxpy, against its own limits and against other feasible plans."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from core.arrays import FloatArray
from core.errors import SolverLicenceError
from core.prices import SMALLEST_TARIFF, PriceSignal, Tariff
from core.resources import Battery, Capability, Outlook, Pv
from core.scenario import Scenario, Site
from mpc.price import own_cost_chf
from mpc.prosumer import ProsumerProgram
from tests.support.independent_prosumer import least_cost
from tests.support.synthetic import Sizes, scenario, site_with

BASE = scenario(n_prosumers=1, step_min=30, sizes=Sizes(total_pv_kw=5.0))
DT_H, STEPS = BASE.axis.dt_h, BASE.axis.n_steps
BOX = Battery(5.0, 10.0)
BATTERIES = {
    "no battery": None,
    "box": BOX,
    "disc": replace(BOX, capability=Capability.DISC),
    "lossy": replace(BOX, efficiency=0.9),
    "lossy disc": replace(BOX, efficiency=0.9, capability=Capability.DISC),
    "returned": replace(BOX, soc_final_min=0.6),
    "lossy returned": replace(BOX, soc_initial=0.3, soc_final_min=0.8, efficiency=0.85),
    "converter loses": replace(BOX, loss_rel=0.04),
    "worn lossy disc": replace(BOX, efficiency=0.9, loss_rel=0.02, wear_chf_per_kwh=0.02, capability=Capability.DISC),
    "weak": replace(BOX, s_max_kva=0.3, soc_initial=0.9),
}
FLAT = BASE.tariff
LOWER_FEED_IN = Tariff(FLAT.buy_chf_per_kwh, FLAT.buy_chf_per_kwh - np.linspace(0, 0.1, STEPS))

each_battery = pytest.mark.parametrize("battery", BATTERIES.values(), ids=BATTERIES)
FREE = {name: each for name, each in BATTERIES.items() if each is None or not (each.loss_rel or each.wear_chf_per_kwh)}
"""Batteries without own costs."""
each_free_battery = pytest.mark.parametrize("battery", FREE.values(), ids=FREE)
each_pv = pytest.mark.parametrize("pv_kw", [0.0, 5.0], ids=["no pv", "pv"])
each_tariff = pytest.mark.parametrize("tariff", [FLAT, LOWER_FEED_IN], ids=["one price", "two prices"])


def site_of(battery: Battery | None, pv_kw: float) -> Site:
    return site_with("P", "B1", BASE.sites[0].outlook, battery, pv_kw)


def prosumer_of(battery: Battery | None, pv_kw: float, tariff: Tariff = FLAT, solver: str = "piqp") -> ProsumerProgram:
    return ProsumerProgram(site_of(battery, pv_kw), tariff, DT_H, solver)


def random_signal(seed: int, curvature: float = 0.05, rank: int = 2) -> PriceSignal:
    """Around the tariff, with any H of a given rank and reactive prices."""
    rng = np.random.default_rng(seed)
    root = np.sqrt(curvature) * rng.normal(size=(STEPS, 2, rank))
    g = rng.normal([0.1, 0.0], [0.1, 0.05], (STEPS, 2)) * DT_H
    return PriceSignal(root @ root.swapaxes(1, 2) * DT_H, g, float(rng.normal()))


SIGNALS = {
    "full": random_signal(1),
    "of rank one": random_signal(2, rank=1),
    "plain": random_signal(3, curvature=0.0),
    "faint": random_signal(4, curvature=1e-6),
    "steep": random_signal(5, curvature=10.0),
}
each_signal = pytest.mark.parametrize("signal", SIGNALS.values(), ids=SIGNALS)


@each_signal
@each_tariff
@each_pv
@each_battery
def test_cost_against_cvxpy(battery: Battery | None, pv_kw: float, tariff: Tariff, signal: PriceSignal) -> None:
    answer = prosumer_of(battery, pv_kw, tariff).respond(signal)
    x, cost_chf = least_cost(site_of(battery, pv_kw), tariff, DT_H, signal)
    assert answer.cost_chf - answer.above_relaxed_chf == pytest.approx(cost_chf, abs=2e-6, rel=1e-6)
    if signal is SIGNALS["full"] and answer.above_relaxed_chf < 1e-6:
        np.testing.assert_allclose(answer.x, x, rtol=0, atol=5e-3)


@each_tariff
def test_one_object_answers_many_signals_like_a_fresh_one(tariff: Tariff) -> None:
    """Built once, updated often: the order of the questions leaves no trace."""
    reused = prosumer_of(BATTERIES["lossy"], 5.0, tariff)
    for name in ("full", "plain", "of rank one", "plain", "steep", "full"):
        fresh = prosumer_of(BATTERIES["lossy"], 5.0, tariff)
        answer, expected = reused.respond(SIGNALS[name]), fresh.respond(SIGNALS[name])
        assert answer.cost_chf == pytest.approx(expected.cost_chf, abs=1e-7)


@each_signal
@each_tariff
@each_pv
@each_battery
def test_plan_stays_within_its_limits(
    battery: Battery | None, pv_kw: float, tariff: Tariff, signal: PriceSignal
) -> None:
    prosumer = prosumer_of(battery, pv_kw, tariff)
    plan, outlook = prosumer.plan(signal), prosumer.site.outlook
    np.testing.assert_allclose(plan.p_kw, outlook.load_kw - plan.battery_kw - plan.pv_kw, atol=1e-9)
    np.testing.assert_allclose(plan.q_kvar, outlook.load_kvar - plan.battery_kvar, atol=1e-9)
    np.testing.assert_allclose(np.column_stack([plan.p_kw, plan.q_kvar]), prosumer.respond(signal).x, atol=1e-3)
    assert plan.pv_kw.min() > -1e-6
    assert (plan.pv_kw <= outlook.pv_available_kw * (pv_kw > 0) + 1e-6).all()
    if battery is None:
        assert plan.soc is None
        assert not plan.battery_kw.any()
        assert not plan.battery_kvar.any()
        return
    assert plan.soc is not None
    assert battery.soc_min - 1e-6 < plan.soc.min()
    assert plan.soc.max() < battery.soc_max + 1e-6
    assert plan.soc[-1] > (battery.soc_final_min or 0) - 1e-6
    box = battery.s_max_kva / (sqrt(2) if battery.capability is Capability.BOX else 1)
    assert max(np.abs(plan.battery_kw).max(), np.abs(plan.battery_kvar).max()) < box + 1e-6
    assert np.hypot(plan.battery_kw, plan.battery_kvar).max() < battery.s_max_kva + 1e-6


@each_tariff
@each_pv
@pytest.mark.parametrize("name", [name for name, battery in BATTERIES.items() if battery])
def test_soc_at_positive_prices(name: str, pv_kw: float, tariff: Tariff) -> None:
    """soc_t − soc_{t−1} = (η c − d/η) Δt/E of the net power: no charging and discharging at once."""
    battery = BATTERIES[name]
    assert battery is not None
    prosumer = prosumer_of(battery, pv_kw, tariff)
    plan = prosumer.plan(tariff.signal(DT_H))
    charge, discharge = np.maximum(-plan.battery_kw, 0), np.maximum(plan.battery_kw, 0)
    change = (battery.efficiency * charge - discharge / battery.efficiency) * DT_H / battery.energy_kwh
    assert plan.soc is not None
    assert np.abs(change).max() > 0.01
    np.testing.assert_allclose(np.diff(plan.soc, prepend=battery.soc_initial), change, rtol=0, atol=1e-6)


def test_a_negative_price_rewards_losses_that_no_answer_has() -> None:
    """The relaxation wastes energy; the answer does not, and tells the difference."""
    battery = BATTERIES["lossy"]
    assert battery is not None
    prosumer, signal = prosumer_of(battery, 0.0), FLAT.signal(DT_H)
    signal.g[20:26, 0] = -0.2
    _, relaxed_chf = least_cost(prosumer.site, FLAT, DT_H, signal)
    answer, plan, eta = prosumer.respond(signal), prosumer.plan(signal), battery.efficiency
    assert answer.cost_chf - answer.above_relaxed_chf == pytest.approx(relaxed_chf, abs=2e-6)
    assert answer.above_relaxed_chf > 0.01
    net = (eta * np.maximum(-plan.battery_kw, 0) - np.maximum(plan.battery_kw, 0) / eta) * DT_H / battery.energy_kwh
    assert plan.soc is not None
    np.testing.assert_allclose(np.diff(plan.soc, prepend=battery.soc_initial), net, atol=1e-9)


def test_a_bound_under_the_directions_of_the_last_answer() -> None:
    """Asked for a plain price after one with curvature, a prosumer tells the least cost under its directions, too."""
    battery = BATTERIES["lossy"]
    assert battery is not None
    prosumer, plain = prosumer_of(battery, 0.0), FLAT.signal(DT_H)
    plain.g[20:26, 0] = -0.2
    curved = replace(plain, h=np.tile(1e-6 * np.eye(2), (STEPS, 1, 1)))
    alone = prosumer.respond(plain)
    assert alone.above_restricted_chf == alone.above_relaxed_chf
    near, under = prosumer.respond(curved), prosumer.respond(plain)
    np.testing.assert_array_equal(under.x, alone.x)
    assert under.cost_chf - under.above_restricted_chf == pytest.approx(near.cost_chf, abs=1e-3)
    assert under.cost_chf - under.above_relaxed_chf == pytest.approx(alone.cost_chf - alone.above_relaxed_chf, abs=1e-9)


@pytest.mark.parametrize("load_kw", [0.0, 2.0])
def test_loss_and_wear_by_hand(load_kw: float) -> None:
    """Tariff 0.2, then 0.3, an hour each: the battery sells until the loss of one more kW, 2 ℓ c̄ b/S, eats the gain."""
    outlook = Outlook(np.full(2, load_kw), np.zeros(2), np.full(2, 3.0))
    battery = Battery(10.0, 100.0, loss_rel=0.5, wear_chf_per_kwh=0.15)
    site = site_with("P", "B1", outlook, battery, 4.0)
    plant = site.resources["pv"]
    assert isinstance(plant, Pv)
    site = replace(site, resources={**site.resources, "pv": replace(plant, loss_rel=0.25)})
    buy = np.array([0.2, 0.3])
    tariff = Tariff(buy, buy)
    answer, plan = (getattr(ProsumerProgram(site, tariff, 1.0), ask)(tariff.signal(1.0)) for ask in ("respond", "plan"))
    np.testing.assert_allclose(plan.battery_kw, (buy - 0.15) / (2 * 0.5 * 0.25 / 10), atol=1e-4)
    np.testing.assert_allclose(plan.pv_kw, 3.0, atol=1e-6)
    lost_kw = 0.5 * plan.battery_kw**2 / 10 + 0.25 * 9 / 4
    np.testing.assert_allclose(plan.loss_kw, lost_kw, atol=1e-4)
    own_chf = 0.25 * lost_kw.sum() + 0.15 * plan.battery_kw.sum()
    assert answer.cost_chf == pytest.approx(buy @ (load_kw - plan.battery_kw - 3.0) + own_chf, abs=1e-6)
    assert own_cost_chf(tariff, tariff.signal(1.0), answer, 1.0) == pytest.approx(own_chf, abs=1e-6)


def test_the_rest_of_a_day_loses_at_the_value_of_the_whole_day() -> None:
    tariff = Tariff(np.array([0.1, 0.5]), np.array([0.1, 0.5]))
    assert tariff.after(1).value_chf_per_kwh == tariff.value_chf_per_kwh == pytest.approx(0.3)
    assert tariff.after(1).after(0).value_chf_per_kwh == pytest.approx(0.3)
    assert Tariff(np.array([-0.1, 0.0]), np.zeros(2)).value_chf_per_kwh == SMALLEST_TARIFF


@pytest.mark.parametrize("signal_name", ["full", "of rank one", "plain"])
@each_tariff
@each_free_battery
def test_no_feasible_plan_is_cheaper(battery: Battery | None, tariff: Tariff, signal_name: str) -> None:
    signal = SIGNALS[signal_name]
    prosumer = prosumer_of(battery, 5.0, tariff)
    best = prosumer.respond(signal)
    spread = tariff.export_spread_chf_per_kwh * DT_H
    rng = np.random.default_rng(9)
    for share in np.repeat([1e-3, 0.05, 1.0], 30):
        x = best.x + share * (feasible_demand(prosumer.site, rng) - best.x)
        assert signal.cost_chf(x) + spread @ np.maximum(-x[:, 0], 0) > best.cost_chf - best.above_relaxed_chf - 1e-7


def feasible_demand(site: Site, rng: np.random.Generator) -> FloatArray:
    """Some demand [T, 2] that the assets can produce."""
    g = rng.uniform(0, 1, STEPS) * site.outlook.pv_available_kw
    b, beta = np.zeros((2, STEPS))
    if battery := site.battery:
        side = battery.s_max_kva / sqrt(2)
        beta = rng.uniform(-side, side, STEPS) * (1 if battery.capability is Capability.BOX else 0.99)
        b = battery_power(battery, rng, side)
    return np.column_stack([site.outlook.load_kw - b - g, site.outlook.load_kvar - beta])


def battery_power(battery: Battery, rng: np.random.Generator, side: float) -> FloatArray:
    """Random power that keeps the SoC in its band and, where asked, returns the energy in time."""
    per_kw, eta, soc, b = DT_H / battery.energy_kwh, battery.efficiency, battery.soc_initial, np.zeros(STEPS)
    for t in range(STEPS):
        left = STEPS - 1 - t
        floor = max(battery.soc_min, (battery.soc_final_min or 0) - left * 0.99 * side * eta * per_kw)
        lowest, highest = max(floor - soc, -side * per_kw / eta), min(battery.soc_max - soc, side * eta * per_kw)
        change = rng.uniform(lowest, max(highest, lowest))
        b[t] = -change / (eta * per_kw) if change > 0 else -change * eta / per_kw
        soc += change
    return 0.999 * b if battery.soc_final_min is None else b


def test_disc_polygon_loses_less_than_half_a_percent_of_the_radius() -> None:
    """Its optimum lies between those of the true discs of radius S and 0.995 S."""
    battery, signal = BATTERIES["disc"], SIGNALS["full"]
    assert battery is not None
    site = site_of(battery, 0.0)
    cost = ProsumerProgram(site, FLAT, DT_H).respond(signal).cost_chf
    _, whole = least_cost(site, FLAT, DT_H, signal, disc_kva=battery.s_max_kva)
    _, inner = least_cost(site, FLAT, DT_H, signal, disc_kva=0.995 * battery.s_max_kva)
    _, box = least_cost(site_of(BOX, 0.0), FLAT, DT_H, signal)
    assert whole - 1e-7 < cost < inner + 1e-7
    assert inner < box - 0.01


def test_nothing_to_decide() -> None:
    prosumer = prosumer_of(None, 0.0)
    outlook, signal = prosumer.site.outlook, SIGNALS["full"]
    answer = prosumer.respond(signal)
    np.testing.assert_array_equal(answer.x, np.column_stack([outlook.load_kw, outlook.load_kvar]))
    assert answer.cost_chf == signal.cost_chf(answer.x)
    np.testing.assert_array_equal(prosumer.plan(signal).pv_kw, 0)


def test_feed_in_below_retail_keeps_energy_at_home() -> None:
    """With nothing paid for feed-in, PV is not worth exporting, and stored energy is used up by the load."""
    tariff = Tariff(FLAT.buy_chf_per_kwh, 0 * FLAT.buy_chf_per_kwh)
    prosumer = prosumer_of(BOX, 5.0, tariff)
    x = prosumer.respond(tariff.signal(DT_H)).x
    paid = tariff.cost_chf(x[:, 0], DT_H)
    assert paid == pytest.approx(FLAT.buy_chf_per_kwh @ np.maximum(x[:, 0], 0) * DT_H)
    free = prosumer_of(BOX, 5.0, FLAT)
    exported = np.maximum(-free.respond(FLAT.signal(DT_H)).x[:, 0], 0).sum()
    assert exported > 10
    assert paid < tariff.cost_chf(free.respond(FLAT.signal(DT_H)).x[:, 0], DT_H) - 0.1


@each_tariff
@each_free_battery
def test_retail_signal_costs_what_the_retail_tariff_costs(battery: Battery | None, tariff: Tariff) -> None:
    prosumer = prosumer_of(battery, 5.0, tariff)
    answer = prosumer.respond(tariff.signal(DT_H))
    buy, sell = np.maximum(answer.x[:, 0], 0), np.maximum(-answer.x[:, 0], 0)
    cost = DT_H * (tariff.buy_chf_per_kwh @ buy - tariff.sell_chf_per_kwh @ sell)
    assert answer.cost_chf == pytest.approx(cost)
    assert tariff.cost_chf(answer.x[:, 0], DT_H) == pytest.approx(cost)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3], ids=["watts", "kilowatts", "megawatts"])
@pytest.mark.parametrize("price", [1e-4, 1.0, 1e3])
def test_units_of_any_size(factor: float, price: float) -> None:
    """A house or a town, in any currency: cost and power scale with them."""
    outlook = BASE.sites[0].outlook
    scaled = Outlook(outlook.load_kw * factor, outlook.load_kvar * factor, outlook.pv_available_kw * factor)
    site = site_with("P", "B1", scaled, Battery(5.0 * factor, 10.0 * factor), 5.0 * factor)
    signal = SIGNALS["full"]
    signal = PriceSignal(signal.h * price / factor, signal.g * price, signal.fee_chf * price * factor)
    scaled_cost = ProsumerProgram(site, FLAT, DT_H).respond(signal).cost_chf / price / factor
    assert scaled_cost == pytest.approx(prosumer_of(BOX, 5.0).respond(SIGNALS["full"]).cost_chf, rel=1e-4)


@pytest.mark.parametrize("solver", ["clarabel", "gurobi"])
@pytest.mark.parametrize("kind", ["plain", "full", "of rank one"])
def test_other_solvers_agree_over_a_day_of_half_hours(gridlab9_half_hours: Scenario, solver: str, kind: str) -> None:
    """48 steps × 4 variables fit the licence that comes with gurobipy."""
    site, tariff = gridlab9_half_hours.sites[-1], gridlab9_half_hours.tariff
    answers = [ProsumerProgram(site, tariff, 0.5, name).respond(SIGNALS[kind]) for name in ("piqp", solver)]
    assert answers[0].cost_chf == pytest.approx(answers[1].cost_chf, abs=1e-6)
    if kind == "full":
        np.testing.assert_allclose(answers[0].x, answers[1].x, rtol=0, atol=1e-2)


def test_gurobi_answers_one_signal_after_the_other(gridlab9_half_hours: Scenario) -> None:
    site, tariff = gridlab9_half_hours.sites[0], gridlab9_half_hours.tariff
    gurobi, piqp = (ProsumerProgram(site, tariff, 0.5, name) for name in ("gurobi", "piqp"))
    for name in ("plain", "full", "steep", "full", "plain"):
        assert gurobi.respond(SIGNALS[name]).cost_chf == pytest.approx(piqp.respond(SIGNALS[name]).cost_chf, abs=1e-6)


def test_a_day_of_ten_minutes_needs_a_full_gurobi_licence(gridlab9: Scenario) -> None:
    prosumer = ProsumerProgram(gridlab9.sites[0], gridlab9.tariff, gridlab9.axis.dt_h, "gurobi")
    steps = gridlab9.axis.n_steps
    curved = PriceSignal(np.tile(0.01 * np.eye(2), (steps, 1, 1)), np.zeros((steps, 2)), 0.0)
    with pytest.raises(SolverLicenceError, match=r"full Gurobi licence: 576 variables, licence allows 200"):
        prosumer.respond(curved)
