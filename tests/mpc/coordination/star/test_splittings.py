"""Both splittings step by step: (10)–(12), (17) and the certificate, against the problems that they solve."""

from typing import Any

import cvxpy as cp
import numpy as np
import pytest

from core.algorithms import SplittingName
from core.arrays import FloatArray
from mpc.coordination.star.algorithms import splitting_named
from mpc.coordination.star.constraint_splitting import ConstraintSplitting
from mpc.coordination.star.profile_splitting import ProfileSplitting
from mpc.coordination.star.splitting import Residuals, Splitting
from mpc.grid.rows import GridModel, Rows
from tests.mpc.coordination.star.by_hand import rounds_of
from tests.mpc.coordination.star.recording import PRICE_CAP
from tests.support.synthetic import Sizes, random_demand, scenario

GRID = scenario(step_min=60, sizes=Sizes(i_max_a=25.0))
each_kind = pytest.mark.parametrize("kind", [splitting_named(name) for name in SplittingName])


def copies(splitting: Splitting) -> FloatArray:
    """What the operator holds: x̂, or z."""
    return splitting.x_hat if isinstance(splitting, ProfileSplitting) else splitting.z  # type: ignore[attr-defined]


def multipliers(splitting: Splitting) -> FloatArray:
    """μ [N, T, 2], or λ for everybody [1, T, R]."""
    return splitting.mu if isinstance(splitting, ProfileSplitting) else splitting.row_prices[None]


def penalties(splitting: Splitting) -> FloatArray | float:
    return splitting.d if isinstance(splitting, ProfileSplitting) else splitting.rho


def answered(splitting: Splitting, x: FloatArray) -> FloatArray:
    """What x contributes to the copies: itself, or A_i x_i."""
    return x if isinstance(splitting, ProfileSplitting) else splitting.rows.contributions(x)


@each_kind
def test_prices_of_the_profiles_come_from_prices_of_the_rows(kind: Any) -> None:
    """After (12): |λ| ≤ κ, and μ = A'λ lies in the normal cone of the elastic rows at the copies."""
    for step in rounds_of(GRID, kind, 8):
        after, rows = step.after, step.after.rows
        prices = after.row_prices
        assert (np.abs(prices) <= rows.kappa * (1 + 1e-12)).all()
        if isinstance(after, ProfileSplitting):
            np.testing.assert_allclose(after.mu, rows.to_profiles(prices), rtol=0, atol=1e-6)
            value = rows.value(after.x_hat)
        else:
            value = copies(after).sum(axis=0)
        penalty = np.sum(rows.kappa * rows.excess(value))
        assert np.sum(prices * value) == pytest.approx(rows.shadow_cost(prices) + penalty, abs=1e-5)
        np.testing.assert_allclose(after.unheld, rows.excess(value), atol=1e-12)
    assert np.abs(prices).max() > 1e-3


@each_kind
def test_update_of_the_multipliers(kind: Any) -> None:
    """(12) with over-relaxation, where the rows stay the same."""
    alpha = 1.6
    for step in rounds_of(GRID, kind, 8, alpha, relinearise_every=100):
        relaxed = alpha * answered(step.before, step.x) + (1 - alpha) * copies(step.before)
        expected = multipliers(step.before) + penalties(step.before) * (relaxed - copies(step.after))
        actual = np.broadcast_to(multipliers(step.after), expected.shape)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10)


@each_kind
def test_dual_residual_is_the_error_of_the_price_that_was_answered(kind: Any) -> None:
    """Its marginal part λ + ρ(A x − z) less the multiplier that would have been right; both residuals of (17)."""
    for step in rounds_of(GRID, kind, 8, relinearise_every=100):
        contribution = answered(step.before, step.x)
        price = multipliers(step.before) + penalties(step.before) * (contribution - copies(step.before))
        dual = (price - multipliers(step.after)).reshape(len(step.x), -1)
        primal = (contribution - copies(step.after)).reshape(len(step.x), -1)
        residuals = step.after.residuals
        np.testing.assert_allclose(residuals.dual, np.linalg.norm(dual, axis=1), atol=1e-10)
        np.testing.assert_allclose(residuals.primal, np.linalg.norm(primal, axis=1), atol=1e-10)
        assert residuals.size == primal.shape[1]


@pytest.mark.parametrize("seed", [0, 1])
def test_profile_copies_are_the_minimiser(seed: int) -> None:
    """(11): φ(x̂) + ½ ‖x̂ − (r + D⁻¹μ)‖²_D, all steps at once in cvxpy."""
    x = random_demand(GRID, seed, 6, 3)
    rows = GridModel(GRID.problem, PRICE_CAP).linearise(random_demand(GRID, seed + 10, 2, 1))
    before = ProfileSplitting.start(random_demand(GRID, seed + 20, 6, 3), rows, 0.02)
    after = before.update(x, rows, 1.6)
    target = 1.6 * x - 0.6 * before.x_hat
    found = [cp.Variable((GRID.axis.n_steps, 2)) for _ in GRID.sites]
    moved = sum(
        cp.sum_squares(cp.multiply(copy - wanted, np.sqrt(before.d)[None]))
        for copy, wanted in zip(found, target, strict=True)
    )
    penalty = sum(
        rows.kappa[t] @ elastic(rows, t, sum(rows.per_prosumer()[i, t] @ copy[t] for i, copy in enumerate(found)))
        for t in range(GRID.axis.n_steps)
    )
    cp.Problem(cp.Minimize(0.5 * moved + penalty)).solve(solver=cp.CLARABEL)
    np.testing.assert_allclose(after.x_hat, np.array([copy.value for copy in found]), rtol=0, atol=1e-3)
    assert np.abs(after.mu).max() > 1e-3


