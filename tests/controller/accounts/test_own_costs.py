"""Own costs of an account by hand: whose reactive power is lost, and where."""

from dataclasses import replace

import numpy as np
import pytest

from controller.accounts.own_costs import Powers, own_costs
from core.resources import Battery, Load, Pv
from core.scenario import Site
from mpc.prosumer import ProsumerProgram
from tests.support.synthetic import scenario

HOUR = np.ones(1)
SITE = Site(
    "P",
    "B1",
    {
        "load": Load(HOUR, HOUR),
        "battery": Battery(5.0, 10.0, loss_rel=0.02, wear_chf_per_kwh=0.1),
        "roof": Pv(6.0, 6 * HOUR, loss_rel=0.03, s_max_kva=4.0),
        "shed": Pv(12.0, 12 * HOUR, loss_rel=0.05),
    },
)


def test_each_converter_loses_what_it_passes() -> None:
    """The plants share 8 kW as their ratings 4 : 12, and the roof alone supplies reactive power."""
    powers = Powers(-3.0 * HOUR, 1.0 * HOUR, 8.0 * HOUR, 2.0 * HOUR)
    found = own_costs(SITE, powers, 0.5, value_chf_per_kwh=0.2)
    lost_kw = 0.02 * (9 + 1) / 5 + 0.03 * (2**2 + 2**2) / 4 + 0.05 * 6**2 / 12
    assert (found.loss_kwh, found.loss_chf) == pytest.approx((0.5 * lost_kw, 0.1 * lost_kw))
    assert (found.throughput_kwh, found.wear_chf) == pytest.approx((1.5, 0.15))


def test_a_plan_costs_its_owner_in_the_account_what_it_lost_in_the_plan() -> None:
    """A price of reactive power draws it from battery and plant."""
    day = scenario(n_prosumers=1, step_min=60)
    resources = {**day.sites[0].resources, "battery": Battery(5.0, 10.0, loss_rel=0.02)}
    plant = Pv(6.0, day.sites[0].outlook.pv_available_kw / 8, loss_rel=0.03, s_max_kva=6.0)
    site = replace(day.sites[0], resources={**resources, "pv": plant})
    signal = day.tariff.signal(1.0)
    plan = ProsumerProgram(site, day.tariff, 1.0).plan(replace(signal, g=signal.g + np.array([0.0, 0.002])))
    assert np.abs(plan.pv_kvar).max() > 0.5
    found = own_costs(site, Powers.of(plan), 1.0, value_chf_per_kwh=0.2)
    assert found.loss_kwh == pytest.approx(float(plan.loss_kw.sum()))
