"""A prosumer's plan stays within what its converters can pass, and is what it was where they can pass everything."""

from dataclasses import replace

import numpy as np
import pytest

from core.arrays import FloatArray
from core.config import Config
from core.config_coordination import CoordinationConfig
from core.errors import SolverError
from core.load import load_scenario
from core.prices import PriceSignal, Tariff
from core.resources import Battery, Capability, Load, Outlook
from core.scenario import Scenario, Site
from mpc.coordination.outcome import CoordinationStatus
from mpc.end_state import starting_at
from mpc.prosumer import ProsumerProgram, participants
from mpc.reference import CentralisedProblem
from mpc.solvers.quadratic import QuadraticProgram
from tests.support.certificate import certify
from tests.support.coordination import coordinate
from tests.support.independent_prosumer import least_cost
from tests.support.paths import CONFIG
from tests.support.synthetic import Sizes, scenario, site_with
from tests.support.virtual_clock import VirtualClock

BASE = scenario(n_prosumers=1, step_min=60, sizes=Sizes(total_pv_kw=5.0))
SITE, DT_H, STEPS = BASE.sites[0], BASE.axis.dt_h, BASE.axis.n_steps
BOX = Battery(2.5, 5.0)
BATTERIES = {"no battery": None, "box": BOX, "lossy disc": replace(BOX, efficiency=0.9, capability=Capability.DISC)}
FLAT = BASE.tariff
LOWER_FEED_IN = Tariff(FLAT.buy_chf_per_kwh, 0.5 * FLAT.buy_chf_per_kwh)
POLYGON = 1 / np.cos(np.pi / 32)


def site_of(rating_kva: float | None, battery: Battery | None = BOX, load: float = 1.0) -> Site:
    outlook = SITE.outlook
    scaled = Outlook(load * outlook.load_kw, load * outlook.load_kvar, outlook.pv_available_kw)
    return replace(site_with("P", "B1", scaled, battery, 5.0), rating_kva=rating_kva)


def signal(seed: int) -> PriceSignal:
    rng = np.random.default_rng(seed)
    root = np.sqrt(0.05) * rng.normal(size=(STEPS, 2, 2))
    g = rng.normal([0.1, 0.0], [0.1, 0.05], (STEPS, 2)) * DT_H
    return PriceSignal(root @ root.swapaxes(1, 2) * DT_H, g, 0.0)


def program(site: Site, tariff: Tariff = FLAT) -> QuadraticProgram:
    return ProsumerProgram(site, tariff, DT_H)._program()


def s_kva(x: FloatArray) -> FloatArray:
    return np.asarray(np.hypot(x[..., 0], x[..., 1]))


@pytest.mark.parametrize("tariff", [FLAT, LOWER_FEED_IN], ids=["one price", "two prices"])
@pytest.mark.parametrize("battery", BATTERIES.values(), ids=BATTERIES)
@pytest.mark.parametrize("rating_kva", [1.5, 2.5, 4.0])
def test_cost_and_limit_against_cvxpy(rating_kva: float, battery: Battery | None, tariff: Tariff) -> None:
    site = site_of(rating_kva, battery, load=0.25)
    for price in (tariff.signal(DT_H), signal(1), signal(2)):
        answer = ProsumerProgram(site, tariff, DT_H).respond(price)
        x, cost_chf = least_cost(site, tariff, DT_H, price)
        assert answer.cost_chf - answer.above_relaxed_chf == pytest.approx(cost_chf, abs=2e-6, rel=1e-6)
        assert s_kva(answer.x).max() <= rating_kva + 1e-6
        assert s_kva(x).max() <= rating_kva + 1e-6
        free = ProsumerProgram(replace(site, rating_kva=None), tariff, DT_H).respond(price)
        if s_kva(free.x).max() > rating_kva * (1 + 1e-6):
            assert answer.cost_chf > free.cost_chf + 1e-6
            assert s_kva(answer.x).max() * POLYGON > rating_kva * (1 - 1e-6), "it is used to the full"


def test_the_limit_binds_in_these_cases() -> None:
    free = ProsumerProgram(site_of(None), FLAT, DT_H).respond(FLAT.signal(DT_H))
    assert s_kva(free.x).max() > 4.0


