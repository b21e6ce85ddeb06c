"""Directions of batteries come to rest, so that prices can; the gap that is told belongs to one restricted problem.

Energy costs less than nothing at noon, limits bind, and each signal may turn directions. At this noon, five batteries
that chose directions anew in every round turned them in a circle until the last round.
"""

from dataclasses import replace

import numpy as np
import pytest

import mpc.prosumer
from core.config_coordination import CoordinationConfig
from core.prices import PriceSignal
from core.scenario import Scenario
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.star.outcome import StarOutcome
from mpc.forecast import Observed
from mpc.intra_day import Situation
from mpc.prosumer import CHANGES, ProsumerProgram
from tests.support.coordination import coordinate
from tests.support.small_laboratory import laboratory_day_with_a_negative_tariff, small_laboratory
from tests.support.virtual_clock import VirtualClock

NOON = 62
SEEN = {
    "N3": Observed(1.802, 0.031, 2.9133, 0.2061),
    "N4": Observed(1.7261, 2.6101, 2.9133, 0.1),
    "N5": Observed(1.1162, 0.7109, 2.9133, 0.2061),
    "N7": Observed(0.6696, 0.3359, 2.9133, 0.2061),
    "N9": Observed(2.2322, 0.6442, 2.9133, 0.1041),
}


@pytest.fixture(scope="module")
def ahead() -> Scenario:
    return Situation(laboratory_day_with_a_negative_tariff(), NOON, SEEN, 0.9999).ahead()


def at_noon(ahead: Scenario, rounds: int) -> StarOutcome:
    return coordinate(ahead, CoordinationConfig(max_iterations=rounds), VirtualClock()).outcome


def test_the_rest_of_a_day_converges(ahead: Scenario) -> None:
    outcome = at_noon(ahead, 150)
    assert outcome.status is CoordinationStatus.CONVERGED
    assert outcome.relaxation_gap_rel is not None
    assert outcome.relaxation_gap_rel > 0.01


@pytest.mark.parametrize("rounds", [12, 18, 24])
def test_the_gap_at_a_cap_is_that_of_the_round_that_is_returned(ahead: Scenario, rounds: int) -> None:
    """Its directions are not those of the last round, nor may its bound be."""
    outcome = at_noon(ahead, rounds)
    assert outcome.status is CoordinationStatus.ITERATIONS
    (own,) = (each for each in outcome.iterations if each.cost_chf == outcome.best.cost_chf)
    assert own.iteration < rounds
    assert outcome.gap_rel == own.gap_rel
    assert own.bound_chf is not None
    assert outcome.lower_bound_chf is not None
    assert outcome.lower_bound_chf < own.bound_chf


def pulls(day: Scenario) -> list[PriceSignal]:
    """Two signals that draw the demand to different profiles, so that directions turn from one to the other."""
    retail, steps = day.tariff.signal(day.axis.dt_h), day.axis.n_steps
    h = np.tile(0.02 * np.eye(2), (steps, 1, 1))
    swing = 0.1 * np.column_stack([np.cos(np.arange(steps)), np.zeros(steps)])
    return [PriceSignal(h, retail.g - 0.02 + sign * swing, 0.0) for sign in (-1.0, 1.0)]


def test_a_prosumer_keeps_its_directions_after_many_changes() -> None:
    """And every plan is the answer that was given to its signal, before and after."""
    day = small_laboratory("03 negative tariff")
    prosumer = ProsumerProgram(day.sites[0], day.tariff, day.axis.dt_h)
    answers, free = [], []
    for k in range(CHANGES + 6):
        signal = pulls(day)[k % 2]
        signal = replace(signal, g=signal.g + 1e-6 * k)
        fresh = ProsumerProgram(day.sites[0], day.tariff, day.axis.dt_h)
        answers.append((signal, prosumer.respond(signal)))
        free.append(bool(np.allclose(fresh.respond(signal).x, answers[-1][1].x, atol=1e-6)))
    assert all(free[:CHANGES])
    assert not all(free[CHANGES:])
    for signal, answer in answers:
        plan = prosumer.plan(signal)
        np.testing.assert_array_equal(answer.x, np.column_stack([plan.p_kw, plan.q_kvar]))


def test_the_bound_of_kept_directions_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain price of a round is answered under the directions of the last answer, kept ones too."""
    monkeypatch.setattr(mpc.prosumer, "CHANGES", 2)
    day = small_laboratory("03 negative tariff")
    prosumer = ProsumerProgram(day.sites[0], day.tariff, day.axis.dt_h)
    plain = day.tariff.signal(day.axis.dt_h)
    for k in range(8):
        signal = pulls(day)[k % 2]
        x = prosumer.respond(replace(signal, g=signal.g + 1e-6 * k)).x
        answer = prosumer.respond(plain)
        restricted_chf = answer.cost_chf - answer.above_restricted_chf
        assert restricted_chf >= answer.cost_chf - answer.above_relaxed_chf - 1e-7
        assert restricted_chf <= day.tariff.cost_chf(x[:, 0], day.axis.dt_h) + 1e-7
