"""What every plan must be, whoever made it: batteries that one can follow."""

from collections.abc import Mapping

import numpy as np

from core.plan import ProsumerPlan
from core.resources import Battery
from core.scenario import Scenario, Site


def check_sound(site: Site, plan: ProsumerPlan, dt_h: float) -> None:
    """Each battery: the state of charge that power and efficiency alone lead to is that of the plan, in its band."""
    for name, battery in site.resources.items():
        if not isinstance(battery, Battery):
            continue
        b, planned = -plan.resources[name].p_kw, plan.resources[name].series["soc"]
        stored_kwh = np.where(b < 0, -b * battery.efficiency, -b / battery.efficiency) * dt_h
        soc = battery.soc_initial + np.cumsum(stored_kwh) / battery.energy_kwh
        assert soc.min() > battery.soc_min - 1e-6
        assert soc.max() < battery.soc_max + 1e-6
        assert soc[-1] > (battery.soc_final_min or 0.0) - 1e-6
        np.testing.assert_allclose(planned, soc, rtol=0, atol=1e-9)
    np.testing.assert_allclose(plan.p_kw, plan.load_kw - plan.battery_kw - plan.pv_kw, rtol=1e-9, atol=1e-9)
    assert plan.simultaneous_kw == 0.0


def check_all_sound(day: Scenario, plans: Mapping[str, ProsumerPlan]) -> None:
    """The plans of all sites are sound."""
    for site in day.sites:
        check_sound(site, plans[site.name], day.axis.dt_h)
