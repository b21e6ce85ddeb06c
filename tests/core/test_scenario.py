"""A site and a scenario as they are later, and from another state of charge; several resources of one kind."""

from dataclasses import replace

import numpy as np
import pytest

from core.resources import Battery, Load, Pv
from core.scenario import Site
from mpc.forecast import Observed, remaining
from tests.support.synthetic import Sizes, scenario

BATTERY = Battery(5.0, 10.0, soc_initial=0.5, soc_min=0.2, soc_max=0.8, soc_final_min=0.7)
DAY = scenario(n_prosumers=2, step_min=60, sizes=Sizes(battery=BATTERY))
STEPS = DAY.axis.n_steps


def two_plants() -> Site:
    """Two PV plants, the second twice as strong as the first, of which one is in the dark in the first step."""
    rising = np.arange(STEPS, dtype=float)
    plants = {"roof": Pv(1.0, rising), "shed": Pv(2.0, 2 * rising)}
    return Site("A", DAY.network.nodes[1], {**plants, "load": Load(np.ones(STEPS), np.zeros(STEPS))})


@pytest.mark.parametrize(("soc", "begins"), [(0.5, 0.5), (0.197, 0.2), (0.803, 0.8), (0.2, 0.2), (0.1, 0.1)])
def test_a_battery_beside_its_band_starts_at_the_edge(soc: float, begins: float) -> None:
    site = DAY.sites[0].starting_at(soc)
    assert site.battery is not None
    assert site.battery == replace(site.battery, soc_initial=begins)
    assert list(site.resources) == list(DAY.sites[0].resources)


def test_without_battery_or_state_of_charge_a_site_stays_as_it_is() -> None:
    assert two_plants().starting_at(0.3).battery is None
    assert DAY.sites[0].starting_at(None) is DAY.sites[0]


def test_a_narrower_band_moves_final_charge_and_the_edge_into_it() -> None:
    narrow = BATTERY.within(0.502, 0.6)
    assert (narrow.soc_min, narrow.soc_max, narrow.soc_initial, narrow.soc_final_min) == (0.502, 0.6, 0.502, 0.6)
    assert replace(BATTERY, soc_final_min=None).within(0.3, 0.6).soc_final_min is None


def test_what_is_left_of_a_day() -> None:
    left = DAY.after(7)
    assert (left.axis.n_steps, left.axis.end) == (STEPS - 7, DAY.axis.end)
    assert left.axis.times == DAY.axis.times[7:]
    np.testing.assert_array_equal(left.slack_voltage_pu, DAY.slack_voltage_pu[7:])
    np.testing.assert_array_equal(left.tariff.buy_chf_per_kwh, DAY.tariff.buy_chf_per_kwh[7:])
    np.testing.assert_array_equal(left.tariff.sell_chf_per_kwh, DAY.tariff.sell_chf_per_kwh[7:])
    for before, after in zip(DAY.sites, left.sites, strict=True):
        assert (after.name, after.node, after.battery) == (before.name, before.node, before.battery)
        for name in ("load_kw", "load_kvar", "pv_available_kw"):
            np.testing.assert_array_equal(getattr(after.outlook, name), getattr(before.outlook, name)[7:])
        for whole_kw, left_kw in zip(before.outlook.plants_kw, after.outlook.plants_kw, strict=True):
            np.testing.assert_array_equal(left_kw, whole_kw[7:])
    assert (left.network, left.limits, left.problem.nodes) == (DAY.network, DAY.limits, DAY.problem.nodes)
    assert left.problem.after(2).axis == DAY.axis.after(9)


def test_resources_of_one_kind_add_up() -> None:
    site = two_plants()
    np.testing.assert_array_equal(site.outlook.pv_available_kw, 3 * np.arange(STEPS))
    assert [plant.peak_kw for plant in site.each(Pv)] == [1.0, 2.0]
    twice = Site("A", "B1", {"a": BATTERY, "b": BATTERY, **site.resources})
    with pytest.raises(ValueError, match="too many values"):
        _ = twice.battery


@pytest.mark.parametrize(("step", "roof_kw", "shed_kw"), [(5, 1.0, 2.0), (0, 1.5, 1.5)])
def test_what_is_seen_of_all_plants_is_shared_as_forecast(step: int, roof_kw: float, shed_kw: float) -> None:
    """3 kW in all; where nothing was expected, as at step 0, nobody knows better than in equal parts."""
    day = replace(DAY, sites=(two_plants(),))
    (site,) = remaining(day, step, {"A": Observed(0.7, 0.1, 3.0, None)}, 1.0).sites
    roof, shed = site.each(Pv)
    assert (roof.available_kw[0], shed.available_kw[0]) == pytest.approx((roof_kw, shed_kw))
    np.testing.assert_array_equal(shed.available_kw[1:], 2 * np.arange(step + 1, STEPS))
    assert (site.outlook.load_kw[0], site.outlook.load_kvar[0]) == (0.7, 0.1)


def test_whom_nobody_controls_is_a_load() -> None:
    """What its PV can give comes off its load; its battery rests; its place and its name stay."""
    site = two_plants()
    alone = site.as_net_load()
    assert (alone.name, alone.node, list(alone.resources), alone.battery) == (site.name, site.node, ["load"], None)
    np.testing.assert_array_equal(alone.outlook.load_kw, 1.0 - 3.0 * np.arange(STEPS))
    np.testing.assert_array_equal(alone.outlook.pv_available_kw, 0.0)
    first, second = DAY.sites
    made = DAY.with_passive([second.name])
    assert made.sites[0] is first
    assert made.sites[1].battery is None
    assert DAY.with_passive([]).sites == DAY.sites


@pytest.mark.parametrize(("initial", "soc_final_min"), [(0.05, None), (0.95, None), (0.05, 0.7), (0.5, 0.7)])
def test_limits_of_the_state_of_charge_lead_back_into_the_band(initial: float, soc_final_min: float | None) -> None:
    battery = replace(BATTERY, soc_initial=initial, soc_final_min=soc_final_min, efficiency=0.9)
    floor, ceiling = battery.soc_band(24, 0.5)
    per_step = battery.power_box_kw * 0.5 / battery.energy_kwh
    assert floor[-1] == (soc_final_min or 0.2)
    assert ceiling[-1] == 0.8
    assert np.all(floor <= ceiling)
    assert np.all(floor[:-1] <= 0.2)
    assert floor[0] - initial <= 0.9 * per_step, "charging reaches it"
    assert initial - ceiling[0] <= per_step / 0.9, "discharging reaches it"
    assert np.all(np.diff(floor[:-1]) >= 0)
    assert np.all(np.diff(ceiling) <= 0)
