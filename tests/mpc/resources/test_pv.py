"""Reactive power of a PV inverter in a prosumer's program: against an independent one, and within its rating."""

from dataclasses import replace

import numpy as np
import pytest

from core.config_coordination import CoordinationConfig
from core.prices import PriceSignal
from core.resources import Battery, Capability, Load, Pv, Resource
from core.scenario import Scenario, Site
from mpc.coordination.outcome import CoordinationStatus
from mpc.prosumer import ProsumerProgram
from tests.support.certificate import certify
from tests.support.coordination import coordinate, uncoordinated
from tests.support.independent_prosumer import least_cost
from tests.support.synthetic import Sizes, scenario, with_slack_voltage
from tests.support.virtual_clock import VirtualClock

BASE = scenario(n_prosumers=3, step_min=60, sizes=Sizes(battery=None, total_pv_kw=15.0))
SITE, DT_H, STEPS = BASE.sites[0], BASE.axis.dt_h, BASE.axis.n_steps
PLAIN = BASE.tariff.signal(DT_H)


def plant(s_max_kva: float | None, capability: Capability = Capability.DISC, share: float = 1.0) -> Pv:
    one = Pv(5.0 * share, share * SITE.outlook.pv_available_kw, 0.0, s_max_kva, capability)
    return replace(one, available_kw=np.minimum(one.available_kw, one.power_box_kw))


def site_of(*plants: Pv, battery: Battery | None = None) -> Site:
    resources: dict[str, Resource] = {f"pv_{k}": each for k, each in enumerate(plants)}
    resources |= {"battery": battery} if battery else {}
    return Site("P0", SITE.node, {**resources, "load": Load(SITE.outlook.load_kw, SITE.outlook.load_kvar)})


def signal(seed: int) -> PriceSignal:
    rng = np.random.default_rng(seed)
    g = rng.normal([0.1, 0.0], [0.15, 0.05], (STEPS, 2)) * DT_H
    return PriceSignal(np.tile(0.01 * np.eye(2), (STEPS, 1, 1)) * (seed % 2), g, 0.0)


CASES = {
    "disc": site_of(plant(5.0)),
    "box": site_of(plant(5.0, Capability.BOX)),
    "small": site_of(plant(2.0)),
    "strings": site_of(plant(3.0, share=0.6), plant(None, share=0.2), plant(2.0, Capability.BOX, share=0.2)),
    "with battery": site_of(plant(4.0), battery=Battery(2.5, 5.0, efficiency=0.9, capability=Capability.DISC)),
    "rated": replace(site_of(plant(4.0)), rating_kva=3.0),
}


@pytest.mark.parametrize("site", CASES.values(), ids=CASES)
def test_cost_and_limits_against_cvxpy(site: Site) -> None:
    for price in (signal(1), signal(2)):
        prosumer = ProsumerProgram(site, BASE.tariff, DT_H)
        assert prosumer.respond(price).cost_chf == pytest.approx(
            least_cost(site, BASE.tariff, DT_H, price)[1], abs=2e-6, rel=1e-6
        )
        plan = prosumer.plan(price)
        for name, each in site.resources.items():
            if isinstance(each, Pv):
                own = plan.resources[name]
                limit = each.s_max_kva or 0.0
                assert np.abs(own.q_kvar).max() <= each.capability.box_kva(limit) + 1e-6
                assert each.s_max_kva is None or np.hypot(own.p_kw, own.q_kvar).max() <= limit + 1e-6
                assert (np.abs(own.q_kvar).max() > 0.1) == (each.s_max_kva is not None), "there is a price on it"
        np.testing.assert_allclose(plan.q_kvar, plan.load_kvar - plan.battery_kvar - plan.pv_kvar, atol=1e-9)


def test_an_inverter_as_large_as_the_peak_loses_nothing() -> None:
    peak_kw = float(SITE.outlook.pv_available_kw.max())
    plan = ProsumerProgram(site_of(plant(peak_kw)), BASE.tariff, DT_H).plan(PLAIN)
    np.testing.assert_allclose(plan.pv_kw, plan.pv_available_kw, atol=1e-5)


def test_reactive_power_holds_the_voltage_where_else_sun_is_thrown_away() -> None:
    """Three prosumers without batteries at a supply voltage near the limit, certified by the reference."""
    high = with_slack_voltage(BASE, 1.045)
    with_q: Scenario = replace(
        high, sites=tuple(_with_rating(site, 1.2 * site.each(Pv)[0].peak_kw) for site in high.sites)
    )
    curtailed = {}
    for name, day in (("without", high), ("with", with_q)):
        made = coordinate(day, CoordinationConfig(), VirtualClock())
        assert made.outcome.status is CoordinationStatus.CONVERGED
        certificate = certify(day, made)
        assert abs(certificate.gap_rel) <= 1e-3
        assert certificate.violation_pu <= 2e-4
        curtailed[name] = sum(float((p.pv_available_kw - p.pv_kw).sum()) for p in made.plan.prosumers.values())
    assert curtailed["without"] > 5.0
    assert curtailed["with"] < 0.5 * curtailed["without"]
    own = uncoordinated(with_q, CoordinationConfig()).plan.prosumers
    assert max(float(np.abs(plan.pv_kvar).max()) for plan in own.values()) < 1e-3, "without a price nobody uses it"


def _with_rating(site: Site, s_max_kva: float) -> Site:
    rated = {
        name: replace(one, s_max_kva=s_max_kva) if isinstance(one, Pv) else one for name, one in site.resources.items()
    }
    return replace(site, resources=rated)
