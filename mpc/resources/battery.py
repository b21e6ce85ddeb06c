"""Battery (paper A, eq. 20): discharge b, reactive power β and state of charge per step.

    soc_t = soc_{t−1} − b_t Δt/E,  soc_min ≤ soc ≤ soc_max                           (20a, 20b)
    |b|, |β| ≤ S/√2, or (b, β) in the capability disc                                (20c, 20d)

Where an efficiency η < 1, a cost of wear w or a tie makes the direction matter, b = d − c with c, d ≥ 0 and
soc_t = soc_{t−1} + (η c_t − d_t/η) Δt/E. No battery has c d > 0, which a price ≤ 0 would reward if η < 1: the two
exclude each other (:mod:`mpc.directions`).
Own costs (ours): the loss of the converter ½ κ (b² + β²) Δt with κ = 2 ℓ c̄/S, and the wear w (c + d) Δt. As c d = 0 in
every sound plan, b² = c² + d².
"""

from collections.abc import Mapping, Sequence

import numpy as np

from core.arrays import FloatArray
from core.plan import BATTERY, LOSS, SOC, ResourcePlan
from core.resources import Battery, Capability
from mpc.resources.block import Exclusion, Row, Variable, loss_curvature_chf

THROUGHPUT = 1.0
"""Weight of a kW that is charged or discharged, where costs are equal."""


class BatteryBlock:
    """Block of a battery; where the direction matters, it has separate variables for charge and discharge."""

    def __init__(self, battery: Battery, steps: int, dt_h: float, value_chf_per_kwh: float) -> None:
        self._battery, self._dt_h = battery, dt_h
        box, eta, per_kw = battery.power_box_kw, battery.efficiency, dt_h / battery.energy_kwh
        one = eta == 1.0 and battery.wear_chf_per_kwh == 0.0 and battery.loss_rel > 0.0
        own = (
            battery.wear_chf_per_kwh * dt_h,
            loss_curvature_chf(battery.loss_rel, battery.s_max_kva, value_chf_per_kwh, dt_h),
        )
        self.fixed = np.zeros((steps, 2))
        excludes = Exclusion("discharge", eta**2) if eta < 1.0 else None
        self.variables: dict[str, Variable] = (
            {} if one else {"charge": Variable((1, 0), 0, box, *own, THROUGHPUT, excludes)}
        )
        self.variables["discharge"] = Variable((-1, 0), -box if one else 0, box, *own, 0.0 if one else THROUGHPUT)
        self.variables["reactive"] = Variable((0, -1), -box, box, 0.0, own[1])
        self.variables["soc"] = Variable((0, 0), *battery.soc_band(steps, dt_h))
        b = {"discharge": 1.0} if one else {"discharge": 1.0, "charge": -1.0}
        lost = {"discharge": per_kw / eta} if one else {"discharge": per_kw / eta, "charge": -eta * per_kw}
        initial = np.zeros(steps)
        initial[0] = battery.soc_initial
        self.equalities = (Row({"soc": 1.0, **lost}, initial, before={"soc": -1.0}),)
        self.inequalities: Sequence[Row] = ()
        if battery.capability is Capability.DISC:
            normals, offset = battery.disc_halfplanes()
            self.inequalities = [
                Row({**{name: sign * n_b for name, sign in b.items()}, "reactive": n_beta}, offset)
                for n_b, n_beta in normals
            ]

    def plan(self, values: Mapping[str, FloatArray]) -> ResourcePlan:
        """Demand, and the state of charge that follows from it."""
        battery = self._battery
        b = self._discharge_kw(np.clip(values["soc"], *battery.soc_band(len(values["soc"]), self._dt_h)))
        gained = np.where(b < 0, -battery.efficiency * b, -b / battery.efficiency) * self._dt_h / battery.energy_kwh
        series = {SOC: battery.soc_initial + np.cumsum(gained)}
        if battery.loss_rel:
            series[LOSS] = battery.loss_kw(b, values["reactive"])
        return ResourcePlan(BATTERY, -b, -values["reactive"], series)

    def _discharge_kw(self, soc: FloatArray) -> FloatArray:
        """The power at the terminals that moves the state of charge like this, within its limits."""
        battery, change = self._battery, np.diff(soc, prepend=self._battery.soc_initial)
        eta = np.where(change > 0, 1 / battery.efficiency, battery.efficiency)
        return np.clip(-change * eta * battery.energy_kwh / self._dt_h, -battery.power_box_kw, battery.power_box_kw)
