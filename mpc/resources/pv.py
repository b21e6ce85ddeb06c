"""Curtailable PV (paper A, eq. 21): its output g and the reactive power γ of its inverter per step.

With the limits (21), 0 ≤ g ≤ g_available, and γ = 0 without a rating S; else |γ| ≤ S/√2 as well as g_available ≤ S/√2,
or (g, γ) in the capability disc. The loss of the inverter costs ½ κ (g² + γ²) Δt, κ = 2 ℓ c̄/S (ours).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from core.arrays import FloatArray
from core.plan import AVAILABLE, LOSS, PV, ResourcePlan
from core.resources import Capability, Pv, inscribed_polygon
from mpc.resources.block import Row, Variable, loss_curvature_chf

CURTAILMENT = 10.0
"""Weight of a kW that is curtailed, where costs are equal: no throughput of a battery is worth it."""


class PvBlock:
    """Block of a PV plant: its output, limited by what is available, and reactive power if its inverter has a
    rating.
    """

    def __init__(self, pv: Pv, dt_h: float, value_chf_per_kwh: float) -> None:
        self._pv = pv
        curvature_chf = loss_curvature_chf(pv.loss_rel, pv.rating_kva, value_chf_per_kwh, dt_h)
        self.fixed = np.zeros((len(pv.available_kw), 2))
        self.variables = {"output": Variable((-1, 0), 0, pv.available_kw, 0.0, curvature_chf, -CURTAILMENT)}
        self.equalities: Sequence[Row] = ()
        self.inequalities: Sequence[Row] = ()
        if pv.s_max_kva is None:
            return
        room = pv.reactive_box_kvar
        self.variables["reactive"] = Variable((0, -1), -room, room, 0.0, curvature_chf)
        if pv.capability is Capability.DISC:
            normals, offset = inscribed_polygon(pv.s_max_kva)
            self.inequalities = [
                Row({"output": n_g, "reactive": n_gamma}, offset) for n_g, n_gamma in normals if n_g > 0
            ]

    def plan(self, values: Mapping[str, FloatArray]) -> ResourcePlan:
        """Demand, the available power, and the loss if the inverter has one."""
        output, series = values["output"], {AVAILABLE: self._pv.available_kw}
        reactive = values.get("reactive", np.zeros_like(output))
        if self._pv.loss_rel:
            series[LOSS] = self._pv.loss_kw(output, reactive)
        return ResourcePlan(PV, -output, -reactive, series)
