"""Random trees after the rules of paper B, against the central optimum and the oracle, which know nothing of ADMM."""

import numpy as np
import pytest

from core.config_coordination import TreeConfig
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.tree.coordination import coordinate_tree
from mpc.price import violation_price_chf_per_kwh
from mpc.trees.oracle import judge
from mpc.trees.random_tree import random_tree
from mpc.trees.reference import CentralTree
from mpc.trees.scenario import TreeScenario
from tests.support.virtual_clock import VirtualClock

SETTINGS = TreeConfig()


@pytest.mark.parametrize(("seed", "levels"), [(101, 1), (102, 2), (103, 3), (104, 4)])
def test_certified_within_its_rounds(seed: int, levels: int) -> None:
    tree = random_tree(seed, levels, steps=24)
    price = violation_price_chf_per_kwh(SETTINGS, tree.problem.tariff)
    central = CentralTree(tree, price).optimum()
    outcome = coordinate_tree(tree.problem, tree.participants(), SETTINGS, VirtualClock())
    verdict = judge(tree, {name: one.profile.x for name, one in outcome.agreements.items()}, price)
    scale = max(abs(central.total_chf), verdict.turnover_chf)

    assert outcome.status is CoordinationStatus.CONVERGED
    assert verdict.impossible == ()
    assert verdict.violation_rel <= 1e-3
    assert abs(verdict.objective_chf - central.objective_chf) <= 1.1e-3 * scale
    assert outcome.objective_chf == pytest.approx(verdict.objective_chf, abs=1e-6 * scale)
    assert outcome.violation_rel == pytest.approx(verdict.violation_rel, abs=1e-6)
    assert outcome.rounds_asked <= 60
    bounds = [one.bound_chf for one in outcome.rounds if one.bound_chf is not None]
    assert bounds == sorted(bounds)
    assert bounds[-1] <= central.total_chf + 1e-6
    for name, branch in outcome.branches.items():
        leaves = [one.profile.x for leaf, one in outcome.agreements.items() if under(tree, leaf, name)]
        np.testing.assert_allclose(branch.x, np.sum(leaves, axis=0), atol=1e-9)


def under(tree: TreeScenario, leaf: str, name: str) -> bool:
    """Whether a leaf is under a branch."""
    hierarchy = tree.problem.hierarchy
    at: str | None = hierarchy.leaves[leaf]
    while at is not None and at != name:
        at = hierarchy.by_name[at].parent
    return at == name
