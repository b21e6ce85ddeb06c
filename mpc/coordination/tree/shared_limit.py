"""One limit of a branch in the paper's own iteration: what its aggregator knows and does (paper B, 12–14).

    w_i'x_i = z_i  for all leaves i under the branch,   l ≤ Σ_i z_i ≤ u

The paper assumes one limit per branch when it explains, and several when it simulates; here each is one of these. The
weight w_i is that of the child under which leaf i is. Prices of a violation are ours: they bound u.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.hierarchy import ACTIVE, Branch, Hierarchy, TreeProblem
from mpc.coordination.tree.rows import branch_rows


@dataclass(frozen=True)
class SharedLimit:
    """A limit over the leaves D_b of a branch.

    Attributes:
        leaves: their places among all leaves, [N_b].
        w: weights, [N_b, T, 2].
        lower, upper: of the sum, in its unit, [T]; infinite without a limit.
        kappa: price of an excess, CHF per unit of the row, [T].
        scale: what an excess is compared with, in the unit of the row, [T].
        gamma, target: of the root's own objective γ/2 ‖Σ_i z_i − target‖² (18); 0 in all other limits.
    """

    leaves: tuple[int, ...]
    w: FloatArray
    lower: FloatArray
    upper: FloatArray
    kappa: FloatArray
    scale: FloatArray
    gamma: float
    target: FloatArray

    def weighted(self, x: FloatArray) -> FloatArray:
        """w_i'x_i of its leaves at the profiles x [N, T, 2] of all leaves, [N_b, T]."""
        return np.asarray((self.w * x[list(self.leaves)]).sum(axis=2))

    def excess(self, x: FloatArray) -> FloatArray:
        """By how much the profiles x [N, T, 2] violate the limit, ≥ 0, [T]."""
        value = self.weighted(x).sum(axis=0)
        return np.asarray(np.maximum(np.maximum(self.lower - value, value - self.upper), 0.0))

    def mean_copy(self, v: FloatArray, rho: float) -> FloatArray:
        """z̄ for v = x̄ + u: the proximal minimum of the objective (12), then its projection on the limits (12, 13), [T].

        The multiplier of the limits is at most κ; where they can be held below that price this is the projection.
        """
        n = len(self.leaves)
        curvature = rho + self.gamma * n
        best = (rho * v + self.gamma * self.target) / curvature
        price = np.clip(curvature * (best - np.clip(best, self.lower / n, self.upper / n)), -self.kappa, self.kappa)
        return np.asarray(best - price / curvature)


def shared_limits(problem: TreeProblem, kappa: float, scaled: bool) -> tuple[SharedLimit, ...]:
    """All limits of all branches; the power of the root is one, limited or not.

    Args:
        kappa: price of an excess of a limit that is scaled to a largest weight of 1, CHF/kW.
        scaled: whether limits are scaled so, or used in their own unit as in the paper.
    """
    tree = problem.hierarchy
    return tuple(limit for branch in tree.branches for limit in _of_branch(problem, branch, kappa, scaled))


def _of_branch(problem: TreeProblem, branch: Branch, kappa: float, scaled: bool) -> Iterator[SharedLimit]:
    tree, steps = problem.hierarchy, problem.axis.n_steps
    children = tree.children[branch.name]
    rows = branch_rows(branch, children, steps)
    places = _places(tree)
    for r, name in enumerate(rows.names):
        of_root = branch.parent is None and name == ACTIVE
        if not of_root and not np.isfinite([rows.lower[:, r], rows.upper[:, r]]).any():
            continue
        weighted = [(k, c) for c, child in enumerate(children) if rows.a[:, r, c].any() for k in places[child]]
        unit = np.ones(steps) if scaled else rows.unit[:, r]
        yield SharedLimit(
            leaves=tuple(k for k, _ in weighted),
            w=np.stack([rows.a[:, r, c] * unit[:, None] for _, c in weighted]),
            lower=rows.lower[:, r] * unit,
            upper=rows.upper[:, r] * unit,
            kappa=kappa / unit,
            scale=rows.scale[:, r] * unit,
            gamma=problem.peak_weight_per_kw2 if of_root else 0.0,
            target=problem.target,
        )


def _places(tree: Hierarchy) -> dict[str, tuple[int, ...]]:
    """Places of the leaves under each branch, and of each leaf."""
    places: dict[str, tuple[int, ...]] = {leaf: (k,) for k, leaf in enumerate(tree.leaves)}
    for branch in reversed(tree.top_down):
        places[branch.name] = tuple(k for child in tree.children[branch.name] for k in places[child])
    return places
