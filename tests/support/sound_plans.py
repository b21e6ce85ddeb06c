"""What every plan and every answer must be, whoever made it: one that a battery can follow, and that has a reason."""

from collections.abc import Mapping

import numpy as np

from core.arrays import FloatArray
from core.plan import ProsumerPlan
from core.prices import DemandProfile, PriceSignal, Tariff
from core.resources import Battery
from core.scenario import Scenario, Site

TIED_REL = 1e-6
"""Loss from leaving out a cycle, relative to the value of energy, up to which it is a tie: a tenth of the weight that
decides between optima.
"""
SMOOTH_REL = 1e-2
"""Gain from leaving out a cycle, relative to that value, from which on it counts where the cost is smooth."""
USED_REL, ROOM = 1e-2, 1e-2
"""Share of its power that a battery uses, and room in its band, from which on removing a cycle is judged."""


def check_sound(site: Site, plan: ProsumerPlan, dt_h: float) -> None:
    """Each battery: the state of charge that power and efficiency alone lead to is that of the plan, in its band.

    From outside the band it goes no further out.
    """
    for name, battery in site.resources.items():
        if not isinstance(battery, Battery):
            continue
        b, planned = -plan.resources[name].p_kw, plan.resources[name].series["soc"]
        stored_kwh = np.where(b < 0, -b * battery.efficiency, -b / battery.efficiency) * dt_h
        soc = battery.soc_initial + np.cumsum(stored_kwh) / battery.energy_kwh
        low, high = min(battery.soc_min, battery.soc_initial), max(battery.soc_max, battery.soc_initial)
        assert soc.min() > low - 1e-6, f"{site.name}, {name}: down to {soc.min()}, allowed {low}"
        assert soc.max() < high + 1e-6, f"{site.name}, {name}: up to {soc.max()}, allowed {high}"
        final = battery.soc_final_min or 0.0
        assert soc[-1] > final - 1e-6, f"{site.name}, {name}: ends at {soc[-1]}, asked {final}"
        np.testing.assert_allclose(planned, soc, rtol=0, atol=1e-9)
    np.testing.assert_allclose(plan.p_kw, plan.load_kw - plan.battery_kw - plan.pv_kw, rtol=1e-9, atol=1e-9)
    assert plan.simultaneous_kw == 0.0


def check_all_sound(day: Scenario, plans: Mapping[str, ProsumerPlan]) -> None:
    """The plans of all sites are sound."""
    for site in day.sites:
        check_sound(site, plans[site.name], day.axis.dt_h)


def check_cost(
    site: Site, tariff: Tariff, dt_h: float, signal: PriceSignal, answer: DemandProfile, plan: ProsumerPlan
) -> None:
    """The cost of an answer is that of the powers that batteries and plants can follow, losses and wear included."""
    value_chf, energy_kwh = tariff.value_chf_per_kwh * dt_h, np.abs(plan.battery_kw) * dt_h
    wear = sum(float(energy_kwh.sum()) * battery.wear_chf_per_kwh for battery in site.each(Battery))
    p_kw = answer.x[:, 0]
    premium_chf = float(tariff.premium_chf_per_kwh(site.net_load_kw) @ p_kw) * dt_h
    export_chf = float(tariff.export_spread_chf_per_kwh @ np.maximum(-p_kw, 0)) * dt_h
    expected = signal.cost_chf(answer.x) + premium_chf + export_chf + value_chf * plan.loss_kw.sum() + wear
    scale = float(np.abs(signal.gradient(answer.x) * answer.x).sum())
    np.testing.assert_allclose(answer.cost_chf, expected, rtol=0, atol=1e-4 * scale + 1e-6, err_msg=site.name)


def check_cycles(site: Site, tariff: Tariff, dt_h: float, signal: PriceSignal, plan: ProsumerPlan) -> None:
    """No charge c_t and discharge d_s can be left out, a unit of c with η² of d, without paying more.

    The state of charge between the two steps changes then; it must have room, and the other limits must not bind.
    """
    x = np.column_stack([plan.p_kw, plan.q_kvar])
    price = signal.gradient(x)[:, 0] + tariff.premium_chf_per_kwh(site.net_load_kw) * dt_h
    spread = tariff.export_spread_chf_per_kwh * dt_h
    free = np.full(len(x), True) if site.rating_kva is None else np.hypot(*x.T) < 0.98 * site.rating_kva
    value_chf = tariff.value_chf_per_kwh * dt_h
    for name, battery in site.resources.items():
        if not isinstance(battery, Battery):
            continue
        b, soc = -plan.resources[name].p_kw, plan.resources[name].series["soc"]
        used = USED_REL * battery.power_box_kw
        saved, paid = price - spread * (plan.p_kw <= used), price - spread * (plan.p_kw < -used)
        charges, discharges = np.flatnonzero((b < -used) & free), np.flatnonzero((b > used) & free)
        weight, wear = battery.efficiency**2, battery.wear_chf_per_kwh * dt_h
        curvature = 2 * battery.loss_rel * value_chf / battery.s_max_kva
        smooth = curvature > 0 or bool(signal.h.any())
        left_out = saved - curvature * b + wear
        missed = paid - curvature * b - wear
        gain = left_out[charges][:, None] - weight * missed[discharges]
        pointless = (gain > (SMOOTH_REL if smooth else -TIED_REL) * value_chf) & _has_room(battery, soc)[
            np.ix_(charges, discharges)
        ]
        found = [(int(charges[t]), int(discharges[s]), float(gain[t, s])) for t, s in np.argwhere(pointless)]
        assert not found, f"{name} cycles without a reason (charge, discharge, gain CHF/kW): {found[:3]}"


def _has_room(battery: Battery, soc: FloatArray) -> FloatArray:
    """Whether the state of charge between step t and step s has room to fall (t < s) or to rise (s < t), [T, T]."""
    steps = len(soc)
    later = np.arange(steps)[:, None] <= np.arange(steps)
    found = np.zeros((steps, steps), bool)
    for room, turned in ((soc - battery.soc_min, False), (battery.soc_max - soc, True)):
        least = np.minimum.accumulate(np.where(later, room, np.inf), axis=1)
        between = np.zeros((steps, steps), bool)
        between[:, 1:] = (least[:, :-1] > ROOM) & (np.arange(steps)[:, None] < np.arange(1, steps))
        found |= between.T if turned else between
    return found
