"""Several resources of one kind in one program: sums, the optimum of the one that they make up, and their tables."""

from dataclasses import replace

import numpy as np
import pytest

from controller.runs.tables import plan_frame, resources_frame
from core.config_coordination import CoordinationConfig
from core.resources import Battery, Capability, Load, Pv, Resource
from core.scenario import Scenario, Site
from mpc.prosumer import ProsumerProgram
from mpc.reference import CentralisedProblem
from tests.support.coordination import uncoordinated
from tests.support.synthetic import Sizes, scenario

BASE = scenario(n_prosumers=1, step_min=60, sizes=Sizes(total_pv_kw=5.0))
SITE, DT_H, STEPS = BASE.sites[0], BASE.axis.dt_h, BASE.axis.n_steps
SIGNAL = replace(BASE.tariff.signal(DT_H), h=np.tile(0.01 * np.eye(2), (STEPS, 1, 1)))
HALF = Battery(2.5, 5.0)
WHOLE = Battery(5.0, 10.0)


def site_of(**resources: Resource) -> Site:
    outlook = SITE.outlook
    return Site("P0", SITE.node, {**resources, "load": Load(outlook.load_kw, outlook.load_kvar)})


def plants(*shares: float) -> dict[str, Resource]:
    available_kw = SITE.outlook.pv_available_kw
    return {f"pv_{k}": Pv(5.0 * share, share * available_kw) for k, share in enumerate(shares)}


@pytest.mark.parametrize("changes", [{}, {"efficiency": 0.9}, {"capability": Capability.DISC}])
def test_two_halves_cost_as_much_as_the_whole(changes: dict[str, float]) -> None:
    half, whole = replace(HALF, **changes), replace(WHOLE, **changes)
    apart = ProsumerProgram(site_of(a=half, b=half, **plants(0.3, 0.7)), BASE.tariff, DT_H)
    together = ProsumerProgram(site_of(a=whole, **plants(1.0)), BASE.tariff, DT_H)
    assert apart.respond(SIGNAL).cost_chf == pytest.approx(together.respond(SIGNAL).cost_chf, abs=1e-6)
    plan = apart.plan(SIGNAL)
    assert list(plan.resources) == ["a", "b", "pv_0", "pv_1", "load"]
    parts_kw = sum(part.p_kw for part in plan.resources.values())
    np.testing.assert_allclose(plan.p_kw, parts_kw, atol=1e-9)
    np.testing.assert_allclose(plan.p_kw, plan.load_kw - plan.battery_kw - plan.pv_kw, atol=1e-9)
    np.testing.assert_allclose(plan.pv_available_kw, SITE.outlook.pv_available_kw, atol=1e-12)
    for name in "ab":
        soc = plan.resources[name].series["soc"]
        assert half.soc_min - 1e-6 < soc.min() <= soc.max() < half.soc_max + 1e-6


def test_the_reference_knows_them_too() -> None:
    day: Scenario = replace(BASE, sites=(site_of(a=HALF, b=HALF, **plants(0.3, 0.7)),))
    one: Scenario = replace(BASE, sites=(site_of(a=WHOLE, **plants(1.0)),))
    costs = [CentralisedProblem(each).uncoordinated().cost_chf for each in (day, one)]
    assert costs[0] == pytest.approx(costs[1], abs=1e-6)


def test_tables_hold_sums_and_each_of_several() -> None:
    day = replace(BASE, sites=(site_of(a=HALF, **plants(0.3, 0.7)),))
    made = uncoordinated(day, CoordinationConfig())
    plan, more = plan_frame(made.plan, made.problem.tariff), resources_frame(made.plan)
    assert set(zip(more.resource, more.quantity, strict=True)) == {
        (name, quantity) for name in ("pv_0", "pv_1") for quantity in ("p_kw", "available_kw")
    }
    each = more[more.quantity == "p_kw"].value.to_numpy(float).reshape(2, STEPS)
    np.testing.assert_allclose(plan.pv_kw, -each.sum(axis=0))
    assert list(more.time[:STEPS]) == list(plan.time)


def test_nothing_is_left_for_a_table_where_there_is_one_of_each() -> None:
    day = replace(BASE, sites=(site_of(a=HALF, **plants(1.0)),))
    assert resources_frame(uncoordinated(day, CoordinationConfig()).plan).empty
