"""A warm start asks what the best round asked, and follows a change in a few rounds."""

from dataclasses import replace

import pytest

from mpc.coordination.outcome import CoordinationStatus
from mpc.trees.random_tree import random_tree
from tests.mpc.coordination.tree.courses import agreed, central, scale_chf, wavy


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_same_problem_again_is_over_at_once(levels: int) -> None:
    """In as many rounds as an answer needs to the root."""
    tree = random_tree(313, levels, steps=12)
    first = agreed(tree)
    again = agreed(tree, warm_start=first.warm_start.shifted(0))
    assert again.status is CoordinationStatus.CONVERGED
    assert again.rounds[-1].number <= 2
    assert again.rounds_asked <= levels


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_a_change_of_loads_needs_fewer_rounds_than_a_cold_start(levels: int) -> None:
    tree = random_tree(314, levels, steps=12)
    changed = wavy(tree, 0.05)
    cold, warm = agreed(changed), agreed(changed, warm_start=agreed(tree).warm_start)
    optimum = central(changed)
    assert warm.status is CoordinationStatus.CONVERGED
    assert warm.rounds_asked < cold.rounds_asked
    assert abs(warm.objective_chf - optimum.objective_chf) <= 1.1e-3 * scale_chf(optimum, warm)
    assert warm.bound_chf is not None
    assert warm.bound_chf <= optimum.total_chf + 1e-6


def test_a_shorter_horizon() -> None:
    tree = random_tree(315, 3, steps=12)
    first = agreed(tree)
    rest = replace(tree, problem=tree.problem.after(2), sites=tuple(site.after(2) for site in tree.sites))
    outcome = agreed(rest, warm_start=first.warm_start.shifted(2))
    optimum = central(rest)
    assert outcome.status is CoordinationStatus.CONVERGED
    assert abs(outcome.objective_chf - optimum.objective_chf) <= 1.1e-3 * scale_chf(optimum, outcome)