@pytest.mark.parametrize("seed", [0, 1])
def test_constraint_copies_are_the_minimiser(seed: int) -> None:
    """(11): φ(Σ z_i) + Σ_i λ'(r_i − z_i) + ρ/2 ‖r_i − z_i‖², step by step in cvxpy."""
    rng = np.random.default_rng(seed)
    x = random_demand(GRID, seed, 6, 3)
    rows = GridModel(GRID.problem, PRICE_CAP).linearise(random_demand(GRID, seed + 10, 2, 1))
    prices = rows.kappa * rng.uniform(-1, 1, rows.kappa.shape) * (rng.random(rows.kappa.shape) < 0.1)
    start = ConstraintSplitting.start(random_demand(GRID, seed + 20, 6, 3), rows, 0.02)
    before = ConstraintSplitting(rows, 0.02, start.z, prices, start.residuals)
    after = before.update(x, rows, 1.6)
    relaxed = 1.6 * rows.contributions(x) - 0.6 * before.z
    for t in (0, 8, 12):
        z = cp.Variable(relaxed[:, t].shape)
        moved = relaxed[:, t] - z
        cost = rows.kappa[t] @ elastic(rows, t, cp.sum(z, axis=0)) + cp.sum(moved @ prices[t])
        cp.Problem(cp.Minimize(cost + 0.01 * cp.sum_squares(moved))).solve(solver=cp.CLARABEL)
        np.testing.assert_allclose(after.z[:, t], z.value, rtol=0, atol=1e-3)


def elastic(rows: Rows, t: int, value: cp.Expression) -> cp.Expression:
    return cp.pos(value - rows.upper[t]) + cp.pos(rows.lower[t] - value)


@each_kind
def test_another_penalty_leaves_multipliers_and_copies(kind: Any) -> None:
    *_, last = rounds_of(GRID, kind, 2)
    other = last.after.with_rho(0.5)
    assert other.rho == 0.5
    np.testing.assert_array_equal(copies(other), copies(last.after))
    np.testing.assert_array_equal(multipliers(other), multipliers(last.after))


@each_kind
def test_after_drops_the_passed_steps(kind: Any) -> None:
    """The signals of what is left are those of before; the certificate's parts keep their steps."""
    *_, last = rounds_of(GRID, kind, 3)
    splitting, k = last.after, 7
    rest = splitting.after(k)
    np.testing.assert_array_equal(rest.row_prices, splitting.row_prices[k:])
    np.testing.assert_array_equal(rest.unheld, splitting.unheld[k:])
    np.testing.assert_array_equal(rest.rows.a, splitting.rows.a[k:])
    for shorter, longer in zip(rest.signals(), splitting.signals(), strict=True):
        np.testing.assert_allclose(shorter.h, longer.h[k:], rtol=1e-12)
        np.testing.assert_allclose(shorter.g, longer.g[k:], rtol=1e-12)
    fees = [sum(s.fee_chf for s in part.signals()) for part in (splitting, rest, first_steps(splitting, k))]
    assert fees[0] == pytest.approx(fees[1] + fees[2])


def first_steps(splitting: Splitting, k: int) -> Splitting:
    """The steps that ``after`` drops, by turning time around."""
    turned = {name: reverse(value) for name, value in vars(splitting).items()}
    return type(splitting)(**turned).after(len(splitting.row_prices) - k)


def reverse(value: Any) -> Any:
    match value:
        case Rows():
            return Rows(**{name: part[::-1] for name, part in vars(value).items()})
        case np.ndarray():
            return value[::-1] if value.ndim == 2 else value[:, ::-1]
        case _:
            return value


@each_kind
def test_a_new_linearisation_does_not_move_what_nobody_changed(kind: Any) -> None:
    """At the point where copies and answers agree, other rows that hold there leave prices and copies alone."""
    wide = scenario(step_min=60, sizes=Sizes(band_pu=0.3, slack_s_max_kva=1e4))
    model = GridModel(wide.problem, PRICE_CAP)
    x = random_demand(wide, 1, 3, 1)
    splitting = kind.start(x, model.linearise(x), 0.02)
    moved = splitting.update(x, model.linearise(0.5 * x), 1.6)
    assert moved.residuals.primal.max() < 1e-9
    assert moved.residuals.dual.max() < 1e-9
    assert not moved.row_prices.any()


@pytest.mark.parametrize(
    ("primal", "dual", "held"),
    [
        ([1.015, 0.115], [0.115, 0.115], True),
        ([1.025, 0.115], [0.115, 0.115], False),
        ([1.015, 0.125], [0.115, 0.115], False),
        ([1.015, 0.115], [0.125, 0.115], False),
    ],
)
def test_dynamic_tolerances(primal: list[float], dual: list[float], held: bool) -> None:
    """√n ε_abs + ε_rel scale, for every prosumer: 2 · 0.01 + 0.1 · (10, 1) and 0.02 + 0.1 · (1, 1)."""
    residuals = Residuals(*map(np.array, (primal, dual, dual, [10.0, 1.0], [1.0, 1.0])), size=4)
    assert residuals.within(0.01, 0.1) is held
