"""Battery (paper A, eq. 20): discharge b, reactive power β and state of charge per step.

    soc_t = soc_{t−1} − b_t Δt/E,  soc_min ≤ soc ≤ soc_max                           (20a, 20b)
    |b|, |β| ≤ S/√2, or (b, β) in the capability disc                                (20c, 20d)

With an efficiency η < 1, b = d − c with c, d ≥ 0 and soc_t = soc_{t−1} + (η c_t − d_t/η) Δt/E.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from core.arrays import FloatArray
from core.plan import BATTERY, SOC, ResourcePlan
from core.resources import Battery, Capability
from mpc.resources.block import Row, Variable


class BatteryBlock:
    """Block of a battery; with losses it has separate variables for charge and discharge."""

    def __init__(self, battery: Battery, steps: int, dt_h: float) -> None:
        box, eta, per_kw = battery.power_box_kw, battery.efficiency, dt_h / battery.energy_kwh
        lossless = eta == 1.0
        self.fixed = np.zeros((steps, 2))
        self.variables: dict[str, Variable] = {} if lossless else {"charge": Variable((1, 0), 0, box)}
        self.variables["discharge"] = Variable((-1, 0), -box if lossless else 0, box)
        self.variables["reactive"] = Variable((0, -1), -box, box)
        self.variables["soc"] = Variable((0, 0), _soc_floor(battery, steps), battery.soc_max)
        b = {"discharge": 1.0} if lossless else {"discharge": 1.0, "charge": -1.0}
        lost = {"discharge": per_kw / eta} if lossless else {"discharge": per_kw / eta, "charge": -eta * per_kw}
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
        return ResourcePlan(
            BATTERY, -(discharge - charge), -values["reactive"], {SOC: values["soc"]}, unphysical_kw=at_once_kw
        )


def _soc_floor(battery: Battery, steps: int) -> FloatArray:
    floor = np.full(steps, battery.soc_min)
    if battery.soc_final_min is not None:
        floor[-1] = max(battery.soc_min, battery.soc_final_min)
    return floor
