"""Inflexible load: fixed demand."""

from collections.abc import Mapping, Sequence

import numpy as np

from core.arrays import FloatArray
from core.plan import LOAD, ResourcePlan
from core.resources import Load
from mpc.resources.block import Row, Variable


class LoadBlock:
    """Block of a load: fixed demand without variables."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self.fixed = np.column_stack([load.p_kw, load.q_kvar])
        self.variables: Mapping[str, Variable] = {}
        self.equalities: Sequence[Row] = ()
        self.inequalities: Sequence[Row] = ()

    def plan(self, _values: Mapping[str, FloatArray]) -> ResourcePlan:
        """The load itself."""
        return ResourcePlan(LOAD, self._load.p_kw, self._load.q_kvar, {})
