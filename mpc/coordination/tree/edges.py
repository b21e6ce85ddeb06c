"""Copies and multipliers of the edges between a branch and its children: the two-coloured iteration.

A tree is bipartite, so ADMM over its edges has two blocks: the branches of even levels and those of odd levels. On
each edge the child answers p_c; the parent keeps a copy v_c, and the multiplier μ_c of p_c = v_c. Weights: w_c = ρ/N_c.

    odd   (children first):   r_c = α p_c + (1 − α) v_c;  program → v_c;  μ_c += w_c (r_c − v_c);  ṽ_c = v_c
    even  (children second):  μ_c += w_c (p_c − ṽ_c);  r_c = p_c;  program → v_c;  ṽ_c = α v_c + (1 − α) p_c

The program has the references r_c + μ_c/w_c (:mod:`mpc.coordination.tree.program`), and the child is asked
H = w_c I, g = μ_c − w_c ṽ_c. Over-relaxation acts on the answers of the block that comes first.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.prices import PriceSignal
from mpc.coordination.tree.program import BranchSolution

Program = Callable[[FloatArray, FloatArray], BranchSolution]
"""The branch's program for references [C, T, 2] and weights [C]."""


@dataclass(frozen=True)
class Edges:
    """State of the edges to C children.

    Attributes:
        w: weights, CHF/kW², [C].
        v: copies, kW and kvar; ``asked`` is ṽ; each [C, T, 2].
        mu: multipliers, CHF/kW, [C, T, 2].
    """

    w: FloatArray
    v: FloatArray
    asked: FloatArray
    mu: FloatArray

    @classmethod
    def start(cls, w: FloatArray, p: FloatArray) -> "Edges":
        """Copies of the uncoordinated answers, no multipliers."""
        return cls(w, p, p, np.zeros_like(p))

    def children_first(
        self, p: FloatArray, w: FloatArray, alpha: float, program: Program
    ) -> tuple["Edges", BranchSolution]:
        """The update of an odd level for the answers p [C, T, 2]."""
        r = alpha * p + (1 - alpha) * self.v
        found = program(r + self.mu / by_child(w), w)
        return Edges(w, found.s, found.s, self.mu + by_child(w) * (r - found.s)), found

    def children_second(
        self, p: FloatArray, w: FloatArray, alpha: float, program: Program
    ) -> tuple["Edges", BranchSolution]:
        """The update of an even level for the answers p [C, T, 2] to what was asked last."""
        mu = self.mu + by_child(self.w) * (p - self.asked)
        found = program(p + mu / by_child(w), w)
        return Edges(w, found.s, alpha * found.s + (1 - alpha) * p, mu), found

    def signal(self, child: int) -> PriceSignal:
        """What a child is asked, without the tariff."""
        h = np.broadcast_to(self.w[child] * np.eye(2), (self.v.shape[1], 2, 2))
        v, mu, w = self.asked[child], self.mu[child], self.w[child]
        return PriceSignal(h, mu - w * v, float(np.sum((0.5 * w * v - mu) * v)))

    def after(self, steps: int) -> "Edges":
        """The state without its first ``steps`` steps."""
        return Edges(self.w, self.v[:, steps:], self.asked[:, steps:], self.mu[:, steps:])


def by_child(w: FloatArray) -> FloatArray:
    """Numbers [C] beside arrays [C, T, 2]."""
    return w[:, None, None]
