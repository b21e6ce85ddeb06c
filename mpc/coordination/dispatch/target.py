"""The distance to the target, its step of the ADMM, and its part of the bound."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from core.arrays import FloatArray


class Norm(StrEnum):
    """``l1``: Σ w |y − t|; ``l2``: ½ Σ w (y − t)²."""

    L1 = "l1"
    L2 = "l2"


@dataclass(frozen=True)
class SectorTarget:
    """A target over M sectors.

    Attributes:
        kw: t, [M].
        weights: w ≥ 0, [M]; a sector of weight 0 does not count.
        norm: of the deviation.
    """

    kw: FloatArray
    weights: FloatArray
    norm: Norm

    def distance(self, aggregate: FloatArray) -> float:
        """g(y)."""
        deviation = aggregate - self.kw
        if self.norm is Norm.L1:
            return float(self.weights @ np.abs(deviation))
        return float(self.weights @ deviation**2 / 2)

    def price(self, wanted: FloatArray, stiffness: float) -> FloatArray:
        """λ⁺ = q (W − y) with the y of the coordinator's step, y = argmin g(y) + q/2 ‖y − W‖², [M].

        L1: y = t + soft(W − t, w/q); L2: y = (w t + q W) / (w + q); in both |λ| ≤ w or λ = w (y − t).
        """
        pulled = stiffness * (wanted - self.kw)
        if self.norm is Norm.L1:
            return np.clip(pulled, -self.weights, self.weights)
        return np.asarray(self.weights * pulled / (self.weights + stiffness))

    def slope(self, plain: FloatArray, price: FloatArray) -> FloatArray:
        """Slope of the bound at a price whose plain answers add up to ``plain``, [M]."""
        slope = plain - self.kw
        if self.norm is Norm.L1:
            return slope
        counted = self.weights > 0
        slope[counted] -= price[counted] / self.weights[counted]
        return slope

    def beyond(self, held_kw: FloatArray) -> "SectorTarget":
        """What is left of the target beside outputs that are held, [M]."""
        return SectorTarget(self.kw - held_kw, self.weights, self.norm)

    def bound_share(self, price: FloatArray) -> float:
        """min_y g(y) − λ'y for a price λ that :meth:`price` could return: −λ't, for L2 less ½ Σ λ²/w."""
        share = -float(price @ self.kw)
        if self.norm is Norm.L1:
            return share
        counted = self.weights > 0
        return share - float(np.sum(price[counted] ** 2 / self.weights[counted])) / 2
