"""Plans of what users have: feed-in that earns more than consumption costs, and batteries outside their band."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.config_coordination import CoordinationConfig
from core.load import load_config, load_scenario
from core.scenario import Scenario
from mpc.prosumer import participants
from tests.support.coordination import coordinate
from tests.support.user_data import written
from tests.support.virtual_clock import VirtualClock


def scenario_of(name: str, tmp_path: Path) -> Scenario:
    path = written({"name": name}, tmp_path)
    return load_scenario(load_config(path), path)


@pytest.mark.parametrize("name", ["02-feedin-above-retail", "02b-negative-spot-fixed-feedin"])
def test_feed_in_above_the_tariff_is_earned(name: str, tmp_path: Path) -> None:
    """No PV is thrown away where feed-in pays, and nobody pays more than for load and PV alone."""
    scenario = scenario_of(name, tmp_path)
    tariff, dt_h = scenario.tariff, scenario.axis.dt_h
    above = tariff.sell_chf_per_kwh > tariff.buy_chf_per_kwh
    assert above.any()
    assert not above.all()
    for prosumer, site in zip(participants(scenario), scenario.sites, strict=True):
        plan = prosumer.plan(tariff.signal(dt_h))
        np.testing.assert_allclose(plan.pv_kw, site.outlook.pv_available_kw, atol=1e-5)
        assert tariff.cost_chf(plan.p_kw, dt_h) < tariff.cost_chf(site.net_load_kw, dt_h) - 0.1


def test_a_state_of_charge_below_the_band_is_led_back(tmp_path: Path) -> None:
    scenario = scenario_of("01-soc-below-min", tmp_path)
    first = participants(scenario)[0]
    plan, battery = first.plan(scenario.tariff.signal(scenario.axis.dt_h)), scenario.sites[0].battery
    assert plan.soc is not None
    assert battery is not None
    charge, discharge = np.maximum(-plan.battery_kw, 0), np.maximum(plan.battery_kw, 0)
    change = (battery.efficiency * charge - discharge / battery.efficiency) * scenario.axis.dt_h / battery.energy_kwh
    soc = battery.soc_initial + np.cumsum(change)
    np.testing.assert_allclose(soc, plan.soc, atol=1e-6)
    assert soc.min() >= battery.soc_min - 1e-6, "back after the first step"
    assert soc.max() <= battery.soc_max + 1e-6


@pytest.mark.parametrize("name", ["02-feedin-above-retail", "02b-negative-spot-fixed-feedin"])
def test_feed_in_above_the_tariff_is_part_of_the_bill_and_no_own_cost(name: str, tmp_path: Path) -> None:
    """Limits that bind change the bill of P2; without losses and wear that is its whole compensation."""
    scenario = scenario_of(name, tmp_path)
    narrow = replace(scenario, limits=replace(scenario.limits, v_min_pu=0.994, v_max_pu=1.006))
    for bill in coordinate(narrow, CoordinationConfig(), VirtualClock()).bills.values():
        assert (bill.uncoordinated_own_chf, bill.coordinated_own_chf) == pytest.approx((0, 0), abs=1e-6)
        assert bill.compensation_chf == pytest.approx(bill.coordinated_chf - bill.uncoordinated_chf, abs=1e-6)
    assert bill.compensation_chf > 0.01
