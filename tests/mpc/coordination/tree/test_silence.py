"""A leaf or sub-aggregator that falls silent is held at its last answer, named, and never waited for without end."""

import pytest

from core.errors import CoordinationError
from mpc.coordination.outcome import CoordinationStatus
from mpc.trees.oracle import judge
from mpc.trees.random_tree import random_tree
from tests.mpc.coordination.tree.courses import (
    agreed,
    central,
    fixed,
    price_of_violation,
    profiles,
    scale_chf,
    silencing,
    skipping,
    under,
)  # fmt: skip

TREE = random_tree(204, levels=3, steps=24)
HIERARCHY = TREE.problem.hierarchy
BRANCH, DEEP = HIERARCHY.top_down[1].name, HIERARCHY.top_down[-1].name


@pytest.mark.parametrize(
    ("name", "reactions"), [(under(HIERARCHY, DEEP)[0], 8), (BRANCH, 12), (DEEP, 12), (next(iter(HIERARCHY.leaves)), 3)]
)
def test_the_others_find_the_optimum_with_it_fixed(name: str, reactions: int) -> None:
    outcome = agreed(TREE, silencing(name, reactions))
    rest, lost_chf = fixed(TREE, outcome.agreements, under(HIERARCHY, name))
    optimum = central(rest)
    verdict = judge(TREE, profiles(outcome), price_of_violation(TREE))
    assert outcome.status is CoordinationStatus.PARTIAL
    assert [member.name for member in outcome.silent] == [name]
    assert 0 < outcome.silent[0].age_rounds <= outcome.rounds_asked < 100
    total_chf = verdict.objective_chf + verdict.unheld_chf
    reached_chf = total_chf if optimum.unheld_chf > 1e-3 else verdict.objective_chf
    assert abs(reached_chf - optimum.total_chf - lost_chf) <= 1.1e-3 * scale_chf(optimum, outcome)
    assert outcome.bound_chf is not None
    assert outcome.bound_chf <= optimum.total_chf + lost_chf + 1e-6


@pytest.mark.parametrize("name", [next(iter(HIERARCHY.leaves)), BRANCH])
def test_who_never_answered_leaves_no_plan(name: str) -> None:
    with pytest.raises(CoordinationError, match=rf"no answer from .*\b{name}\b"):
        agreed(TREE, silencing(name, 0))


def test_a_member_that_is_heard_again_takes_part_again() -> None:
    """It skips three questions; the end is that of everybody, and nobody is named."""
    name = next(iter(HIERARCHY.leaves))
    outcome = agreed(TREE, skipping(name, range(3, 6)))
    optimum = central(TREE)
    assert outcome.status is CoordinationStatus.CONVERGED
    assert outcome.silent == ()
    assert abs(outcome.objective_chf - optimum.objective_chf) <= 1.1e-3 * scale_chf(optimum, outcome)
    bounds = [one.bound_chf for one in outcome.rounds if one.bound_chf is not None]
    assert bounds[-1] <= optimum.total_chf + 1e-6
