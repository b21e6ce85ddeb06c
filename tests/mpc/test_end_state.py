"""Final states of charge in a horizon that begins with an observed one: kept, or as near as possible."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.resources import Battery, Capability, Load
from core.scenario import Site
from mpc.end_state import LEFT, SAFELY, starting_at
from mpc.prosumer import ProsumerProgram
from tests.support.synthetic import Sizes, scenario, site_with

BASE = scenario(n_prosumers=1, step_min=60, sizes=Sizes(total_pv_kw=5.0))
SITE, DT_H, STEPS = BASE.sites[0], BASE.axis.dt_h, BASE.axis.n_steps
BATTERY = Battery(2.0, 10.0, soc_initial=0.5, soc_final_min=0.5, efficiency=0.9)


def final_of(site: Site) -> float:
    battery = site.battery
    assert battery is not None
    assert battery.soc_final_min is not None
    return battery.soc_final_min


def test_a_target_within_reach_stays() -> None:
    site = site_with("P", "B1", SITE.outlook, BATTERY, 5.0)
    assert final_of(starting_at(site, 0.2, DT_H)) == 0.5
    assert starting_at(site_with("P", "B1", SITE.outlook, None, 5.0), None, DT_H).battery is None


def test_beyond_reach_it_is_what_full_power_reaches() -> None:
    late = site_with("P", "B1", SITE.outlook, BATTERY, 5.0).after(STEPS - 1)
    reach = 0.2 + SAFELY * 0.9 * BATTERY.power_box_kw * DT_H / 10.0 - LEFT
    assert final_of(starting_at(late, 0.2, DT_H)) == pytest.approx(reach)
    tariff = replace(BASE.tariff, buy_chf_per_kwh=BASE.tariff.buy_chf_per_kwh[-1:], sell_chf_per_kwh=np.zeros(1))
    plan = ProsumerProgram(starting_at(late, 0.2, DT_H), tariff, DT_H).plan(tariff.signal(DT_H))
    assert plan.soc is not None
    assert plan.soc[-1] == pytest.approx(reach, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    soc=st.floats(0, 1),
    passed=st.integers(0, STEPS - 1),
    rating_kva=st.sampled_from([None, 0.5, 1.5, 3.0]),
    load=st.sampled_from([0.3, 1.0]),
    capability=st.sampled_from(Capability),
)
@example(soc=1.0, passed=0, rating_kva=0.5, load=0.3, capability=Capability.DISC)
@example(soc=1.0, passed=0, rating_kva=0.5, load=1.0, capability=Capability.DISC)
def test_there_is_always_a_plan(
    soc: float, passed: int, rating_kva: float | None, load: float, capability: Capability
) -> None:
    battery, outlook = replace(BATTERY, capability=capability, soc_final_min=0.85), SITE.outlook
    resources = {**SITE.resources, "battery": battery, "load": Load(load * outlook.load_kw, load * outlook.load_kvar)}
    site = starting_at(Site("P", "B1", resources, rating_kva).after(passed), soc, DT_H)
    tariff = BASE.tariff.after(passed)
    plan = ProsumerProgram(site, tariff, DT_H).plan(tariff.signal(DT_H))
    assert plan.soc is not None
    assert plan.soc[-1] >= final_of(site) - 1e-6
