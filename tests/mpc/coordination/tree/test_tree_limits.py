"""Limits that cannot be held, a target, both powers, lossy batteries, and a deadline."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.config_coordination import TreeConfig
from core.errors import CoordinationError
from core.hierarchy import Hierarchy, PowerLimits
from core.scenario import Site
from mpc.coordination.nodes import Node
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.rounds import Carried, run_rounds
from mpc.coordination.tree.coordination import coordinate_tree
from mpc.trees.oracle import judge
from mpc.trees.random_tree import random_tree
from tests.mpc.coordination.tree.courses import (
    SETTINGS,
    agreed,
    central,
    price_of_violation,
    profiles,
    scale_chf,
    with_powers,
)  # fmt: skip
from tests.support.virtual_clock import VirtualClock


@pytest.mark.parametrize(("seed", "levels"), [(305, 3)])
def test_limits_that_cannot_be_held_are_priced_and_said_so(seed: int, levels: int) -> None:
    tree = with_powers(random_tree(seed, levels, steps=24), 0.4)
    optimum = central(tree)
    outcome = agreed(tree)
    verdict = judge(tree, profiles(outcome), price_of_violation(tree))
    scale = scale_chf(optimum, outcome)
    assert optimum.unheld_chf > 1e-2 * scale
    assert outcome.status is CoordinationStatus.INFEASIBLE
    assert verdict.objective_chf + verdict.unheld_chf - optimum.total_chf <= 1.1e-3 * scale
    assert outcome.unheld_chf == pytest.approx(verdict.unheld_chf, abs=1e-5 * scale)
    assert outcome.rounds_asked <= 120
    errors = [abs(one.objective_chf + one.unheld_chf - optimum.total_chf) for one in outcome.rounds]
    assert min(errors[:40]) <= 1e-2 * scale
    cap = price_of_violation(tree) * tree.problem.axis.dt_h
    rows = [row for branch in outcome.branches.values() for row in branch.rows.values()]
    assert max(np.abs(row.multiplier_chf_per_kw).max() for row in rows) == pytest.approx(cap, rel=1e-6)
    assert max(row.unheld.max() for row in rows) > 0


def test_a_target_and_limits_of_reactive_power_in_every_branch() -> None:
    tree = random_tree(311, levels=2, steps=24)
    alone = {
        leaf.name: leaf.respond(tree.problem.tariff.signal(tree.problem.axis.dt_h)).x for leaf in tree.participants()
    }
    hierarchy, branches = tree.problem.hierarchy, []
    for branch in hierarchy.branches:
        q_kvar = sum(alone[leaf][:, 1] for leaf in hierarchy.children[branch.name] if leaf in alone)
        limits = PowerLimits(q_min_kvar=0.8 * q_kvar, q_max_kvar=0.9 * q_kvar + 0.1)
        branches.append(replace(branch, limits=limits))
    problem = replace(tree.problem, hierarchy=Hierarchy(tuple(branches), hierarchy.leaves), target_kw=np.full(24, 3.0))
    tree = replace(tree, problem=problem)
    optimum, outcome = central(tree), agreed(tree)
    assert outcome.status is CoordinationStatus.CONVERGED
    verdict = judge(tree, profiles(outcome), price_of_violation(tree))
    assert verdict.violation_rel <= 1e-3
    assert abs(verdict.objective_chf - optimum.objective_chf) <= 1.1e-3 * scale_chf(optimum, outcome)


def test_lossy_batteries_charge_or_discharge() -> None:
    """Their relaxation is told apart, and the bound is one of everything."""
    tree = random_tree(312, levels=2, steps=24)
    tree = replace(tree, sites=tuple(lossy(site) for site in tree.sites))
    optimum, outcome = central(tree), agreed(tree)
    verdict = judge(tree, profiles(outcome), price_of_violation(tree))
    assert verdict.impossible == ()
    assert outcome.status is CoordinationStatus.CONVERGED
    assert outcome.gap_rel is not None
    assert outcome.relaxation_gap_rel is not None
    assert outcome.relaxation_gap_rel >= 0
    assert outcome.bound_chf is not None
    assert outcome.bound_chf <= optimum.total_chf + 1e-6
    gap = outcome.gap_rel + outcome.relaxation_gap_rel
    assert verdict.objective_chf - optimum.total_chf <= (gap + 1e-4) * scale_chf(optimum, outcome)


def lossy(site: Site) -> Site:
    battery = site.battery
    assert battery is not None
    return site.with_battery(replace(battery, efficiency=0.9))


@pytest.mark.parametrize("hops", [8, 21])
def test_a_deadline_ends_with_the_best_round(hops: int) -> None:
    """Even one that comes before any price was answered."""
    tree = random_tree(303, levels=3, steps=24)

    def carry(nodes: Sequence[Node]) -> Carried:
        return run_rounds(nodes, max_rounds=hops)

    outcome = coordinate_tree(tree.problem, tree.participants(), SETTINGS, VirtualClock(), carry)
    assert outcome.status is CoordinationStatus.BUDGET
    assert list(outcome.agreements) == list(tree.problem.hierarchy.leaves)
    verdict = judge(tree, profiles(outcome), price_of_violation(tree))
    assert outcome.objective_chf == pytest.approx(verdict.objective_chf)
    assert outcome.rounds_asked <= hops / 2


def test_a_budget_of_rounds() -> None:
    tree = random_tree(303, levels=3, steps=24)
    settings = TreeConfig(max_rounds=4)
    outcome = coordinate_tree(tree.problem, tree.participants(), settings, VirtualClock())
    assert (outcome.status, outcome.rounds_asked) == (CoordinationStatus.ITERATIONS, 4)


def test_a_deadline_before_all_have_answered_leaves_no_plan() -> None:
    tree = random_tree(303, levels=3, steps=24)
    with pytest.raises(CoordinationError, match="no answer from"):
        coordinate_tree(
            tree.problem, tree.participants(), SETTINGS, VirtualClock(), lambda nodes: run_rounds(nodes, max_rounds=1)
        )
