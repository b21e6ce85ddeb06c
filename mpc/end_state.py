"""The state of charge at the end of a horizon that begins with an observed one, as far as it can be reached.

A target soc_T ≥ soc_final_min beyond reach would leave a prosumer without any plan: late in the day, or after less sun
than expected. (Where the configured initial state makes it unreachable, the plan of the whole day says so.) With the
surely possible charge c_t of a step (:attr:`core.scenario.Site.charging_kw`), the target is at most
soc_0 + η Σ c_t Δt/E.
"""

from dataclasses import replace

from core.resources import Battery
from core.scenario import Site

SAFELY, LEFT = 0.999, 1e-5
"""Share of the reach that is asked for, and charge that is left besides: a solver needs a little room inside."""


def starting_at(site: Site, soc: float | None, dt_h: float) -> Site:
    """The site with its battery starting from ``soc`` (None: as it is), and a final state of charge that it can
    reach.
    """
    site = site.starting_at(soc).led_back()
    if not any(battery.soc_final_min is not None for battery in site.each(Battery)):
        return site
    power_kw = sum(battery.power_box_kw for battery in site.each(Battery))
    hours = float(site.charging_kw.sum()) * dt_h / power_kw
    reached = {
        name: _within_reach(one, hours) if isinstance(one, Battery) else one for name, one in site.resources.items()
    }
    return replace(site, resources=reached)


def _within_reach(battery: Battery, hours: float) -> Battery:
    """The battery with a final state that it reaches by charging at full power for ``hours``."""
    if battery.soc_final_min is None:
        return battery
    gained = battery.efficiency * battery.power_box_kw * hours / battery.energy_kwh
    reach = battery.soc_initial + SAFELY * gained - LEFT
    return replace(battery, soc_final_min=min(battery.soc_final_min, reach))
