"""The kind `tree` of `gridlab solve`: its tables add up, its result is the central optimum, and how it can end."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from controller.process.clocks import WallClock
from controller.solve.problem import Solved, SolveRequest, SolveWatch
from controller.solve.tree import prepare, solved_tree
from controller.solve.tree_tables import SolvedTree
from core.config_coordination import TreeConfig
from core.errors import InputError
from core.hierarchy import ACTIVE
from mpc.coordination.links import MessageLink
from mpc.coordination.metering import MessageMeter
from mpc.coordination.nodes import Message, Node
from mpc.coordination.rounds import Carried, run
from mpc.coordination.solving import SolveStatus
from mpc.coordination.tree.coordination import coordinate_tree
from mpc.trees.reference import CentralTree
from tests.support.solved_trees import TreeFile, by_name, tree_file
from tests.support.virtual_clock import VirtualClock

VIOLATION_PRICE = 1.9
"""Ten times the mean tariff of the example, about."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> TreeFile:
    return TreeFile.read(tree_file(tmp_path_factory.mktemp("tree")))


@pytest.fixture(scope="module")
def solved(file: TreeFile) -> Solved:
    return file.solve()


def test_the_central_optimum(file: TreeFile, solved: Solved) -> None:
    central = CentralTree(file.scenario(), VIOLATION_PRICE).optimum()
    assert solved.status is SolveStatus.CONVERGED
    assert solved.objective is not None
    assert solved.bound is not None
    turnover = solved.more["turnover_chf"]
    assert abs(solved.objective - central.total_chf) <= 1e-3 * turnover
    assert solved.bound <= central.total_chf + 1e-6
    assert solved.violation is not None
    assert solved.violation <= 1e-3


def test_a_branch_is_the_sum_of_its_prosumers(file: TreeFile, solved: Solved) -> None:
    plan = by_name(solved.tables["plan"], "prosumer", "p_kw")
    branches = by_name(solved.tables["branches"], "branch", "p_kw")
    under = {"street_a": ["a1", "a2", "a3", "a4"], "street_b": ["b1", "b2", "b3", "b4"]}
    under["transformer"] = ["school", "workshop", *under["street_a"], *under["street_b"]]
    under["mv_feeder"] = ["mall", "hotel", *under["transformer"]]
    under["substation"] = ["factory", *under["mv_feeder"]]
    assert set(branches) == set(under)
    for branch, names in under.items():
        np.testing.assert_allclose(branches[branch], plan[names].sum(axis=1), atol=1e-9)


def test_rows_are_the_coefficients_times_the_children(file: TreeFile, solved: Solved) -> None:
    rows = solved.tables["rows"]
    row = rows[(rows["branch"] == "mv_feeder") & (rows["row"] == "v_mv_end")]
    plan, branches = solved.tables["plan"], solved.tables["branches"]
    p, mall, hotel = (by_name(frame, key, "p_kw")[name] for frame, key, name in (
        (branches, "branch", "transformer"), (plan, "prosumer", "mall"), (plan, "prosumer", "hotel")))  # fmt: skip
    q = by_name(branches, "branch", "q_kvar")["transformer"]
    np.testing.assert_allclose(row["value"], -1e-4 * p - 1.2e-4 * q - 0.8e-4 * mall - 0.6e-4 * hotel, atol=1e-9)
    assert (row["value"].to_numpy() >= -0.006 * 1.001).all()
    assert (row["uncoordinated"].to_numpy() < -0.006).any(), "without coordination the row is left"
    np.testing.assert_array_equal(row["upper"], np.full(24, 0.006))


def test_limits_hold_and_prices_are_those_of_limits(solved: Solved) -> None:
    branches = solved.tables["branches"]
    street = branches[branches["branch"] == "street_a"]
    assert (street["uncoordinated_kw"] < -7).any()
    assert (street["p_kw"] >= -7.007).all()
    assert street["unheld_kw"].max() <= 0.007
    assert street["price_per_kwh"].min() < -0.05, "feed-in is worth nothing more where the street is full"
    assert street["lower_kvar"].isna().all()
    root = branches[branches["branch"] == "substation"]
    assert root["lower_kw"].isna().all(), "a limit that does not exist is empty"
    np.testing.assert_allclose(root["price_per_kwh"] * 1.0, 2e-5 * root["p_kw"], atol=0.01)


def test_summary_and_terminal(solved: Solved) -> None:
    assert solved.more["branches"]["street_b"] == {
        "parent": "transformer", "level": 3, "prosumers": 4, "peak_kw": solved.more["branches"]["street_b"]["peak_kw"],
    }  # fmt: skip
    costs = solved.more["cost_chf"]
    assert sum(cost["coordinated"] for cost in costs.values()) == pytest.approx(
        solved.more["total_cost_chf"]["coordinated"]
    )
    assert all(cost["compensation"] >= -1e-6 for cost in costs.values())
    assert solved.participants == 18
    assert list(solved.shown["branch"]) == [
        "substation", "  mv_feeder", "    transformer", "      street_a", "      street_b",
    ]  # fmt: skip
    assert set(solved.shown["limits"]) == {"held"}


