"""The paper's own iteration: every formula by itself, and the central optimum as its end."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from core.arrays import FloatArray
from core.config_coordination import TreeConfig
from core.hierarchy import Branch, PowerLimits
from core.prices import DemandProfile, PriceSignal
from mpc.coordination.tree.outcome import TreeRound
from mpc.coordination.tree.shared_limit import SharedLimit, shared_limits
from mpc.coordination.tree.sharing import Sharing, SharingOutcome, coordinate_by_sharing
from mpc.price import violation_price_chf_per_kwh
from mpc.trees.oracle import judge
from mpc.trees.random_tree import random_tree
from mpc.trees.reference import CentralTree, TreeOptimum
from mpc.trees.scenario import TreeScenario
from tests.support.virtual_clock import VirtualClock

TREE = random_tree(1, levels=2, steps=24)
PRICE = violation_price_chf_per_kwh(TreeConfig(), TREE.problem.tariff)
N, T = len(TREE.sites), TREE.problem.axis.n_steps


@pytest.fixture(scope="module")
def optimum() -> TreeOptimum:
    return CentralTree(TREE, PRICE).optimum()


def near(tree: TreeScenario, found: TreeOptimum, each: TreeRound) -> bool:
    """Within 1e-3 of the optimum and, where they can be held, of all limits."""
    held = each.violation_rel <= 1e-3 or found.unheld_chf > 1e-3
    turnover_chf = judge(tree, found.x, PRICE).turnover_chf
    return held and abs(each.objective_chf + each.unheld_chf - found.total_chf) <= 1e-3 * turnover_chf


def iterated(tree: TreeScenario, found: TreeOptimum, alpha: float, scaled: bool = True) -> SharingOutcome:
    settings = TreeConfig(relaxation=alpha)
    sharing = Sharing(tree.problem, tree.participants(), settings, scaled)
    return coordinate_by_sharing(sharing, 200, VirtualClock(), lambda each: near(tree, found, each))


class Echo:
    """A leaf that answers every signal with a profile of its own, and keeps the last signal."""

    def __init__(self, name: str, x: FloatArray) -> None:
        self.name, self.x = name, x
        self.signal: PriceSignal | None = None

    def respond(self, signal: PriceSignal) -> DemandProfile:
        self.signal = signal
        return DemandProfile(self.x, signal.cost_chf(self.x))


@pytest.mark.parametrize("alpha", [1.0, 1.6])
def test_equations_11_to_16_literally(alpha: float) -> None:
    generator = np.random.default_rng(5)
    leaves = [Echo(site.name, generator.normal(size=(T, 2))) for site in TREE.sites]
    kappa = 1e9  # limits are held at any price, as in the paper
    settings = TreeConfig(relaxation=alpha, rho=0.02, violation_price_chf_per_kwh=kappa)
    sharing = Sharing(TREE.problem, leaves, settings)
    limits = shared_limits(TREE.problem, kappa, scaled=True)
    w = [dict(zip(limit.leaves, limit.w, strict=True)) for limit in limits]
    wx = [{i: (each[i] * leaves[i].x).sum(axis=1) for i in each} for each in w]
    mean = [np.mean([*each.values()], axis=0) for each in wx]
    z = [limit.mean_copy(x, sharing.rho) for limit, x in zip(limits, mean, strict=True)]
    u = [x - copy for x, copy in zip(mean, z, strict=True)]
    for _ in range(3):
        sharing.step()
        x = generator.normal(size=(T, 2))
        for i, leaf in enumerate(leaves):
            assert leaf.signal is not None
            asked = sum(
                0.02 * w[b][i] * ((w[b][i] * x).sum(axis=1) - wx[b][i] + mean[b] - z[b] + u[b])[:, None]
                for b in range(len(limits))
                if i in w[b]
            )
            tariff = TREE.problem.tariff.signal(TREE.problem.axis.dt_h).g
            np.testing.assert_allclose(leaf.signal.gradient(x), asked + tariff, atol=1e-12)
        for b, limit in enumerate(limits):
            z_i = {i: value - mean[b] + z[b] for i, value in wx[b].items()}
            wx[b] = {i: alpha * (w[b][i] * leaves[i].x).sum(axis=1) + (1 - alpha) * z_i[i] for i in z_i}
            mean[b] = np.mean([*wx[b].values()], axis=0)
            z[b] = limit.mean_copy(mean[b] + u[b], 0.02)
            u[b] = u[b] + mean[b] - z[b]


@pytest.mark.parametrize(("gamma", "kappa"), [(0.0, 1e9), (0.05, 1e9), (0.0, 0.03), (0.05, 0.03)])
def test_a_copy_is_the_proximal_minimum(gamma: float, kappa: float) -> None:
    """(12) and (13), with the price of an excess, against a program of the copies of all leaves."""
    generator, n, steps, rho = np.random.default_rng(3), 4, 6, 0.02
    lower, upper, v = np.full(steps, -2.0), np.full(steps, 3.0), generator.normal(scale=2.0, size=steps)
    ones, target = np.ones(steps), generator.normal(size=steps)
    limit = SharedLimit(tuple(range(n)), np.ones((n, steps, 2)), lower, upper, kappa * ones, ones, gamma, target)
    z = cp.Variable(steps)
    cost = gamma / 2 * cp.sum_squares(n * z - target) + n * rho / 2 * cp.sum_squares(z - v)
    if kappa < 1:
        excess = cp.sum(cp.pos(n * z - upper) + cp.pos(lower - n * z))
        cp.Problem(cp.Minimize(cost + kappa * excess)).solve(solver="CLARABEL")
    else:
        cp.Problem(cp.Minimize(cost), [n * z <= upper, n * z >= lower]).solve(solver="CLARABEL")
    np.testing.assert_allclose(limit.mean_copy(v, rho), z.value, atol=1e-5)


@pytest.mark.parametrize("alpha", [1.0, 1.6])
def test_it_ends_at_the_central_optimum(optimum: TreeOptimum, alpha: float) -> None:
    outcome = iterated(TREE, optimum, alpha)
    judged, last = judge(TREE, outcome.x, PRICE), outcome.rounds[-1]
    assert outcome.ended
    assert judged.objective_chf == pytest.approx(last.objective_chf, abs=1e-6)
    assert judged.violation_rel == pytest.approx(last.violation_rel, abs=1e-9)
    assert judged.unheld_chf == pytest.approx(last.unheld_chf, abs=1e-6)
    assert judged.impossible == ()


def test_without_scaled_limits_voltages_are_not_held() -> None:
    tree = random_tree(2, levels=2, steps=24)
    found = CentralTree(tree, PRICE).optimum()
    assert iterated(tree, found, 1.0).ended
    assert iterated(tree, found, 1.0, scaled=False).rounds[-1].violation_rel > 0.01


def test_limits_that_cannot_be_held_are_priced() -> None:
    hierarchy = TREE.problem.hierarchy
    limits = PowerLimits(p_max_kw=np.full(T, 0.02 * N))
    branches = tuple(b if b.parent else replace(b, limits=limits) for b in hierarchy.branches)
    tree = replace(TREE, problem=replace(TREE.problem, hierarchy=replace(hierarchy, branches=branches)))
    found = CentralTree(tree, PRICE).optimum()
    assert found.unheld_chf > 0.1
    assert iterated(tree, found, 1.6).ended


def test_without_limits_and_objective_everybody_has_the_own_optimum() -> None:
    hierarchy = TREE.problem.hierarchy
    unlimited = replace(hierarchy, branches=tuple(Branch(b.name, b.parent) for b in hierarchy.branches))
    tree = replace(TREE, problem=replace(TREE.problem, hierarchy=unlimited, peak_weight_per_kw2=0.0))
    outcome = iterated(tree, CentralTree(tree, PRICE).optimum(), 1.0)
    assert (outcome.ended, outcome.rounds[-1].violation_rel) == (True, 0.0)
