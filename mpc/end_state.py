"""The state of charge at the end of a horizon that begins with an observed one, as far as it can be reached.

A target soc_T ≥ soc_final_min beyond reach would leave a prosumer without any plan: late in the day, or after less sun
than expected. (Where the configured initial state makes it unreachable, the plan of the whole day says so.) With the
load, all the PV that the forecast offers, and batteries that only charge, within the inner radius d of the polygon in
the rating's disc, the surely possible charge of a step is

    c_t = min(Σ box, max(0, √(d² − load_q²) − load_p + g_available))

and the target is at most soc_0 + η Σ c_t Δt/E.
"""

from dataclasses import replace

import numpy as np

from core.resources import Battery, inscribed_polygon
from core.scenario import Site

SAFELY, LEFT = 0.999, 1e-5
"""Share of the reach that is asked for, and charge that is left besides: a solver needs a little room inside."""


def starting_at(site: Site, soc: float | None, dt_h: float) -> Site:
    """The site with its battery starting from ``soc`` (None: as it is), and a final state of charge that it can
    reach.
    """
    site = _within_rating(site.starting_at(soc))
    if not any(battery.soc_final_min is not None for battery in site.each(Battery)):
        return site
    power_kw = sum(battery.power_box_kw for battery in site.each(Battery))
    hours = _charging_kwh(site, dt_h) / power_kw
    reached = {
        name: _within_reach(one, hours) if isinstance(one, Battery) else one for name, one in site.resources.items()
    }
    return replace(site, resources=reached)


def _within_rating(site: Site) -> Site:
    """The site with a battery below its band widened to its state, where its converter may be too small to lead it
    back.
    """
    battery = site.battery
    if battery is None or site.rating_kva is None or battery.soc_initial >= battery.soc_min:
        return site
    largest_kva = float(np.hypot(site.outlook.load_kw, site.outlook.load_kvar).max()) + battery.power_box_kw
    if largest_kva <= site.rating_kva:
        return site
    return site.with_battery(replace(battery, soc_min=battery.soc_initial))


def _charging_kwh(site: Site, dt_h: float) -> float:
    """Energy that the batteries of the site together can surely take in over the horizon."""
    outlook, power_kw = site.outlook, sum(battery.power_box_kw for battery in site.each(Battery))
    room_kw = np.full_like(outlook.load_kw, power_kw)
    if site.rating_kva is not None:
        _, d = inscribed_polygon(site.rating_kva)
        net_kw = outlook.load_kw - outlook.pv_available_kw
        room_kw = np.sqrt(np.maximum(d**2 - outlook.load_kvar**2, 0)) - net_kw
    return float(np.clip(room_kw, 0, power_kw).sum()) * dt_h


def _within_reach(battery: Battery, hours: float) -> Battery:
    """The battery with a final state that it reaches by charging at full power for ``hours``."""
    if battery.soc_final_min is None:
        return battery
    gained = battery.efficiency * battery.power_box_kw * hours / battery.energy_kwh
    reach = battery.soc_initial + SAFELY * gained - LEFT
    return replace(battery, soc_final_min=min(battery.soc_final_min, reach))
