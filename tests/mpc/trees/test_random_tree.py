"""Random trees keep the paper's rules, and limits that everybody alone would break and that all together can hold."""

import numpy as np
import pytest

from core.hierarchy_faults import check
from core.prices import PriceSignal
from mpc.trees.oracle import judge
from mpc.trees.random_tree import LEVELLING_REL, random_tree
from mpc.trees.scenario import TreeScenario

SEEDS = range(25)


@pytest.fixture(scope="module")
def trees() -> list[TreeScenario]:
    return [random_tree(seed) for seed in SEEDS]


def test_rules_of_the_paper(trees: list[TreeScenario]) -> None:
    for tree in trees:
        check(tree.problem)
        hierarchy = tree.problem.hierarchy
        leaves = list(hierarchy.leaves.values())
        parents = [branch.parent for branch in hierarchy.branches]
        assert len(hierarchy.branches) <= 15
        assert max(map(parents.count, parents)) <= 2
        assert all(1 <= leaves.count(branch.name) <= 10 for branch in hierarchy.branches)
        assert [site.name for site in tree.sites] == list(hierarchy.leaves)
        assert all(0.1 <= site.battery.soc_initial <= 0.9 for site in tree.sites if site.battery)
    assert {max(tree.problem.hierarchy.level.values()) + 1 for tree in trees} == {1, 2, 3, 4}


def test_levels_may_be_asked_for() -> None:
    assert max(random_tree(3, levels=4, steps=4).problem.hierarchy.level.values()) == 3


def test_a_seed_gives_the_same_tree() -> None:
    first, again, other = random_tree(5), random_tree(5), random_tree(6)
    assert repr(first) == repr(again) != repr(other)


def test_limits_are_broken_alone_and_held_by_levelled_powers(trees: list[TreeScenario]) -> None:
    for tree in trees[:10]:
        plain = tree.problem.tariff.signal(tree.problem.axis.dt_h)
        slope = LEVELLING_REL * plain.g[:, 0].mean()
        levelling = PriceSignal(slope * np.eye(2) + plain.h, plain.g, 0.0)
        alone, levelled = (
            judge(tree, {leaf.name: leaf.respond(signal).x for leaf in tree.participants()}, 1.0)
            for signal in (plain, levelling)
        )
        assert alone.violation_rel > 0.05
        assert levelled.violation_rel <= 1e-9
        assert alone.impossible == levelled.impossible == ()
