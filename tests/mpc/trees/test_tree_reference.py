"""The central optimum of a tree, against closed forms, the prosumers' own programs, and the oracle."""

from dataclasses import replace

import numpy as np
import pytest

from core.hierarchy import Branch, BranchRow, Hierarchy, PowerLimits
from core.resources import Load
from core.scenario import Site
from mpc.trees.oracle import judge
from mpc.trees.random_tree import random_tree
from mpc.trees.reference import CentralTree, TreeOptimum
from mpc.trees.scenario import TreeScenario

PRICE = 2.0
"""CHF per kWh beyond a limit."""


def optimum(tree: TreeScenario) -> TreeOptimum:
    return CentralTree(tree, PRICE).optimum()


def passive(branch: Branch, *loads_kw: float) -> TreeScenario:
    """Loads under one branch, four steps of six hours, without peak shaving."""
    tree = random_tree(0, levels=1, steps=4)
    names = [f"h{k}" for k in range(len(loads_kw))]
    loads = [Load(np.full(4, kw), np.full(4, kw / 2)) for kw in loads_kw]
    sites = tuple(Site(name, name, {"load": load}) for name, load in zip(names, loads, strict=True))
    hierarchy = Hierarchy((branch,), dict.fromkeys(names, branch.name))
    return TreeScenario(replace(tree.problem, hierarchy=hierarchy, peak_weight_per_kw2=0.0), sites)


def test_what_cannot_be_held_is_priced_per_kwh() -> None:
    limits = PowerLimits(p_max_kw=np.full(4, 2.5), q_max_kvar=np.full(4, 1.0))
    found = optimum(passive(Branch("b", None, limits), 1.0, 2.0))
    assert found.unheld_chf == pytest.approx(PRICE * 24 * (0.5 + 0.5), rel=1e-6)


@pytest.mark.parametrize("unit", [1.0, 2e-3])
def test_a_row_is_priced_per_kwh_whatever_its_unit(unit: float) -> None:
    row = BranchRow("v", {"h0": unit * np.array([-0.5, 0.0]), "h1": unit * np.array([-1.0, 0.2])}, np.full(4, -unit))
    found = optimum(passive(Branch("b", None, rows=(row,)), 1.0, 2.0))
    assert found.unheld_chf == pytest.approx(PRICE * 24 * (0.5 + 2.0 - 0.2 - 1.0), rel=1e-6)


def test_peak_shaving_counts_every_step() -> None:
    tree = passive(Branch("b"), 1.0, 2.0)
    with_peak = replace(tree, problem=replace(tree.problem, peak_weight_per_kw2=0.5, target_kw=np.full(4, 1.0)))
    added = optimum(with_peak).objective_chf - optimum(tree).objective_chf
    assert added == pytest.approx(0.5 / 2 * 4 * 2.0**2, rel=1e-6)


def test_without_limits_and_peak_everybody_has_the_own_optimum() -> None:
    tree = random_tree(4)
    hierarchy = tree.problem.hierarchy
    unlimited = Hierarchy(tuple(Branch(b.name, b.parent) for b in hierarchy.branches), hierarchy.leaves)
    free = replace(tree, problem=replace(tree.problem, hierarchy=unlimited, peak_weight_per_kw2=0.0))
    plain = tree.problem.tariff.signal(tree.problem.axis.dt_h)
    alone = sum(leaf.respond(plain).cost_chf for leaf in tree.participants())
    assert optimum(free).total_chf == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_the_oracle_agrees_with_the_optimum(seed: int) -> None:
    tree = random_tree(seed)
    found = optimum(tree)
    judged = judge(tree, found.x, PRICE)
    assert judged.objective_chf == pytest.approx(found.objective_chf, abs=1e-6)
    assert judged.unheld_chf == pytest.approx(found.unheld_chf, abs=1e-4)
    assert judged.violation_rel <= 1e-6
    assert judged.impossible == ()
