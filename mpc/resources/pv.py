"""Curtailable PV (paper A, eq. 21): its output g per step, 0 ≤ g ≤ g_available; no reactive power.

The loss of its inverter costs ½ κ g² Δt, κ = 2 ℓ c̄/S with the rating S (ours).
"""

from collections.abc import Mapping, Sequence

import numpy as np

from core.arrays import FloatArray
from core.plan import AVAILABLE, LOSS, PV, ResourcePlan
from core.resources import Pv
from mpc.resources.block import Row, Variable, loss_curvature_chf


class PvBlock:
    """Block of a PV plant: its output, limited by what is available."""

    def __init__(self, pv: Pv, dt_h: float, value_chf_per_kwh: float) -> None:
        self._pv = pv
        curvature_chf = loss_curvature_chf(pv.loss_rel, pv.rating_kva, value_chf_per_kwh, dt_h)
        self.fixed = np.zeros((len(pv.available_kw), 2))
        self.variables = {"output": Variable((-1, 0), 0, pv.available_kw, 0.0, curvature_chf)}
        self.equalities: Sequence[Row] = ()
        self.inequalities: Sequence[Row] = ()

    def plan(self, values: Mapping[str, FloatArray]) -> ResourcePlan:
        """Demand, the available power, and the loss if the inverter has one."""
        output, none, series = values["output"], np.zeros_like(values["output"]), {AVAILABLE: self._pv.available_kw}
        if self._pv.loss_rel:
            series[LOSS] = self._pv.loss_kw(output, none)
        return ResourcePlan(PV, -output, none, series)
