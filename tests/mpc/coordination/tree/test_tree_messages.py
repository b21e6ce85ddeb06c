"""What the parties of a tree learn of each other: declared fields, sums and largest values, at every depth the same."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace

import numpy as np
import pytest

from core.config_coordination import TreeConfig
from core.hierarchy import Branch, Hierarchy
from core.prices import DemandProfile, PriceSignal
from mpc.coordination.nodes import Message, Node
from mpc.coordination.rounds import Carried, run
from mpc.coordination.tree.coordination import coordinate_tree
from mpc.coordination.tree.messages import BranchAnswer, BranchSignal, RoundAccount, Share, Wave
from mpc.trees.random_tree import random_tree
from mpc.trees.scenario import TreeScenario
from tests.mpc.coordination.tree.courses import listening
from tests.support.virtual_clock import VirtualClock

STEPS = 12
DECLARED: dict[type, set[str]] = {
    DemandProfile: {"x", "cost_chf", "above_restricted_chf", "above_relaxed_chf"},
    PriceSignal: {"h", "g", "fee_chf", "slope"},
    BranchSignal: {"signal", "wave", "published", "best_round", "best_wave"},
    BranchAnswer: {"x", "account", "share", "report"},
    Wave: {"number", "price"},
    Share: {"number", "restricted_chf", "relaxed_chf"},
    RoundAccount: {
        "number", "x", "cost_chf", "turnover_chf", "variance_kw2", "unheld_chf", "violation_rel", "unavoidable_rel",
        "primal", "dual", "held", "renewed",
    },
}  # fmt: skip
ARRAYS = {(STEPS, 2), (STEPS, 2, 2)}


def chain(levels: int) -> TreeScenario:
    """A chain of aggregators with a leaf each."""
    tree = random_tree(308, levels=4, steps=STEPS)
    sites = tree.sites[:levels]
    branches = tuple(Branch(f"b{k}", f"b{k - 1}" if k else None) for k in range(levels))
    hierarchy = Hierarchy(branches, {site.name: f"b{k}" for k, site in enumerate(sites)})
    return TreeScenario(replace(tree.problem, hierarchy=hierarchy), sites)


def overheard(tree: TreeScenario, rounds: int) -> tuple[list[Message[object]], int]:
    """All messages of so many rounds, and the number of hops."""
    record: list[Message[object]] = []
    hops = []

    def carry(nodes: Sequence[Node]) -> Carried:
        carried = run(nodes)
        hops.append(carried.rounds)
        return carried

    settings = TreeConfig(max_rounds=rounds, gap_tol=1e-12)
    coordinate_tree(tree.problem, tree.participants(), settings, VirtualClock(), listening(record.extend, carry))
    return record, hops[0]


def parts(body: object) -> Iterator[object]:
    """A body and all that is in it."""
    yield body
    if is_dataclass(body):
        for one in fields(body):
            yield from parts(getattr(body, one.name))


@pytest.mark.parametrize("levels", [2, 4])
def test_messages_hold_what_is_declared_only(levels: int) -> None:
    tree = random_tree(309, levels=levels, steps=STEPS)
    leaves, kinds = set(tree.problem.hierarchy.leaves), set()
    record, _ = overheard(tree, 6)
    for message in record:
        from_leaf, to_leaf = message.sender in leaves, message.receiver in leaves
        expected = DemandProfile if from_leaf else PriceSignal if to_leaf else (BranchSignal, BranchAnswer)
        assert isinstance(message.body, expected)
        for part in parts(message.body):
            kinds.add(type(part))
            if is_dataclass(part):
                assert vars(part).keys() == DECLARED[type(part)]
            else:
                assert part is None or type(part) in (int, float, np.ndarray)
            if isinstance(part, np.ndarray):
                assert part.shape in ARRAYS
    assert kinds >= set(DECLARED)


@pytest.mark.parametrize("levels", [1, 2, 4, 6])
def test_a_round_is_two_hops_and_one_message_per_edge_and_direction(levels: int) -> None:
    """And one plain question with its answer more on a leaf's edge, for the lower bound."""
    tree = chain(levels)
    hierarchy = tree.problem.hierarchy
    short, few = overheard(tree, 8)
    record, many = overheard(tree, 18)
    assert many - few == 2 * 10
    sent, before = (Counter((m.sender, m.receiver) for m in messages) for messages in (record, short))
    for (sender, receiver), number in sent.items():
        plain = 2 if {sender, receiver} & set(hierarchy.leaves) else 1
        assert number - before[sender, receiver] == 10 * plain


def test_the_size_of_a_message_does_not_depend_on_the_depth() -> None:
    sizes = defaultdict(set)
    for levels in (2, 4, 6):
        record, _ = overheard(chain(levels), 8)
        for message in record[-4 * levels :]:
            if isinstance(message.body, BranchSignal | BranchAnswer):
                numbers = sum(np.size(part) for part in parts(message.body) if not is_dataclass(part))
                sizes[type(message.body)].add(numbers)
    assert all(len(found) == 1 for found in sizes.values())
    assert len(sizes) == 2


def test_an_aggregator_tells_nothing_of_a_single_leaf() -> None:
    """Its answer and account are the same when two of its leaves change places."""
    tree = random_tree(310, levels=2, steps=STEPS)
    hierarchy = tree.problem.hierarchy
    branch = hierarchy.top_down[1].name
    one, other = [leaf for leaf, home in hierarchy.leaves.items() if home == branch][:2]
    names = {one: other, other: one}
    sites = tuple(replace(site, name=names.get(site.name, site.name)) for site in tree.sites)
    free = Hierarchy(tuple(replace(b, rows=()) for b in hierarchy.branches), hierarchy.leaves)
    trees = [TreeScenario(replace(tree.problem, hierarchy=free), each) for each in (tree.sites, sites)]
    answers = [
        [m.body for m in overheard(each, 5)[0] if m.sender == branch and isinstance(m.body, BranchAnswer)]
        for each in trees
    ]
    assert len(answers[0]) == len(answers[1]) > 5
    for mine, theirs in zip(*answers, strict=True):
        for part, twin in zip(parts(mine), parts(theirs), strict=True):
            if not is_dataclass(part) and part is not None:
                np.testing.assert_allclose(part, twin, rtol=1e-6, atol=1e-6)
