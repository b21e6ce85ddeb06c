"""The day of the laboratory through two aggregators, judged by what knows nothing of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig
from core.errors import InputError
from core.feeders import OPERATOR, Feeder
from core.prices import DemandProfile, PriceSignal
from core.scenario import Scenario
from mpc.coordination import rounds
from mpc.coordination.nodes import Message, Node
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.rounds import Carried
from mpc.coordination.tree.grid.regions import head_powers
from mpc.coordination.tree.messages import BranchAnswer, BranchSignal
from mpc.day_ahead import CoordinatedDay, FeederDay, agree
from mpc.grid.rows import GridModel
from mpc.prosumer import participants
from mpc.reference import AcOptimum
from tests.support.certificate import own_cost_chf, retail_cost_chf, violation_pu
from tests.support.sound_plans import check_all_sound
from tests.support.synthetic import with_slack_voltage
from tests.support.virtual_clock import VirtualClock

SETTINGS = CoordinationConfig()
NORTH, SOUTH = Feeder("north", None, ("N3", "N4", "N5")), Feeder("south", None, ("N6", "N7", "N8", "N9"))
NESTED = (NORTH, replace(SOUTH, nodes=("N6", "N7")), Feeder("far", "south", ("N8", "N9")))
PLAIN = (PriceSignal, DemandProfile)


class Recorder:
    """The carrier of the tests, with every message that passed."""

    def __init__(self) -> None:
        self.messages: list[Message[object]] = []

    def __call__(self, nodes: Sequence[Node]) -> Carried:
        return rounds.run([_Recorded(node, self.messages) for node in nodes])


class _Recorded:
    def __init__(self, node: Node, messages: list[Message[object]]) -> None:
        self.name, self._node, self._messages = node.name, node, messages

    @property
    def done(self) -> bool:
        return self._node.done

    def start(self) -> Sequence[Message[object]]:
        return self._noted(self._node.start())

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        return self._noted(self._node.react(inbox))

    def _noted(self, messages: Sequence[Message[object]]) -> Sequence[Message[object]]:
        self._messages += messages
        return messages


def agreed(day: Scenario, *feeders: Feeder, **options: object) -> FeederDay:
    day = replace(day, feeders=feeders)
    found = agree(day.problem, participants(day), SETTINGS, VirtualClock(), **options)  # type: ignore[arg-type]
    assert isinstance(found, FeederDay)
    check_all_sound(day, found.plan.prosumers)
    return found


def profiles(day: FeederDay) -> FloatArray:
    return np.stack([day.plan.agreements[name].profile.x for name in day.problem.nodes])


@pytest.fixture(scope="module")
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="module")
def two(gridlab9: Scenario, recorder: Recorder) -> FeederDay:
    return agreed(gridlab9, NORTH, SOUTH, carry=recorder)


def check(scenario: Scenario, day: FeederDay, optimum: AcOptimum, turnover: float) -> None:
    """Converged, within the limits by an independent power flow, and at the cost of the central AC optimum."""
    x, bound = profiles(day), day.outcome.lower_bound_chf
    cost = retail_cost_chf(scenario, x) + own_cost_chf(scenario, day)
    assert day.outcome.status is CoordinationStatus.CONVERGED
    assert violation_pu(scenario, x) <= SETTINGS.violation_tol_pu
    assert abs(cost - optimum.cost_chf) <= SETTINGS.gap_tol * turnover
    assert bound is not None
    assert bound <= optimum.cost_chf + SETTINGS.gap_tol * turnover


def test_day(gridlab9: Scenario, two: FeederDay, profile_day: CoordinatedDay, ac_optimum: AcOptimum) -> None:
    turnover = profile_day.outcome.best.turnover_chf
    check(gridlab9, two, ac_optimum, turnover)
    costs = [sum(bill.coordinated_chf for bill in day.bills.values()) for day in (two, profile_day)]
    assert abs(costs[0] - costs[1]) <= 1e-3 * turnover
    assert len(two.outcome.iterations) <= 80
    slopes = [
        {name: agreement.signal.slope for name, agreement in day.plan.agreements.items()} for day in (two, profile_day)
    ]
    for name, slope in slopes[0].items():
        other = slopes[1][name]
        assert slope is not None
        assert other is not None
        assert slope.valid
        assert slope.kw_per_pu == pytest.approx(other.kw_per_pu, rel=0.02)


def test_aggregators_below_aggregators(gridlab9: Scenario, profile_day: CoordinatedDay, ac_optimum: AcOptimum) -> None:
    day = agreed(gridlab9, *NESTED)
    check(gridlab9, day, ac_optimum, profile_day.outcome.best.turnover_chf)


def test_nobody_above_sees_a_prosumer(two: FeederDay, recorder: Recorder) -> None:
    """To the operator, aggregators send sums of their whole feeder; prosumers hear from and answer their own only."""
    owner = {"N3": "north", "N4": "north", "N5": "north", "N7": "south", "N9": "south"}
    steps = two.problem.axis.n_steps
    for message in recorder.messages:
        ends = {message.sender, message.receiver}
        if prosumer := ends & owner.keys():
            assert ends == {*prosumer, owner[prosumer.pop()]}
            assert isinstance(message.body, PLAIN)
        else:
            assert OPERATOR in ends
            assert isinstance(message.body, BranchSignal | BranchAnswer)
    answers = [message.body for message in recorder.messages if isinstance(message.body, BranchAnswer)]
    assert {answer.x.shape for answer in answers} == {(steps, 2)}
    assert {answer.report.shape for answer in answers if answer.report is not None} == {(steps, 3)}
    assert {m.sender for m in recorder.messages if m.receiver == OPERATOR} == {"north", "south"}


def test_limits_of_a_branch(gridlab9: Scenario) -> None:
    """Power at the head, with losses, by the power flow of the whole grid."""
    day = agreed(gridlab9, replace(NORTH, p_min_kw=-6.0), replace(SOUTH, p_max_kw=2.0))
    powers = head_powers(day.problem, profiles(day), day.flow)
    tolerance_kw = 10 * SETTINGS.violation_tol_pu * gridlab9.limits.slack_s_max_kva
    assert day.outcome.status is CoordinationStatus.CONVERGED
    assert powers["north"][:, 0].min() == pytest.approx(-6.0, abs=tolerance_kw)
    assert powers["south"][:, 0].max() == pytest.approx(2.0, abs=tolerance_kw)
    prices = day.outcome.prices
    assert prices["north"][:, 0].min() < 0 < prices["south"][:, 0].max()


def test_warm_start_with_another_supply(gridlab9: Scenario, two: FeederDay) -> None:
    later = with_slack_voltage(replace(gridlab9.after(6), feeders=(NORTH, SOUTH)), 1.004)
    warm = two.outcome.warm_start.shifted(6, GridModel(later.problem, 1.0))
    day = agreed(later, NORTH, SOUTH, warm_start=warm)
    assert day.outcome.status is CoordinationStatus.CONVERGED
    assert violation_pu(later, profiles(day)) <= SETTINGS.violation_tol_pu


def test_limits_that_cannot_be_held(gridlab9: Scenario) -> None:
    day = agreed(gridlab9.after(120), replace(NORTH, p_min_kw=8.0, p_max_kw=9.0), SOUTH)
    assert day.outcome.status is CoordinationStatus.INFEASIBLE
    assert day.outcome.unheld_pu > SETTINGS.violation_tol_pu
    assert day.outcome.unheld_chf > 0


def test_settings_of_a_star(gridlab9: Scenario) -> None:
    problem = replace(gridlab9.problem, feeders=(NORTH,))
    settings = CoordinationConfig(splitting="constraint", stop="residual")
    with pytest.raises(InputError) as caught:
        agree(problem, participants(gridlab9), settings, VirtualClock())
    assert [fault.key for fault in caught.value.faults] == ["splitting", "stop"]
