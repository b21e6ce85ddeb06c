"""The projection against cvxpy, and against the optimality conditions that its prices must satisfy."""

import cvxpy as cp
import numpy as np
import pytest

from core.arrays import FloatArray
from mpc.grid.projection import project
from mpc.grid.rows import Rows

STEPS, ROWS, PROSUMERS = 6, 12, 3
D = np.tile([0.02, 0.006], PROSUMERS)
TIGHT = 1e-6


def random_rows(seed: int, width: float, centre: float = 0.0, kappa: float = 0.5) -> Rows:
    """Equilibrated rows around ``centre``; half of the widths are ``width``, as between opposite limits."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(STEPS, ROWS, 2 * PROSUMERS))
    a /= np.linalg.norm(a, axis=2, keepdims=True)
    middle = rng.normal(scale=centre, size=(STEPS, ROWS))
    half = width * rng.uniform(0.2, 1, (STEPS, ROWS))
    one = np.ones((STEPS, ROWS))
    return Rows(a, middle - half, middle + half, one, 0 * one, kappa * rng.uniform(0.5, 1, (STEPS, ROWS)))


def conflicting_rows(seed: int) -> Rows:
    """The same quantity must be above 1 and below −1: no x̂ holds both."""
    rows = random_rows(seed, width=3.0)
    rows.a[:, 1] = rows.a[:, 0]
    rows.lower[:, 0], rows.upper[:, 0] = 1.0, 5.0
    rows.lower[:, 1], rows.upper[:, 1] = -5.0, -1.0
    return rows


CASES = {
    "wide": random_rows(0, width=50.0),
    "few bind": random_rows(1, width=4.0),
    "many bind": random_rows(2, width=0.5),
    "beyond each other": random_rows(3, width=0.2, centre=3.0),
    "conflicting": conflicting_rows(4),
    "cheap to violate": random_rows(5, width=0.5, kappa=0.01),
}
CONFLICTING = {"beyond each other", "conflicting", "cheap to violate"}
each_case = pytest.mark.parametrize("name", CASES)


def demand(seed: int) -> FloatArray:
    return np.random.default_rng(seed).normal(scale=4.0, size=(STEPS, 2 * PROSUMERS))


def objective(rows: Rows, w: FloatArray, x: FloatArray) -> FloatArray:
    """Per step."""
    value = np.einsum("trk,tk->tr", rows.a, x)
    return 0.5 * np.sum(D * (x - w) ** 2, axis=1) + np.sum(rows.kappa * rows.excess(value), axis=1)


def by_cvxpy(rows: Rows, w: FloatArray, t: int) -> FloatArray:
    x, e = cp.Variable(w.shape[1]), cp.Variable(rows.a.shape[1], nonneg=True)
    cost = 0.5 * cp.sum_squares(cp.multiply(np.sqrt(D), x - w[t])) + rows.kappa[t] @ e
    problem = cp.Problem(cp.Minimize(cost), [rows.a[t] @ x <= rows.upper[t] + e, rows.a[t] @ x >= rows.lower[t] - e])
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
    return np.asarray(x.value)


@each_case
def test_against_cvxpy(name: str) -> None:
    rows, w = CASES[name], demand(7)
    found = project(w, D, rows).x
    expected = np.array([by_cvxpy(rows, w, t) for t in range(STEPS)])
    np.testing.assert_allclose(objective(rows, w, found), objective(rows, w, expected), rtol=0, atol=TIGHT)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("seed", range(5))
@each_case
def test_optimality_conditions(name: str, seed: int) -> None:
    """D(w − x̂) = A'λ; |λ| ≤ κ; a price only where its bound is reached; a limit is left only at its full price."""
    rows, w = CASES[name], demand(seed)
    found = project(w, D, rows)
    value, prices = np.einsum("trk,tk->tr", rows.a, found.x), found.row_prices
    np.testing.assert_allclose(D * (w - found.x), np.einsum("trk,tr->tk", rows.a, prices), rtol=0, atol=1e-8)
    assert (np.abs(prices) <= rows.kappa).all()
    room = np.maximum(np.where(prices > 0, rows.upper - value, value - rows.lower), 0)
    assert (np.abs(prices) * room).max() < TIGHT
    assert ((rows.kappa - np.abs(prices)) * rows.excess(value)).max() < TIGHT
    held = rows.excess(value).max() < 1e-3
    assert held != (name in CONFLICTING)


def test_steps_within_the_rows_stay_untouched() -> None:
    rows, w = CASES["wide"], demand(0)
    found = project(w, D, rows)
    np.testing.assert_array_equal(found.x, w)
    assert not found.row_prices.any()


def test_rows_that_nobody_influences_are_left_alone() -> None:
    rows = random_rows(6, width=4.0)
    rows.a[:, 3], rows.kappa[:, 3] = 1e-18, 0.0
    rows.lower[:, 3], rows.upper[:, 3] = 7.0, 8.0
    w = demand(1)
    found = project(w, D, rows)
    assert not found.row_prices[:, 3].any()
    without = Rows(
        *(np.delete(getattr(rows, f), 3, axis=1) for f in ("a", "lower", "upper", "norm", "offset", "kappa"))
    )
    np.testing.assert_allclose(found.x, project(w, D, without).x, atol=1e-9)


def test_the_linear_penalty_is_exact() -> None:
    """As long as a hard limit's price stays below κ, κ itself is of no consequence."""
    rows = CASES["few bind"]
    w = demand(2)
    dear = Rows(rows.a, rows.lower, rows.upper, rows.norm, rows.offset, 100 * rows.kappa)
    np.testing.assert_allclose(project(w, D, rows).x, project(w, D, dear).x, atol=1e-6)
