"""One limit of a branch in the paper's own iteration: what its aggregator knows and does (paper B, 12–14).

    w_i'x_i = z_i  for all leaves i under the branch,   l ≤ Σ_i z_i ≤ u

The paper assumes one limit per branch when it explains, and several when it simulates; here each is one of these. Its
weights w_i [2] or [T, 2] are those of the child under which leaf i is. Prices of a violation are ours: they bound u.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.hierarchy import Branch, BranchRow, Hierarchy, TreeProblem

SMALLEST_SHARE = 0.1
"""An excess is compared with the limit of its step, but with no less than this share of the row's largest limit."""


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
    """All limits of all branches.

    Args:
        kappa: price of an excess of a limit that is scaled to a largest coefficient of 1, CHF/kW.
        scaled: whether limits are scaled so, or used in their own unit as in the paper.
    """
    tree = problem.hierarchy
    leaves = {branch.name: _leaves_by_child(tree, branch.name) for branch in tree.branches}
    found = []
    for branch in tree.branches:
        for row, gamma in _rows(problem, branch):
            found.append(_limit(problem, row, leaves[branch.name], gamma, kappa, scaled))
    return tuple(found)


def _rows(problem: TreeProblem, branch: Branch) -> Iterator[tuple[BranchRow, float]]:
    """The limits of a branch, each with the weight of the objective in it."""
    limits, children = branch.limits, problem.hierarchy.children[branch.name]
    active, reactive = (dict.fromkeys(children, side) for side in np.eye(2))
    gamma = 0.0 if branch.parent else problem.peak_weight_per_kw2
    yield BranchRow("p_kw", active, limits.p_min_kw, limits.p_max_kw), gamma
    if limits.q_min_kvar is not None or limits.q_max_kvar is not None:
        yield BranchRow("q_kvar", reactive, limits.q_min_kvar, limits.q_max_kvar), 0.0
    yield from ((row, 0.0) for row in branch.rows)


def _limit(
    problem: TreeProblem,
    row: BranchRow,
    leaves: Mapping[str, tuple[int, ...]],
    gamma: float,
    kappa: float,
    scaled: bool,
) -> SharedLimit:
    steps = problem.axis.n_steps
    below = [(place, a) for child, a in row.coefficients.items() for place in leaves[child]]
    w = np.stack([np.broadcast_to(a, (steps, 2)) for _, a in below])
    lower, upper = (
        np.full(steps, free) if side is None else side for side, free in ((row.lower, -np.inf), (row.upper, np.inf))
    )
    largest = np.abs(w).max(axis=(0, 2))
    largest = np.where(largest > 0, largest, 1.0)
    unit = largest if scaled else np.ones(steps)
    return SharedLimit(
        leaves=tuple(place for place, _ in below),
        w=w / unit[:, None],
        lower=lower / unit,
        upper=upper / unit,
        kappa=kappa * unit / largest,
        scale=_scale(row, lower, upper) / unit,
        gamma=gamma,
        target=problem.target,
    )


def _scale(row: BranchRow, lower: FloatArray, upper: FloatArray) -> FloatArray:
    if row.scale is not None:
        return np.full(len(lower), row.scale)
    sides = np.abs([lower, upper])
    limit = np.max(sides, axis=0, where=np.isfinite(sides), initial=0.0)
    scale = np.maximum(limit, SMALLEST_SHARE * limit.max())
    return np.where(scale > 0, scale, 1.0)


def _leaves_by_child(tree: Hierarchy, name: str) -> dict[str, tuple[int, ...]]:
    """Places of the leaves under each child of a branch."""
    places: dict[str, tuple[int, ...]] = {leaf: (k,) for k, leaf in enumerate(tree.leaves)}
    for branch in reversed(tree.top_down):
        places[branch.name] = tuple(k for child in tree.children[branch.name] for k in places[child])
    return {child: places[child] for child in tree.children[name]}