@pytest.mark.parametrize("tariff", [FLAT, LOWER_FEED_IN], ids=["one price", "two prices"])
@pytest.mark.parametrize("battery", BATTERIES.values(), ids=BATTERIES)
def test_a_rating_out_of_reach_leaves_the_program_as_it_is(battery: Battery | None, tariff: Tariff) -> None:
    """To the last bit, and to the last place of its matrices."""
    free, rated = (program(site_of(kva, battery), tariff) for kva in (None, 15.0))
    for name in ("b", "h", "lower", "upper"):
        np.testing.assert_array_equal(getattr(rated, name), getattr(free, name), strict=True)
    for name in ("p", "a", "g"):
        for part in ("data", "indices", "indptr"):
            np.testing.assert_array_equal(getattr(getattr(rated, name), part), getattr(getattr(free, name), part))


def test_rows_stand_only_where_load_pv_and_battery_could_exceed_it() -> None:
    site, (side, load, pv) = site_of(3.5), (BOX.power_box_kw, SITE.outlook, SITE.outlook.pv_available_kw)
    most_p = np.maximum(load.load_kw + side, side + pv - load.load_kw)
    beyond = np.hypot(most_p, np.abs(load.load_kvar) + side) > 3.5
    assert 0 < beyond.sum() < STEPS
    rows, columns = program(site).g.nonzero()
    assert len(set(rows)) == program(site).g.shape[0] - program(site_of(None)).g.shape[0]
    count = program(site).g.shape[1] // STEPS
    assert set(columns // count) == set(np.flatnonzero(beyond))
    assert len(set(rows)) < 32 * beyond.sum(), "edges that cannot be reached are left out"


def test_a_load_beyond_the_rating_is_supplied_and_nothing_added_to_it() -> None:
    site = site_of(1.5, load=0.5)
    load = np.column_stack([site.outlook.load_kw, site.outlook.load_kvar])
    above = s_kva(load) > 1.5
    assert 0 < above.sum() < STEPS
    normals = np.array([[np.cos(angle), np.sin(angle)] for angle in 2 * np.pi * (np.arange(32) + 0.5) / 32])
    for price in (FLAT.signal(DT_H), signal(1), signal(2)):
        x = ProsumerProgram(site, FLAT, DT_H).respond(price).x
        np.testing.assert_array_less(x @ normals.T, np.maximum(1.5 / POLYGON, load @ normals.T) + 1e-6)
        assert s_kva(x)[~above].max() <= 1.5 + 1e-6
        assert least_cost(site, FLAT, DT_H, price)[1] == pytest.approx(
            ProsumerProgram(site, FLAT, DT_H).respond(price).cost_chf, abs=2e-6
        )


@pytest.mark.parametrize("battery", [None, BOX], ids=["pv", "pv and battery"])
@pytest.mark.parametrize(("p_kw", "q_kvar"), [(0, 3), (0, -3), (3, 3), (2, 0), (1e-9, 2), (100, 0)])
@pytest.mark.parametrize("rating_kva", [1e-6, 2.0])
def test_a_load_in_any_direction_leaves_a_plan(
    rating_kva: float, p_kw: float, q_kvar: float, battery: Battery | None
) -> None:
    """Even where nothing may move at all, as behind a converter that passes next to nothing."""
    full = np.ones(STEPS)
    outlook = Outlook(p_kw * full, q_kvar * full, SITE.outlook.pv_available_kw)
    site = replace(site_with("P", "B1", outlook, battery, 5.0), rating_kva=rating_kva)
    price = FLAT.signal(DT_H)
    cost_chf = ProsumerProgram(site, FLAT, DT_H).respond(price).cost_chf
    assert cost_chf == pytest.approx(least_cost(site, FLAT, DT_H, price)[1], abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("load", [0.25, 0.5])
def test_the_reference_has_the_same_limit(load: float) -> None:
    day: Scenario = replace(BASE, sites=(site_of(1.5, load=load),))
    optimum = CentralisedProblem(day).uncoordinated()
    (prosumer,) = participants(day)
    assert optimum.cost_chf == pytest.approx(prosumer.respond(FLAT.signal(DT_H)).cost_chf, abs=1e-5)
    free = CentralisedProblem(replace(BASE, sites=(site_of(None, load=load),))).uncoordinated()
    assert optimum.cost_chf > free.cost_chf + 1e-3


def test_a_final_charge_that_the_rating_keeps_out_of_reach_is_named() -> None:
    """The load takes all that the converter can pass, so that nothing is left for charging."""
    full = np.ones(STEPS)
    load = Load(1.5 * full, 0 * full)
    battery = replace(BOX, soc_initial=0.2, soc_final_min=0.8)
    site = Site("P", "B1", {"battery": battery, "load": load}, rating_kva=1.5)
    with pytest.raises(SolverError, match=r"prosumer P \(battery, load; 1.5 kVA of converters\): piqp ended"):
        ProsumerProgram(site, FLAT, DT_H).respond(FLAT.signal(DT_H))
    assert ProsumerProgram(replace(site, rating_kva=3.5), FLAT, DT_H).plan(FLAT.signal(DT_H)).soc is not None


def with_rating(config: Config, device: str, s_max_kva: float) -> Config:
    devices = tuple(
        each.model_copy(update={"s_max_kva": s_max_kva}) if each.name == device else each for each in config.devices
    )
    return config.model_copy(update={"devices": devices})


def test_a_converter_smaller_than_pv_limits_the_plan_of_the_day(gridlab9_config: Config) -> None:
    """Without it the plan of N3 reaches 3.5 kVA. With 2 kVA it stays within, certified; the others are free."""
    day = load_scenario(with_rating(gridlab9_config, "n3_converter", 2.0), CONFIG)
    assert [site.rating_kva for site in day.sites] == [2.0, 15.0, 15.0, 15.0, 15.0]
    made = coordinate(day, CoordinationConfig(), VirtualClock())
    x = {name: agreement.profile.x for name, agreement in made.plan.agreements.items()}
    assert s_kva(x["N3"]).max() == pytest.approx(2.0, abs=0.02)
    assert s_kva(x["N3"]).max() <= 2.0 + 1e-6
    assert s_kva(x["N4"]).max() > 2.5
    plan = made.plan.prosumers["N3"]
    assert np.hypot(plan.p_kw, plan.q_kvar).max() <= 2.0 + 1e-6
    assert made.outcome.status is CoordinationStatus.CONVERGED
    certificate = certify(day, made)
    assert abs(certificate.gap_rel) <= 1e-3
    assert certificate.violation_pu <= 2e-4


@pytest.mark.parametrize("s_max_kva", [1.0, 2.0, 3.0])
def test_a_small_converter_leads_a_battery_back_as_far_as_it_can(gridlab9_config: Config, s_max_kva: float) -> None:
    """Half of the battery's power, 0.88 kW beside the load, is too much for 1 kVA. The MPC plans so at any hour."""
    first, *others = with_rating(gridlab9_config, "n3_converter", s_max_kva).prosumers
    assert first.battery is not None
    empty = first.model_copy(update={"battery": first.battery.model_copy(update={"soc_initial": 0.0})})
    config = with_rating(gridlab9_config, "n3_converter", s_max_kva)
    day = load_scenario(config.model_copy(update={"prosumers": (empty, *others)}), CONFIG)
    (site, *_), dt_h = day.sites, day.axis.dt_h
    for passed in (0, 36, 110):
        later, tariff = starting_at(site.after(passed), 0.0, dt_h), day.tariff.after(passed)
        plan = ProsumerProgram(later, tariff, dt_h).plan(tariff.signal(dt_h))
        assert plan.soc is not None
        assert plan.soc[-1] >= min(0.1, 0.45 * float(later.charging_kw.sum()) * dt_h / first.battery.energy_kwh)
    whole = ProsumerProgram(site, day.tariff, dt_h).plan(day.tariff.signal(dt_h))
    assert whole.soc is not None
    assert whole.soc[-1] >= 0.1 - 1e-6


def test_a_house_without_converter_has_no_rating(gridlab9_config: Config) -> None:
    first, *others = gridlab9_config.prosumers
    passive = gridlab9_config.model_copy(update={"prosumers": (first.model_copy(update={"converter": None}), *others)})
    assert [site.rating_kva for site in load_scenario(passive, CONFIG).sites] == [None, 15.0, 15.0, 15.0, 15.0]
