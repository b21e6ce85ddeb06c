"""The program of a branch against cvxpy: in closed form, where rows bind, and where limits cannot be held."""

import cvxpy as cp
import numpy as np
import pytest

from core.arrays import FloatArray
from core.hierarchy import Branch, BranchRow, PowerLimits
from mpc.coordination.tree.program import AskedOfBranch, solve_branch
from mpc.coordination.tree.rows import BranchRows, branch_rows

T = 3
ACCURATE = {"tol_gap_abs": 1e-12, "tol_gap_rel": 1e-12, "tol_feas": 1e-12}


def limited(children: list[str], n_rows: int, rng: np.random.Generator) -> BranchRows:
    rows = tuple(
        BranchRow(f"v{k}", {c: rng.uniform(0, 0.02, 2) for c in children}, np.full(T, -0.05), np.full(T, 0.04))
        for k in range(n_rows)
    )
    limits = PowerLimits(p_max_kw=np.full(T, 4.0), q_min_kvar=np.full(T, -1.0))
    return branch_rows(Branch("b", None, limits, rows), children, T)


def by_cvxpy(r: FloatArray, w: FloatArray, asked: AskedOfBranch, rows: BranchRows, kappa: float) -> FloatArray:
    """Step by step."""
    found = np.zeros_like(r)
    for t in range(T):
        s, e = cp.Variable(r[:, t].shape), cp.Variable(rows.lower.shape[1], nonneg=True)
        limits = []
        for k, (lower, upper) in enumerate(zip(rows.lower[t], rows.upper[t], strict=True)):
            value = cp.sum(cp.multiply(rows.a[t, k], s))
            limits += [value <= upper + e[k]] if np.isfinite(upper) else []
            limits += [value >= lower - e[k]] if np.isfinite(lower) else []
        total = cp.sum(s, axis=0)
        cost = cp.sum(cp.multiply(w[:, None] / 2, cp.square(s - r[:, t]))) + kappa * cp.sum(e)
        cost += cp.sum(cp.multiply(asked.h / 2, cp.square(total))) + asked.g[t] @ total
        cp.Problem(cp.Minimize(cost), limits).solve(solver=cp.CLARABEL, **ACCURATE)
        found[:, t] = s.value
    return found


@pytest.mark.parametrize("kappa", [0.02, 0.3, 100.0])
@pytest.mark.parametrize("n_rows", [0, 1, 3])
@pytest.mark.parametrize("seed", range(3))
def test_the_copies_are_the_minimiser(seed: int, n_rows: int, kappa: float) -> None:
    """κ = 100 holds every limit, 0.02 nearly none; and the prices are multipliers of the rows within the cap."""
    rng = np.random.default_rng(seed)
    children = [f"c{k}" for k in range(rng.integers(1, 6))]
    rows = limited(children, n_rows, rng)
    r, w = rng.normal(0, 6, (len(children), T, 2)), rng.uniform(0.05, 0.3, len(children))
    asked = AskedOfBranch(np.array([0.02, 0.01]), rng.normal(0, 0.2, (T, 2)))
    found = solve_branch(r, w, asked, rows, kappa)
    np.testing.assert_allclose(found.s, by_cvxpy(r, w, asked, rows, kappa), atol=5e-4)
    total = found.s.sum(axis=0)
    gradient = w[:, None, None] * (found.s - r) + asked.h * total + asked.g + rows.prices(found.row_prices)
    np.testing.assert_allclose(gradient, 0, atol=1e-8)
    assert np.all(np.abs(found.row_prices) <= kappa)
    beyond = rows.excess(found.s) > 1e-7
    assert np.all(np.abs(found.row_prices[beyond]) >= kappa * (1 - 1e-5))
    assert not (beyond.any() and kappa == 100.0)


def test_a_row_that_does_not_bind_has_no_price() -> None:
    rows = branch_rows(Branch("b", None, PowerLimits(p_max_kw=np.full(T, 1e3))), ["a", "b"], T)
    found = solve_branch(np.ones((2, T, 2)), np.ones(2), AskedOfBranch(np.zeros(2), np.zeros((T, 2))), rows, 1.0)
    assert not found.row_prices.any()
    assert rows.support(found.row_prices) == 0.0
