"""A margin to the voltage limits, learned from how far measured voltages lay from the predicted ones.

An optimiser drives limits that bind exactly to the limit, so every error of forecast and model becomes a violation. Per
node, the margin is a quantile of |measured − predicted| over the last cycles; while these are few, the cold start holds
the balance:

    margin_n = (1 − a) cold + a · quantile_q |v_meas − v_pred|_n,    a = cycles seen / window
"""

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray

COLD_START_PU = 0.003
QUANTILE = 0.9
WINDOW = 36
"""Cycles that are remembered: six hours of ten minutes."""


@dataclass(frozen=True)
class Margin:
    """What is remembered: the latest deviations, [cycles, nodes besides the slack], p.u."""

    deviations_pu: FloatArray

    @classmethod
    def unlearned(cls, n_nodes: int) -> "Margin":
        """Cold start for so many nodes besides the slack."""
        return cls(np.empty((0, n_nodes)))

    @property
    def margin_pu(self) -> FloatArray:
        """Margin per node, ≥ 0."""
        seen, nodes = self.deviations_pu.shape
        if seen == 0:
            return np.full(nodes, COLD_START_PU)
        a = seen / WINDOW
        return np.asarray((1 - a) * COLD_START_PU + a * np.quantile(self.deviations_pu, QUANTILE, axis=0))

    def after(self, predicted_pu: FloatArray, measured_pu: FloatArray) -> "Margin":
        """One cycle later: mean voltages as planned and as measured, each [nodes]."""
        deviation = np.abs(measured_pu - predicted_pu)
        return Margin(np.vstack([self.deviations_pu, deviation])[-WINDOW:])
