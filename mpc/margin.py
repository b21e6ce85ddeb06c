"""Margins to the limits, learned from the deviations of measured from predicted values.

An optimiser drives a quantity exactly to a limit that binds, so every error of forecast and model becomes a violation.
The margin of a quantity is a quantile of |measured − predicted| over the last cycles, blended with a cold start while
these are few:

    margin = (1 − a) cold + a · quantile_q |measured − predicted|,    a = cycles seen / window

Voltages have a margin of each node (p.u.), the reactive power at the slack has one (kvar). Voltages err by the supply,
which wanders: the last six hours tell, and slopes correct the rest within 30 s. Reactive power errs by appliances that
run for some minutes while a battery has nothing left to give, and nothing corrects it: a day is remembered, and all but
one in a hundred of its deviations are covered (docs/decisions/0066-margin-of-reactive-power.md).
"""

from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray


@dataclass(frozen=True)
class Learning:
    """How one margin is learned: the quantile q, and the number of cycles (of ten minutes) that are remembered."""

    quantile: float
    window: int

    def blended(self, deviations: FloatArray, cold: float) -> FloatArray:
        """The margin of each column, or the only one; ``deviations`` [cycles, …], ``cold`` in their unit."""
        if not len(deviations):
            return np.full(deviations.shape[1:], cold)
        a = len(deviations) / self.window
        return np.asarray((1 - a) * cold + a * np.quantile(deviations, self.quantile, axis=0))


VOLTAGE = Learning(quantile=0.9, window=36)
REACTIVE_POWER = Learning(quantile=0.99, window=144)
COLD_START_PU = 0.003
COLD_START_SHARE = 0.15
"""Cold start of the margin of reactive power, as a share of its limit."""


@dataclass(frozen=True)
class Margin:
    """The latest deviations |measured − predicted|.

    Attributes:
        deviations_pu: of the voltages, p.u., [cycles, nodes besides the slack].
        deviations_kvar: of the reactive power at the slack, kvar, [cycles].
    """

    deviations_pu: FloatArray
    deviations_kvar: FloatArray

    @classmethod
    def unlearned(cls, n_nodes: int) -> "Margin":
        """Cold start for ``n_nodes`` nodes besides the slack."""
        return cls(np.empty((0, n_nodes)), np.empty(0))

    @property
    def margin_pu(self) -> FloatArray:
        """Margin of each node, p.u., ≥ 0, [nodes]."""
        return VOLTAGE.blended(self.deviations_pu, COLD_START_PU)

    def margin_kvar(self, limit_kvar: float) -> float:
        """Margin of the reactive power at the slack, whose limit is ``limit_kvar``; kvar, ≥ 0."""
        return float(REACTIVE_POWER.blended(self.deviations_kvar, COLD_START_SHARE * limit_kvar))

    def after(self, predicted_pu: FloatArray, measured_pu: FloatArray) -> "Margin":
        """Add one cycle: mean voltages as planned and as measured, p.u., each [nodes]."""
        deviation = np.abs(measured_pu - predicted_pu)
        return replace(self, deviations_pu=np.vstack([self.deviations_pu, deviation])[-VOLTAGE.window :])

    def after_reactive(self, predicted_kvar: float, measured_kvar: float) -> "Margin":
        """Add one cycle: mean reactive power at the slack as planned and as measured, kvar."""
        deviation = abs(measured_kvar - predicted_kvar)
        return replace(self, deviations_kvar=np.append(self.deviations_kvar, deviation)[-REACTIVE_POWER.window :])