def test_messages_are_counted(solved: Solved) -> None:
    """At least a signal and an answer per edge and round: 17 edges."""
    assert solved.messages >= 2 * 17 * len(solved.rounds)
    assert solved.payload_bytes > 8 * 48 * solved.messages


def test_too_few_rounds_and_no_time(file: TreeFile) -> None:
    assert file.solve(max_rounds=2).status is SolveStatus.ROUNDS
    late = file.solve(budget_s=5.0, clock=VirtualClock(1.0))
    assert late.status is SolveStatus.BUDGET
    assert len(late.tables["plan"]) == 13 * 24, "with the best plan so far"


def test_an_interrupt_leaves_the_best_plan_so_far(file: TreeFile) -> None:
    asked = iter(range(10_000))
    done = file.solve(interrupted=lambda: next(asked) > 400)
    assert done.status is SolveStatus.INTERRUPTED
    assert 0 < len(done.rounds) < 60
    assert len(done.tables["branches"]) == 5 * 24


def test_limits_that_nobody_can_hold(tmp_path: Path) -> None:
    solved = TreeFile.read(tree_file(tmp_path, {"branches[0].p_max_kw": 40})).solve()
    assert solved.status is SolveStatus.INFEASIBLE
    branches = solved.tables["branches"]
    root = branches[branches["branch"] == "substation"]
    np.testing.assert_allclose(root["unheld_kw"], (root["p_kw"] - 40).clip(lower=0), atol=1e-6)
    assert root["unheld_kw"].max() > 1
    assert solved.more["unheld_chf"] > 0
    assert solved.shown["limits"][0].startswith(f"{ACTIVE} left by")


def test_links_that_lose_messages_are_refused(file: TreeFile) -> None:
    request = SolveRequest("tree", 10, 10.0, MessageLink(loss=0.1))
    with pytest.raises(InputError, match="--link: got a link; allowed: none for the kind tree"):
        prepare(file.config, file.path).solve(request, SolveWatch(VirtualClock(), 10.0))


def test_the_papers_own_iteration_settles_if_relaxed(file: TreeFile, solved: Solved) -> None:
    shared = file.solve(max_rounds=600, algorithm="relaxed-sharing")
    assert shared.status is SolveStatus.NEIGHBOURHOOD
    assert (shared.bound, shared.gap_rel, shared.hops_per_round) == (None, None, 8)
    assert shared.objective == pytest.approx(solved.objective, abs=2e-3 * solved.more["turnover_chf"])
    assert len(shared.rounds) > len(solved.rounds)
    assert set(shared.shown["limits"]) == {"held"}
    assert shared.tables["branches"]["price_per_kwh"].isna().all(), "it has no prices of branches"
    for column in ("lower_kw", "upper_kw"):
        found, other = (by_name(each.tables["branches"], "branch", column) for each in (shared, solved))
        np.testing.assert_array_equal(found, other)


def test_the_papers_own_iteration_as_it_is_needs_more_rounds(file: TreeFile, solved: Solved) -> None:
    shared = file.solve(max_rounds=100, algorithm="sharing")
    assert shared.status is SolveStatus.ROUNDS
    assert shared.objective == pytest.approx(solved.objective, abs=2e-2 * solved.more["turnover_chf"])
    assert len(shared.tables["plan"]) == 13 * 24


def without_a1(nodes: Sequence[Node]) -> Carried:
    """Carry the messages; the house a1 answers four times, and never again."""
    left = count(4, -1)

    class Falling:
        name, done = "a1", True

        def __init__(self, node: Node) -> None:
            self.start, self._node = node.start, node

        def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
            return self._node.react(inbox) if next(left) > 0 else ()

    return run([Falling(node) if node.name == "a1" else node for node in nodes])


def test_a_mute_house_is_held_and_named(file: TreeFile) -> None:
    scenario = file.scenario()
    leaves, meter = scenario.participants(), MessageMeter()
    outcome = coordinate_tree(scenario.problem, leaves, TreeConfig(), WallClock(), meter.over(without_a1))
    solved = solved_tree(file.config, leaves, SolvedTree.of(scenario.problem, outcome), meter)
    assert solved.status is SolveStatus.PARTIAL
    assert solved.silent == ("a1",)
    assert list(solved.more["held_rounds"]) == ["a1"]
    assert solved.more["held_rounds"]["a1"] > 0
    plan = by_name(solved.tables["plan"], "prosumer", "p_kw")
    np.testing.assert_allclose(plan["a1"], outcome.agreements["a1"].profile.x[:, 0], atol=1e-6)
