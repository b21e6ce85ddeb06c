"""A margin to the voltage limits, learned from the deviations of measured from predicted voltages.

An optimiser drives voltages exactly to limits that bind, so every error of forecast and model becomes a violation. The
margin of a node is a quantile of |measured − predicted| over the last cycles, blended with a cold start while these are
few:

    margin_n = (1 − a) cold + a · quantile_q |v_meas − v_pred|_n,    a = cycles seen / window
"""

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray

COLD_START_PU = 0.003
QUANTILE = 0.9
WINDOW = 36
"""Number of cycles that are remembered: six hours of ten minutes."""


@dataclass(frozen=True)
class Margin:
    """The latest deviations |measured − predicted|, p.u., [cycles, nodes besides the slack]."""

    deviations_pu: FloatArray

    @classmethod
    def unlearned(cls, n_nodes: int) -> "Margin":
        """Cold start for ``n_nodes`` nodes besides the slack."""
        return cls(np.empty((0, n_nodes)))

    @property
    def margin_pu(self) -> FloatArray:
        """Margin of each node, p.u., ≥ 0, [nodes]."""
        seen, nodes = self.deviations_pu.shape
        if seen == 0:
            return np.full(nodes, COLD_START_PU)
        a = seen / WINDOW
        return np.asarray((1 - a) * COLD_START_PU + a * np.quantile(self.deviations_pu, QUANTILE, axis=0))

    def after(self, predicted_pu: FloatArray, measured_pu: FloatArray) -> "Margin":
        """Add one cycle: mean voltages as planned and as measured, p.u., each [nodes]."""
        deviation = np.abs(measured_pu - predicted_pu)
        return Margin(np.vstack([self.deviations_pu, deviation])[-WINDOW:])
