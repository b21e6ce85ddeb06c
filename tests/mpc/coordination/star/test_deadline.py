"""A deadline ends a coordination with the best that there is, whatever was answered by then."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from core.config_coordination import CoordinationConfig
from core.errors import CoordinationError
from core.scenario import Scenario
from mpc.coordination.nodes import Deadline, Message
from mpc.coordination.outcome import CoordinationOutcome, CoordinationStatus, Unanswered
from mpc.coordination.rounds import Carried, Ending, run
from mpc.coordination.star.operator import GridOperator
from mpc.coordination.star.outcome import StarOutcome
from mpc.grid.rows import GridModel
from tests.mpc.coordination.star.recording import PRICE_CAP, overhear, prosumer_nodes
from tests.support.coordination import coordinate, uncoordinated
from tests.support.synthetic import scenario, with_slack_voltage
from tests.support.virtual_clock import VirtualClock

GRID = scenario(step_min=60)
NAMES = tuple(site.name for site in GRID.sites)
DEADLINE: Message[object] = Message("timer", "operator", 0, Deadline())


def operator(grid: Scenario = GRID, **given_: Any) -> GridOperator:
    return GridOperator(GridModel(grid.problem, PRICE_CAP), CoordinationConfig(**given_), VirtualClock())


def answers(node: GridOperator, grid: Scenario = GRID) -> Iterator[Message[object]]:
    """One by one: the questions of each round in the order of the prosumers, signals before plain prices."""
    prosumers = {prosumer.name: prosumer for prosumer in prosumer_nodes(grid)}
    questions = list(node.start())
    while questions:
        *early, last = [reply for question in questions for reply in prosumers[question.receiver].react([question])]
        for answer in early:
            yield answer
            assert not node.react([answer])
        yield last
        questions = list(node.react([last]))


def cut_short(n_answers: int, grid: Scenario = GRID, together: bool = False, **given_: Any) -> CoordinationOutcome:
    """The outcome of a deadline after so many answers; ``together``: in one inbox with the last of them."""
    node = operator(grid, **given_)
    for k, answer in enumerate(answers(node, grid), 1):
        if together and k == n_answers:
            assert not node.react([answer, DEADLINE])
            break
        if k > n_answers:
            assert not node.react([DEADLINE])
            break
    assert node.done
    assert node.outcome is not None
    return node.outcome


def same_best(outcome: CoordinationOutcome, expected: CoordinationOutcome) -> None:
    assert isinstance(outcome, StarOutcome)
    assert isinstance(expected, StarOutcome)
    assert outcome.best.cost_chf == expected.best.cost_chf
    assert outcome.iterations == expected.iterations
    for name, agreement in expected.best.agreements.items():
        np.testing.assert_array_equal(outcome.best.agreements[name].profile.x, agreement.profile.x)


def capped(n_rounds: int) -> StarOutcome:
    return overhear(GRID, CoordinationConfig(max_iterations=n_rounds))[0]


@pytest.mark.parametrize("n_answers", [0, 1, 4])
def test_before_everybody_has_answered_once_nobody_can_plan(n_answers: int) -> None:
    assert cut_short(n_answers) == Unanswered(CoordinationStatus.BUDGET, None, NAMES[n_answers:])


@pytest.mark.parametrize(("n_answers", "together"), [(5, True), (5, False), (9, False)])
def test_after_round_0_it_is_the_tariff(n_answers: int, together: bool) -> None:
    """The plain tariff, and what everybody does under it; a warm start like any other."""
    outcome = cut_short(n_answers, together=together)
    assert isinstance(outcome, StarOutcome)
    assert (outcome.status, outcome.gap_rel, outcome.iterations) == (CoordinationStatus.BUDGET, None, ())
    selfish = uncoordinated(GRID, CoordinationConfig())
    assert list(outcome.best.agreements) == list(NAMES)
    for name, agreement in outcome.best.agreements.items():
        assert not agreement.signal.h.any()
        np.testing.assert_array_equal(agreement.signal.g, selfish.plan.agreements[name].signal.g)
        np.testing.assert_array_equal(agreement.profile.x, selfish.plan.agreements[name].profile.x)
        assert outcome.uncoordinated[name] is agreement.profile
    assert outcome.best.violation.worst_pu == pytest.approx(selfish.violation.worst_pu)
    settings = CoordinationConfig(violation_price_chf_per_kwh=PRICE_CAP)  # that of the rows of the warm start
    warm = coordinate(GRID, settings, VirtualClock(), warm_start=outcome.warm_start)
    cold = coordinate(GRID, settings, VirtualClock())
    assert warm.outcome.iterations == cold.outcome.iterations


ROUND_1 = 5
"""Answers to round 0; round 1 has a signal and a plain price for each of five prosumers."""


@pytest.mark.parametrize("more", [0, 3])
def test_amid_a_round_it_is_the_best_of_the_rounds_before(more: int) -> None:
    """Round 2 has new rows, of which no bound is known yet: the gap is that of round 1 under its own."""
    outcome = cut_short(ROUND_1 + 10 + more)
    assert outcome.status is CoordinationStatus.BUDGET
    same_best(outcome, capped(1))
    assert outcome.gap_rel == capped(1).gap_rel
    assert capped(1).gap_rel is not None


def test_answers_that_come_with_the_deadline_count() -> None:
    outcome = cut_short(ROUND_1 + 10, together=True)
    assert outcome.status is CoordinationStatus.BUDGET
    same_best(outcome, capped(1))


@pytest.mark.parametrize("plain", [0, 1, 4])
def test_a_round_counts_without_its_bound(plain: int) -> None:
    """All signals are answered, not all plain prices: the round has a candidate, and no bound."""
    outcome = cut_short(ROUND_1 + 5 + plain)
    assert isinstance(outcome, StarOutcome)
    assert outcome.best.cost_chf == capped(1).best.cost_chf
    assert len(outcome.iterations) == 1
    assert (outcome.lower_bound_chf, outcome.gap_rel) == (None, None)


def test_a_round_that_is_good_enough_has_converged() -> None:
    converged, record = overhear(GRID, CoordinationConfig())
    assert converged.status is CoordinationStatus.CONVERGED
    n_answers = sum(message.receiver == "operator" for message in record)
    same_best(cut_short(n_answers, together=True), converged)
    assert cut_short(n_answers, together=True).status is CoordinationStatus.CONVERGED


def test_limits_that_nobody_can_hold_are_said_so() -> None:
    grid = with_slack_voltage(GRID, 1.2)
    for n_answers in (5, 18):
        assert cut_short(n_answers, grid).status is CoordinationStatus.INFEASIBLE


def test_after_the_end_a_deadline_changes_nothing() -> None:
    node = operator()
    run([node, *prosumer_nodes(GRID)])
    outcome = node.outcome
    assert outcome is not None
    assert not node.react([DEADLINE])
    assert node.outcome is outcome
    early = operator()
    questions = early.start()
    early.react([DEADLINE])
    unanswered = early.outcome
    prosumers = {prosumer.name: prosumer for prosumer in prosumer_nodes(GRID)}
    assert not early.react([reply for q in questions for reply in prosumers[q.receiver].react([q])])
    assert early.outcome is unanswered


@given(n_answers=st.integers(0, 60), together=st.booleans(), splitting=st.sampled_from(["profile", "constraint"]))
@hypothesis_settings(max_examples=25, derandomize=True, deadline=None)
def test_there_is_always_an_outcome(n_answers: int, together: bool, splitting: str) -> None:
    outcome = cut_short(n_answers, together=together and n_answers > 0, splitting=splitting)
    if n_answers < len(NAMES):
        assert isinstance(outcome, Unanswered)
        return
    assert isinstance(outcome, StarOutcome)
    assert outcome.status in (CoordinationStatus.BUDGET, CoordinationStatus.CONVERGED)
    assert list(outcome.best.agreements) == list(NAMES)


def test_a_carrier_that_moves_nothing_leaves_no_plan() -> None:
    def mute(nodes: Any) -> Carried:
        nodes[0].start()
        return Carried(Ending.SILENCE, 0, 0, 0, ())

    with pytest.raises(CoordinationError, match=f"no answer from {', '.join(NAMES)}"):
        coordinate(GRID, CoordinationConfig(), VirtualClock(), carry=mute)
