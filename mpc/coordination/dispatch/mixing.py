"""The best mixture of past aggregates, and the price that it reveals.

    min over the simplex  g(Σ_k θ_k Y_k) + Σ_k θ_k C_k

Everyone may mix its own past answers by the same θ: what each can do is convex. The multiplier of the mixture's
balance is the best price for what is known so far; asked next as plain question, it gives a new column and a bound
(Dantzig and Wolfe 1960).
"""

from dataclasses import dataclass

import daqp
import numpy as np
from scipy.optimize import linprog

from core.arrays import FloatArray
from core.errors import SolverError
from mpc.coordination.dispatch.target import Norm, SectorTarget

REGULAR = 1e-9
"""Added to the scaled Hessian, which is singular where aggregates repeat."""


@dataclass(frozen=True)
class Mix:
    """A mixture: weights θ, [K], and the price λ of its balance, [M]."""

    weights: FloatArray
    price: FloatArray


def best_mix(target: SectorTarget, outputs: FloatArray, costs: FloatArray) -> Mix:
    """The best mixture of K aggregates.

    Args:
        outputs: Y, [K, M].
        costs: C, [K].

    Raises:
        SolverError: the solver of the small program failed.
    """
    solve = _linear if target.norm is Norm.L1 else _quadratic
    return solve(target, outputs, costs)


def _linear(target: SectorTarget, outputs: FloatArray, costs: FloatArray) -> Mix:
    """L1: a linear program, scaled by the largest output of each sector and by the largest cost."""
    k, m = outputs.shape
    kw = np.maximum(np.abs(outputs).max(axis=0), np.abs(target.kw))
    kw = np.where(kw > 0, kw, 1.0)
    weights = target.weights * kw
    unit = max(float(weights.max()), float(np.abs(costs).max())) or 1.0
    objective = np.concatenate([costs, weights, weights]) / unit
    balance = np.hstack([(outputs / kw).T, -np.eye(m), np.eye(m)])
    simplex = np.concatenate([np.ones(k), np.zeros(2 * m)])
    rows, sides = np.vstack([balance, simplex]), np.append(target.kw / kw, 1.0)
    solved = linprog(objective, A_eq=rows, b_eq=sides, method="highs")
    if solved.status != 0:
        raise SolverError(f"mixing: highs ended with {solved.message}")
    price = -unit * solved.eqlin.marginals[:m] / kw
    return Mix(_simplex(solved.x[:k]), np.clip(price, -target.weights, target.weights))


def _quadratic(target: SectorTarget, outputs: FloatArray, costs: FloatArray) -> Mix:
    """L2: a quadratic program over the simplex."""
    k = len(costs)
    weighted = (outputs - target.kw) * np.sqrt(target.weights)
    hessian = weighted @ weighted.T
    scale = max(float(np.trace(hessian)) / k, float(np.abs(costs).max()), 1e-300)
    sense = np.append(np.zeros(k), 5).astype(np.int32)
    x, _, flag, _ = daqp.solve(
        np.ascontiguousarray(hessian / scale + REGULAR * np.eye(k)),
        costs / scale,
        np.ones((1, k)),
        np.ones(k + 1),
        np.append(np.zeros(k), 1.0),
        sense,
    )
    if flag < 1:
        raise SolverError(f"mixing: daqp ended with {flag}")
    weights = _simplex(np.asarray(x))
    return Mix(weights, target.weights * (weights @ outputs - target.kw))


def _simplex(weights: FloatArray) -> FloatArray:
    positive = np.maximum(weights, 0.0)
    return np.asarray(positive / positive.sum())
