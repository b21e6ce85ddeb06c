"""The program of a branch: copies of its children's powers that hold its limits, per step (paper B, 12 and 13).

    min_s  Σ_c w_c/2 ‖s_c − r_c‖² + h/2 ‖Σ s‖² + g'Σ s + κ'ε      s.t.  l − ε ≤ Σ_c a_c's_c ≤ u + ε,  ε ≥ 0

h and g are the parent's signal, or the root's own objective. The sum S = Σ_c s_c decides everything where only the
power of the branch itself is limited: with R = Σ r_c and W = Σ 1/w_c

    S = clip((R − W g)/(1 + W h), l, u),   λ = clip((R − W g − S)/W − h S, −κ, κ),   s_c = r_c − (h S + g + λ)/w_c

which is exact, elastic or not (with S anew from λ). Where this violates another row, the program of the step is a
projection in the norm of its Hessian P = L L': of y = L's on the rows a L'⁻¹ (:mod:`mpc.grid.projection`).
"""

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from core.arrays import FloatArray, IndexArray
from mpc.coordination.tree.rows import OWN, BranchRows
from mpc.grid.projection import INSIDE_KW, NEVER, project
from mpc.grid.rows import Rows


@dataclass(frozen=True)
class AskedOfBranch:
    """What a branch is asked from above: h (CHF/kW²) [2] for p and q, and g (CHF/kW) [T, 2]."""

    h: FloatArray
    g: FloatArray

    def beside(self, x: FloatArray) -> "AskedOfBranch":
        """The same for the rest of a sum of which x [T, 2] is given."""
        return AskedOfBranch(self.h, self.g + self.h * x)


@dataclass(frozen=True)
class BranchSolution:
    """Copies s [C, T, 2], and prices of the rows λ [T, R], |λ| ≤ κ."""

    s: FloatArray
    row_prices: FloatArray


def solve_branch(r: FloatArray, w: FloatArray, asked: AskedOfBranch, rows: BranchRows, kappa: float) -> BranchSolution:
    """Minimiser for the references r [C, T, 2] in the weights w [C], > 0.

    Raises:
        SolverError: an elastic step was not solved.
    """
    if rows.coupling is not None:
        r, rows = r - rows.coupling.program_price / w[:, None, None], rows.in_program
    s, row_prices = _by_sum(r, w, asked, rows, kappa)
    beyond = rows.excess(s)[:, OWN:] > INSIDE_KW
    steps = np.flatnonzero(beyond.any(axis=1))
    if steps.size:
        s[:, steps], row_prices[steps] = _by_rows(r[:, steps], w, asked, rows, kappa, steps)
    return BranchSolution(s, row_prices)


def _by_sum(
    r: FloatArray, w: FloatArray, asked: AskedOfBranch, rows: BranchRows, kappa: float
) -> tuple[FloatArray, FloatArray]:
    """The closed form, in which rows of the children are ignored."""
    h, g = asked.h, asked.g
    r_sum, w_inverse = r.sum(axis=0), float(np.sum(1 / w))
    free = (r_sum - w_inverse * g) / (1 + w_inverse * h)
    s_sum = np.clip(free, rows.lower[:, :OWN], rows.upper[:, :OWN])
    own_prices = np.clip((free - s_sum) * (1 / w_inverse + h), -kappa, kappa)
    s_sum = (r_sum - w_inverse * (g + own_prices)) / (1 + w_inverse * h)
    row_prices = np.zeros(rows.lower.shape)
    row_prices[:, :OWN] = own_prices
    return r - (h * s_sum + g + own_prices) / w[:, None, None], row_prices


def _by_rows(
    r: FloatArray, w: FloatArray, asked: AskedOfBranch, rows: BranchRows, kappa: float, steps: IndexArray
) -> tuple[FloatArray, FloatArray]:
    """The projection on all rows, for some steps."""
    children, n_steps, n_rows = len(w), len(steps), rows.lower.shape[1]
    hessian = np.kron(np.diag(w), np.eye(2)) + np.kron(np.ones((children, children)), np.diag(asked.h))
    factor = np.linalg.cholesky(hessian)
    linear = np.moveaxis(w[:, None, None] * r - asked.g[steps], 0, 1).reshape(n_steps, -1)
    a = rows.a[steps].reshape(n_steps, n_rows, -1)
    whitened = Rows(
        a=solve_triangular(factor, a.reshape(-1, 2 * children).T, lower=True).T.reshape(a.shape),
        lower=np.maximum(rows.lower[steps], -NEVER),
        upper=np.minimum(rows.upper[steps], NEVER),
        norm=np.ones((n_steps, n_rows)),
        offset=np.zeros((n_steps, n_rows)),
        kappa=np.full((n_steps, n_rows), kappa),
    )
    y = solve_triangular(factor, linear.T, lower=True).T
    found = project(y, np.ones(2 * children), whitened)
    s = solve_triangular(factor, found.x.T, lower=True, trans="T").T
    return np.moveaxis(s.reshape(n_steps, children, 2), 1, 0), found.row_prices
