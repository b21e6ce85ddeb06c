"""Projection of one step's demands on the grid's rows, with a price on violations that cannot be avoided.

    min_x̂  ½ (x̂ − w)'D(x̂ − w) + κ'e    s.t.  l − e ≤ A x̂ ≤ u + e,  e ≥ 0

with D diagonal and κ the price of violation per row. The linear penalty is exact: as long as the multipliers λ of
the hard rows stay below κ, e = 0 and the hard projection is the answer; only otherwise is the elastic one solved.
"""

from dataclasses import dataclass

import daqp
import numpy as np
import piqp

from core.arrays import FloatArray
from core.errors import SolverError
from mpc.grid.rows import Rows

SOLVED = 1
INSIDE_KW = 1e-9
NEVER = 1e30
ELASTIC_ACCURACY = 1e-10


@dataclass(frozen=True)
class Projection:
    """x̂ [T, 2N] and row prices λ [T, R], positive at the upper side."""

    x: FloatArray
    row_prices: FloatArray


def project(w: FloatArray, d: FloatArray, rows: Rows) -> Projection:
    """Project the demands w [T, 2N] in the norm of d [2N]; steps whose rows already hold stay as they are.

    Raises:
        SolverError: the elastic problem was not solved.
    """
    x, row_prices = w.copy(), np.zeros_like(rows.lower)
    lower, upper = np.where(rows.kappa > 0, [rows.lower, rows.upper], [[[-NEVER]], [[NEVER]]])
    value = (rows.a @ w[:, :, None])[:, :, 0]
    outside = ((value > upper + INSIDE_KW) | (value < lower - INSIDE_KW)).any(axis=1)
    d_matrix = np.diag(d)
    sense = np.zeros(value.shape[1], np.int32)
    for t in np.flatnonzero(outside):
        a, kappa = rows.a[t], rows.kappa[t]
        x[t], _, flag, info = daqp.solve(d_matrix, -d * w[t], a, upper[t], lower[t], sense)
        row_prices[t] = info["lam"]
        if flag != SOLVED or np.any(np.abs(row_prices[t]) > kappa):
            x[t], row_prices[t] = _elastic(w[t], d, a, lower[t], upper[t], kappa)
    return Projection(x, row_prices)


def _elastic(
    w: FloatArray, d: FloatArray, a: FloatArray, lower: FloatArray, upper: FloatArray, kappa: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """One step with slack variables, which are added only for rows that turn out violated, to keep the problem
    small.
    """
    x, row_prices = w, np.zeros(len(kappa))
    active = np.zeros(len(kappa), bool)
    while True:
        value = a @ x
        violated = (value > upper + INSIDE_KW) | (value < lower - INSIDE_KW)
        if not np.any(violated & ~active):
            return x, row_prices
        active |= violated
        x, prices = _elastic_rows(w, d, a[active], lower[active], upper[active], kappa[active])
        row_prices[active] = prices


def _elastic_rows(
    w: FloatArray, d: FloatArray, a: FloatArray, lower: FloatArray, upper: FloatArray, kappa: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """x̂ and λ with variables (x̂, e): a x̂ − e ≤ u, a x̂ + e ≥ l, e ≥ 0; a side that is infinite needs no row."""
    rows, columns = a.shape
    own, row_prices = np.eye(rows), np.zeros(rows)
    above, below = upper < NEVER, lower > -NEVER
    solver = piqp.DenseSolver()
    solver.settings.eps_abs = solver.settings.eps_rel = ELASTIC_ACCURACY
    solver.settings.check_duality_gap = False
    solver.setup(
        np.diag(np.concatenate([d, np.zeros(rows)])),
        np.concatenate([-d * w, kappa]),
        G=np.vstack([np.hstack([a, -own])[above], np.hstack([a, own])[below]]),
        h_l=np.concatenate([np.full(above.sum(), -np.inf), lower[below]]),
        h_u=np.concatenate([upper[above], np.full(below.sum(), np.inf)]),
        x_l=np.concatenate([np.full(columns, -np.inf), np.zeros(rows)]),
    )
    if (status := solver.solve()) != piqp.PIQP_SOLVED:
        raise SolverError(f"elastic projection ended with {status.name}")
    result = solver.result
    row_prices[above] += result.z_u[: above.sum()]
    row_prices[below] -= result.z_l[above.sum() :]
    return result.x[:columns].copy(), np.clip(row_prices, -kappa, kappa)
