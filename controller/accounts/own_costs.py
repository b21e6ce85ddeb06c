"""Own costs of a prosumer's resources, which no bill contains: losses of converters and wear of batteries.

    loss   ℓ (p² + q²)/S Δt of each converter, at c̄ per kWh        wear   w |b| Δt of each battery

with the powers as measured or planned, and c̄ the value of energy of the whole day (:class:`core.prices.Tariff`). They
are amounts of the account alone: the emulated state of charge and the plant know the efficiency only.
"""

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.plan import ProsumerPlan
from core.resources import Pv
from core.scenario import Site


@dataclass(frozen=True)
class Powers:
    """What a prosumer's battery and PV plants supply, kW and kvar, each [K]; unknown powers are NaN."""

    battery_kw: FloatArray
    battery_kvar: FloatArray
    pv_kw: FloatArray
    pv_kvar: FloatArray

    @classmethod
    def of(cls, plan: ProsumerPlan) -> "Powers":
        """The powers of a plan."""
        return cls(plan.battery_kw, plan.battery_kvar, plan.pv_kw, plan.pv_kvar)

    def within(self, steps: slice) -> "Powers":
        """The powers of some of the steps."""
        return Powers(self.battery_kw[steps], self.battery_kvar[steps], self.pv_kw[steps], self.pv_kvar[steps])


@dataclass(frozen=True)
class OwnCosts:
    """Energy lost in converters (kWh) with its value, energy charged and discharged (kWh) with its wear."""

    loss_kwh: float
    loss_chf: float
    throughput_kwh: float
    wear_chf: float

    @property
    def total_chf(self) -> float:
        """Losses and wear together."""
        return self.loss_chf + self.wear_chf


def own_costs(site: Site, powers: Powers, hours: FloatArray | float, value_chf_per_kwh: float) -> OwnCosts:
    """Own costs of constant powers over ``hours``, scalar or [K]; an unknown power counts as 0.

    Several PV plants share their active power in proportion to their ratings, and so do those with a rating for
    reactive power.
    """
    known = (powers.battery_kw, powers.battery_kvar, powers.pv_kw, powers.pv_kvar)
    b, beta, g, gamma = (np.nan_to_num(power) for power in known)
    battery, plants = site.battery, site.each(Pv)
    rating_kva = sum(plant.rating_kva for plant in plants)
    reactive_kva = sum(plant.reactive_box_kvar for plant in plants) or 1.0
    loss_kw = np.zeros_like(g)
    for plant in plants:
        share, reactive = plant.rating_kva / rating_kva, plant.reactive_box_kvar / reactive_kva
        loss_kw = loss_kw + plant.loss_kw(g * share, gamma * reactive)
    if battery is not None:
        loss_kw = loss_kw + battery.loss_kw(b, beta)
    loss_kwh, throughput_kwh = float(np.sum(loss_kw * hours)), float(np.sum(np.abs(b) * hours))
    wear_chf_per_kwh = 0.0 if battery is None else battery.wear_chf_per_kwh
    return OwnCosts(loss_kwh, loss_kwh * value_chf_per_kwh, throughput_kwh, throughput_kwh * wear_chf_per_kwh)
