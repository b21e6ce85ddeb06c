"""Curtailable PV (paper A, eq. 21): its output g per step, 0 ≤ g ≤ g_available; no reactive power."""

from collections.abc import Mapping, Sequence

import numpy as np

from core.arrays import FloatArray
from core.plan import AVAILABLE, PV, ResourcePlan
from core.resources import Pv
from mpc.resources.block import Row, Variable


class PvBlock:
    """Block of a PV plant: its output, limited by what is available."""

    def __init__(self, pv: Pv) -> None:
        self._available_kw = pv.available_kw
        self.fixed = np.zeros((len(pv.available_kw), 2))
        self.variables = {"output": Variable((-1, 0), 0, pv.available_kw)}
        self.equalities: Sequence[Row] = ()
        self.inequalities: Sequence[Row] = ()

    def plan(self, values: Mapping[str, FloatArray]) -> ResourcePlan:
        """Demand, and the available power."""
        output = values["output"]
        return ResourcePlan(PV, -output, np.zeros_like(output), {AVAILABLE: self._available_kw})
