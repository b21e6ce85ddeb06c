"""Battery (paper A, eq. 20): discharge b, reactive power β and state of charge per step.

    soc_t = soc_{t−1} − b_t Δt/E,  soc_min ≤ soc ≤ soc_max                           (20a, 20b)
    |b|, |β| ≤ S/√2, or (b, β) in the capability disc                                (20c, 20d)

With an efficiency η < 1 or a cost of wear w, b = d − c with c, d ≥ 0 and soc_t = soc_{t−1} + (η c_t − d_t/η) Δt/E.
Own costs (ours): the loss of the converter ½ κ (b² + β²) Δt with κ = 2 ℓ c̄/S, and the wear w (c + d) Δt. As c d = 0 in
every sound plan, b² = c² + d².
"""

from collections.abc import Mapping, Sequence

import numpy as np

from core.arrays import FloatArray
from core.plan import BATTERY, LOSS, SOC, ResourcePlan
from core.resources import Battery, Capability
from mpc.resources.block import Row, Variable, loss_curvature_chf


class BatteryBlock:
    """Block of a battery; where the direction matters, it has separate variables for charge and discharge."""

    def __init__(self, battery: Battery, steps: int, dt_h: float, value_chf_per_kwh: float) -> None:
        self._battery = battery
        box, eta, per_kw = battery.power_box_kw, battery.efficiency, dt_h / battery.energy_kwh
        one = eta == 1.0 and battery.wear_chf_per_kwh == 0.0
        own = (
            battery.wear_chf_per_kwh * dt_h,
            loss_curvature_chf(battery.loss_rel, battery.s_max_kva, value_chf_per_kwh, dt_h),
        )
        self.fixed = np.zeros((steps, 2))
        self.variables: dict[str, Variable] = {} if one else {"charge": Variable((1, 0), 0, box, *own)}
        self.variables["discharge"] = Variable((-1, 0), -box if one else 0, box, *own)
        self.variables["reactive"] = Variable((0, -1), -box, box, 0.0, own[1])
        self.variables["soc"] = Variable((0, 0), _soc_floor(battery, steps), battery.soc_max)
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
        """Demand and state of charge; ``unphysical_kw`` is the largest simultaneous charge and discharge of the
        solution.
        """
        discharge = values["discharge"]
        charge = values.get("charge", np.zeros_like(discharge))
        at_once_kw = float(np.minimum(charge, discharge).max()) if "charge" in values else 0.0
        series = {SOC: values["soc"]}
        if self._battery.loss_rel:
            series[LOSS] = self._battery.loss_kw(discharge - charge, values["reactive"])
        return ResourcePlan(BATTERY, -(discharge - charge), -values["reactive"], series, unphysical_kw=at_once_kw)


def _soc_floor(battery: Battery, steps: int) -> FloatArray:
    floor = np.full(steps, battery.soc_min)
    if battery.soc_final_min is not None:
        floor[-1] = max(battery.soc_min, battery.soc_final_min)
    return floor
