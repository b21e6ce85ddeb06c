"""Rounds over links: every node is called in every round, messages are lost or late, nodes crash and join."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config_coordination import CoordinationConfig
from core.errors import CoordinationError
from mpc.coordination import rounds
from mpc.coordination.links import MessageLink, Transit
from mpc.coordination.nodes import Deadline, Message
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.rounds import Carried, Ending, run_rounds
from mpc.coordination.star.operator import GridOperator
from mpc.coordination.star.outcome import StarOutcome
from mpc.grid.rows import GridModel
from tests.mpc.coordination.averaging import Averager
from tests.mpc.coordination.star.recording import PRICE_CAP, prosumer_nodes
from tests.support.coordination import coordinate
from tests.support.synthetic import scenario
from tests.support.virtual_clock import VirtualClock

GRID = scenario(step_min=60)
VALUES = {"a": 1.0, "b": 5.0, "c": 12.0}


def averagers(names: str = "ab") -> list[Averager]:
    return [Averager(name, VALUES[name], [other for other in names if other != name]) for name in names]


def carried(nodes: list[Averager], max_rounds: int = 2000, **link: Any) -> Carried:
    return run_rounds(nodes, MessageLink(**link), max_rounds)


def test_every_node_is_called_in_every_round() -> None:
    nodes = averagers("abc")
    result = carried(nodes, loss=0.6, delay_rounds=2, seed=3)
    assert result.ending is Ending.DONE
    assert [len(node.inboxes) for node in nodes] == [result.rounds] * 3
    assert any(not inbox for node in nodes for inbox in node.inboxes)
    arrived = sum(len(inbox) for node in nodes for inbox in node.inboxes)
    assert 0 < result.lost < result.messages - arrived


def test_a_perfect_link_delivers_in_the_next_round() -> None:
    nodes = averagers()
    result = run_rounds(nodes)
    assert (result.ending, result.lost, result.unfinished) == (Ending.DONE, 0, ())
    for k, inboxes in enumerate(zip(*(node.inboxes for node in nodes), strict=True)):
        assert [[(m.sender, m.question) for m in inbox] for inbox in inboxes] == [[("b", k)], [("a", k)]]


@given(
    seed=st.integers(0, 2**32),
    loss=st.floats(0, 0.6),
    delay_rounds=st.integers(0, 4),
    join=st.integers(0, 30),
)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_the_mean_survives_losses_delays_and_a_late_node(seed: int, loss: float, delay_rounds: int, join: int) -> None:
    """Running sums lose no mass, so that every node ends at the exact mean; and one seed gives one run."""
    link = {"seed": seed, "loss": loss, "delay_rounds": delay_rounds, "joins": {"c": join}}
    first, again = averagers("abc"), averagers("abc")
    result = carried(first, **link)
    assert result.ending is Ending.DONE
    assert result.rounds > join
    for node in first:
        assert node.estimates[-1] == pytest.approx(6.0, abs=1e-9)
    assert carried(again, **link) == result
    assert [node.inboxes for node in again] == [node.inboxes for node in first]


def test_another_seed_loses_other_messages() -> None:
    one, two = averagers("abc"), averagers("abc")
    carried(one, loss=0.3, seed=1)
    carried(two, loss=0.3, seed=2)
    assert [node.inboxes for node in one] != [node.inboxes for node in two]


def test_a_crashed_node_is_gone_and_what_is_sent_to_it_is_lost() -> None:
    a, b = averagers()
    result = carried([a, b], max_rounds=40, crashes={"b": 5})
    assert (len(a.inboxes), len(b.inboxes)) == (40, 4)
    assert [len(inbox) for inbox in a.inboxes] == [1] * 5 + [0] * 34 + [1]
    assert (result.ending, result.rounds, result.unfinished) == (Ending.ROUNDS, 40, ("a",))
    assert result.messages == 41 + 5
    assert result.lost == 36, "what a sent in rounds 4 to 39"
    assert np.allclose(a.estimates, a.estimates[-1])
    assert a.out_of_time
    assert not b.out_of_time


def test_a_node_that_joins_starts_then_and_hears_the_round_after() -> None:
    nodes = averagers("abc")
    result = carried(nodes, joins={"c": 7})
    assert result.lost == 2 * 7
    assert [len(node.inboxes) for node in nodes] == [result.rounds, result.rounds, result.rounds - 7]
    heard_of_c = [k for k, inbox in enumerate(nodes[0].inboxes, 1) if any(m.sender == "c" for m in inbox)]
    assert heard_of_c[0] == 8
    assert len(nodes[2].inboxes[0]) == 2


def test_the_last_round_brings_a_deadline_to_everybody_who_is_there() -> None:
    nodes = averagers("abc")
    result = carried(nodes, max_rounds=6, crashes={"b": 6})
    assert (result.ending, result.rounds, result.unfinished) == (Ending.ROUNDS, 6, ("a", "c"))
    for node in (nodes[0], nodes[2]):
        bodies = [message.body for inbox in node.inboxes for message in inbox]
        assert bodies.count(Deadline()) == 1
        assert bodies[-1] == Deadline()


def test_shares_of_lost_and_late_messages() -> None:
    transit = Transit(MessageLink(loss=0.3, delay_rounds=3, seed=4))
    n = 8000
    transit.send([Message("a", "b", number, None) for number in range(n)], 10)
    arrivals = {k: transit.arriving(k).get("b", []) for k in range(9, 16)}
    assert [len(arrivals[k]) for k in (9, 10, 15)] == [0, 0, 0]
    for k in (11, 12, 13, 14):
        assert len(arrivals[k]) / n == pytest.approx(0.7 / 4, abs=0.015)
        assert [m.question for m in arrivals[k]] == sorted(m.question for m in arrivals[k])
    assert Counter(m.question for inbox in arrivals.values() for m in inbox).most_common(1)[0][1] == 1
    assert (transit.sent, transit.lost) == (n, n - sum(map(len, arrivals.values())))


@pytest.mark.parametrize(
    ("link", "message"),
    [
        ({"loss": -0.1}, "allowed 0 … 1"),
        ({"loss": 1.1}, "allowed 0 … 1"),
        ({"delay_rounds": -1}, "allowed ≥ 0"),
        ({"joins": {"a": -1}}, "a joins in round -1"),
        ({"joins": {"a": 3}, "crashes": {"a": 3}}, "before it crashes"),
        ({"crashes": {"a": 0}}, "before it crashes"),
        ({"crashes": {"x": 3}}, "no node x"),
        ({"joins": {"b": 2000}}, "allowed > 2000"),
    ],
)
def test_a_link_that_cannot_be(link: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        carried(averagers(), **link)


def test_names_are_unique_and_receivers_exist() -> None:
    with pytest.raises(ValueError, match="unique names; twice: a"):
        run_rounds([*averagers(), *averagers()[:1]])
    with pytest.raises(KeyError, match="nobody"):
        run_rounds([Averager("a", 1.0, ["nobody"]), Averager("b", 1.0, [])])


def operator_of_the_star() -> GridOperator:
    return GridOperator(GridModel(GRID.problem, PRICE_CAP), CoordinationConfig(), VirtualClock())


def star(carry: rounds.Carrier) -> StarOutcome:
    operator = operator_of_the_star()
    carry([operator, *prosumer_nodes(GRID)])
    assert isinstance(operator.outcome, StarOutcome)
    return operator.outcome


@pytest.mark.parametrize("delay_rounds", [0, 3])
def test_the_star_ends_the_same_by_either_carrier(delay_rounds: int) -> None:
    """To the last bit; late answers make it wait and change nothing else."""
    expected, actual = star(rounds.run), star(partial(run_rounds, link=MessageLink(delay_rounds=delay_rounds, seed=5)))
    assert actual.status is expected.status is CoordinationStatus.CONVERGED
    assert actual.iterations == expected.iterations
    assert (actual.lower_bound_chf, actual.gap_rel) == (expected.lower_bound_chf, expected.gap_rel)
    for name, agreement in expected.best.agreements.items():
        np.testing.assert_array_equal(actual.best.agreements[name].profile.x, agreement.profile.x)
        np.testing.assert_array_equal(actual.best.agreements[name].signal.g, agreement.signal.g)


def test_carriers_say_how_they_ended() -> None:
    nodes = [
        GridOperator(GridModel(GRID.problem, PRICE_CAP), CoordinationConfig(), VirtualClock()),
        *prosumer_nodes(GRID),
    ]
    n = len(star(rounds.run).iterations)
    silence = rounds.run(nodes)
    assert (silence.ending, silence.rounds, silence.lost, silence.unfinished) == (Ending.SILENCE, 2 * n + 2, 0, ())
    fresh = [
        GridOperator(GridModel(GRID.problem, PRICE_CAP), CoordinationConfig(), VirtualClock()),
        *prosumer_nodes(GRID),
    ]
    assert run_rounds(fresh) == Carried(Ending.DONE, 2 * n + 2, silence.messages, 0, ())


def test_a_prosumer_that_crashes_leaves_the_best_so_far() -> None:
    """Rounds 0 to 2 of the operator take six rounds of the carrier; the answers to its third never come."""
    carry = partial(run_rounds, link=MessageLink(crashes={"P1": 7}), max_rounds=30)
    day = coordinate(GRID, CoordinationConfig(), VirtualClock(), carry=carry)
    capped = coordinate(GRID, CoordinationConfig(max_iterations=2), VirtualClock())
    assert day.outcome.status is CoordinationStatus.BUDGET
    assert len(day.outcome.iterations) == 2
    assert day.outcome.best.cost_chf == capped.outcome.best.cost_chf


def test_without_one_answer_of_somebody_there_is_no_plan() -> None:
    carry = partial(run_rounds, link=MessageLink(crashes={"P1": 1, "P3": 1}), max_rounds=30)
    with pytest.raises(CoordinationError, match="no answer from P1, P3$"):
        coordinate(GRID, CoordinationConfig(), VirtualClock(), carry=carry)


def test_a_link_that_loses_questions_is_an_end_too() -> None:
    """The star asks once; whatever is lost, there is an outcome or an error that names who never answered."""
    ends = set()
    for seed in range(12):
        carry = partial(run_rounds, link=MessageLink(loss=0.02, seed=seed), max_rounds=400)
        try:
            ends.add(coordinate(GRID, CoordinationConfig(), VirtualClock(), carry=carry).outcome.status)
        except CoordinationError:
            ends.add(None)
    assert {CoordinationStatus.BUDGET, None} <= ends


def test_time_that_has_expired_ends_after_one_more_round() -> None:
    heard: list[list[type[object]]] = []

    class Waiting:
        name, done = "waiting", False

        def start(self) -> Sequence[Message]:
            return ()

        def react(self, inbox: Sequence[Message]) -> Sequence[Message]:
            heard.append([type(message.body) for message in inbox])
            return ()

    carried = run_rounds([Waiting()], max_rounds=50, expired=lambda: len(heard) >= 3)
    assert heard == [[], [], [], [Deadline]]
    assert (carried.ending, carried.rounds, carried.unfinished) == (Ending.ROUNDS, 4, ("waiting",))
