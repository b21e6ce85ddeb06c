"""Dispatch within one process: against cvxpy, its bound, its rounds, its time, and outputs on their rays."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.arrays import FloatArray
from mpc.coordination.dispatch.coordinator import DispatchSettings
from mpc.coordination.dispatch.fleet import Fleet
from mpc.coordination.dispatch.outcome import DispatchOutcome
from mpc.coordination.dispatch.solve import coordinate_fleet, dispatch
from mpc.coordination.dispatch.target import Norm, SectorTarget
from tests.support.dispatches import TUTORIAL, central_optimum, random_dispatch

TIGHT = DispatchSettings(gap_tol=1e-7, gap_abs=1e-7)


def tutorial(norm: Norm = Norm.L1) -> tuple[Fleet, SectorTarget]:
    resources = TUTORIAL["resources"]
    efficiency = np.array([each["efficiency"] for each in resources])
    capacity = np.array([each["capacity_kw"] for each in resources])
    names = tuple(each["name"] for each in resources)
    fleet = Fleet(names, capacity, efficiency, np.zeros((3, 3)), np.zeros(3))
    return fleet, SectorTarget(np.array(TUTORIAL["target_kw"]), np.array(TUTORIAL["weights"], float), norm)


def judged(fleet: Fleet, target: SectorTarget, inputs_kw: FloatArray) -> float:
    """The objective by its definition, after a check of what everyone can do."""
    assert np.all(inputs_kw >= 0)
    assert np.all(inputs_kw <= fleet.capacity_kw)
    aggregate = sum(fleet.efficiency[i] * s for i, s in enumerate(inputs_kw))
    own = sum(fleet.priority[i] @ (fleet.efficiency[i] * s) for i, s in enumerate(inputs_kw))
    deviation = aggregate - target.kw
    return float(
        own + (target.weights @ np.abs(deviation) if target.norm is Norm.L1 else target.weights @ deviation**2 / 2)
    )


def scale(outcome: DispatchOutcome, target: SectorTarget) -> float:
    return max(abs(outcome.bound), target.distance(np.zeros(len(target.kw)))) or 1.0


def test_the_optimum_of_the_tutorial() -> None:
    fleet, target = tutorial()
    dispatch(fleet, target)  # loads what is loaded late
    began = time.perf_counter()
    outcome = dispatch(fleet, target, TIGHT)
    assert time.perf_counter() - began <= 0.1
    assert len(outcome.rounds) <= 60
    assert outcome.objective == pytest.approx(2.0, abs=1e-6)
    assert outcome.inputs_kw == pytest.approx([0.0, 0.0, 4.0], abs=1e-6)
    assert outcome.bound == pytest.approx(2.0, abs=1e-6)


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize("resources", [10, 100, 1000])
def test_certified_within_a_hundred_rounds_and_a_second(resources: int, norm: Norm) -> None:
    for seed in (2, 3):
        fleet, target = random_dispatch(seed, resources, 3, norm)
        began = time.process_time()
        outcome = dispatch(fleet, target)
        assert time.process_time() - began <= 1.0
        assert (outcome.converged, len(outcome.rounds) <= 100) == (True, True)
        best, _ = central_optimum(fleet, target)
        tolerance = 1e-6 * scale(outcome, target)
        assert judged(fleet, target, outcome.inputs_kw) == pytest.approx(outcome.objective, abs=tolerance)
        assert outcome.bound <= best + tolerance
        assert outcome.objective - best <= 1e-3 * scale(outcome, target) + tolerance


@pytest.mark.parametrize("norm", Norm)
def test_the_bound_holds_in_every_round(norm: Norm) -> None:
    fleet, target = random_dispatch(5, 40, 6, norm)
    best, _ = central_optimum(fleet, target)
    outcome = dispatch(fleet, target, TIGHT)
    bounds = [each.bound for each in outcome.rounds if each.bound is not None]
    assert len(bounds) == len(outcome.rounds) > 3
    assert max(bounds) <= best + 1e-6 * scale(outcome, target)
    assert bounds == sorted(bounds)


@pytest.mark.parametrize("norm", Norm)
def test_twenty_four_sectors_and_a_hundred_thousand_resources(norm: Norm) -> None:
    fleet, target = random_dispatch(6, 100_000, 24, norm)
    began = time.process_time()
    outcome = coordinate_fleet(fleet, target, DispatchSettings())
    assert outcome.converged
    assert time.process_time() - began <= 5.0
    assert judged_at_once(fleet, target, outcome.inputs_kw) - outcome.bound <= 1.001e-3 * scale(outcome, target)


def judged_at_once(fleet: Fleet, target: SectorTarget, inputs_kw: FloatArray) -> float:
    own = float(np.sum(fleet.priority * fleet.efficiency * inputs_kw[:, None]))
    return target.distance(inputs_kw @ fleet.efficiency) + own


efficiencies = st.integers(-3000, 3000).map(lambda k: k / 1000) | st.just(0.0)
targets = st.integers(-2000, 2000).map(lambda k: k / 100)


@settings(max_examples=25, deadline=None)
@given(
    eta=st.lists(st.tuples(efficiencies, efficiencies), min_size=1, max_size=6),
    target=st.tuples(targets, targets),
    weights=st.tuples(st.sampled_from([0.0, 0.3, 5.0]), st.sampled_from([0.0, 1.0, 100.0])),
    norm=st.sampled_from(Norm),
    seed=st.integers(0, 1000),
)
def test_outputs_are_on_their_rays_whatever_the_efficiencies(
    eta: list[tuple[float, float]],
    target: tuple[float, float],
    weights: tuple[float, float],
    norm: Norm,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    n = len(eta)
    capacity = rng.choice([0.0, 1.0, 7.5], n)
    priority = rng.choice([-0.2, 0.0, 0.4], (n, 2))
    fleet = Fleet(tuple(map(str, range(n))), capacity, np.array(eta), priority, np.zeros(n))
    goal = SectorTarget(np.array(target), np.array(weights), norm)
    outcome = dispatch(fleet, goal, DispatchSettings(max_rounds=200))
    assert np.abs(outcome.outputs_kw - fleet.efficiency * outcome.inputs_kw[:, None]).max() <= 1e-9
    assert np.all(outcome.inputs_kw[~fleet.efficiency.any(axis=1)] == 0)
    assert np.all(outcome.price[goal.weights == 0] == 0)
    best, _ = central_optimum(fleet, goal)
    tolerance = 1e-6 * scale(outcome, goal)
    assert outcome.converged
    assert outcome.bound <= best + tolerance
    assert judged(fleet, goal, outcome.inputs_kw) - best <= 1e-3 * scale(outcome, goal) + tolerance


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize(("power", "price"), [(1e-2, 1e3), (1e5, 1e-4), (1e5, 1e3)])
def test_the_units_of_powers_and_prices_do_not_matter(power: float, price: float, norm: Norm) -> None:
    """The same problem in other units has the same gap; for L2 a weight is per kW²."""
    fleet, target = random_dispatch(9, 30, 5, norm)
    weights = target.weights * price * (1 if norm is Norm.L1 else 1 / power)
    scaled = Fleet(fleet.names, power * fleet.capacity_kw, fleet.efficiency, price * fleet.priority, fleet.fallback_kw)
    outcome = dispatch(scaled, SectorTarget(power * target.kw, weights, norm))
    assert (outcome.converged, len(outcome.rounds) <= 40) == (True, True)
    best, _ = central_optimum(fleet, target)
    assert outcome.objective / (power * price) - best <= 1.001e-3 * scale(dispatch(fleet, target), target)


def test_a_positive_priority_is_penalised() -> None:
    """Two equal resources: the one that is penalised stays off, and one that is rewarded runs beyond the target."""
    eta, none = np.ones((2, 1)), np.zeros(2)
    target = SectorTarget(np.array([4.0]), np.array([1.0]), Norm.L1)
    penalised = Fleet(("a", "b"), np.array([10.0, 10.0]), eta, np.array([[0.5], [0.0]]), none)
    assert dispatch(penalised, target, TIGHT).inputs_kw == pytest.approx([0.0, 4.0], abs=1e-5)
    rewarded = Fleet(("a", "b"), np.array([10.0, 10.0]), eta, np.array([[-1.5], [0.0]]), none)
    assert dispatch(rewarded, target, TIGHT).inputs_kw == pytest.approx([10.0, 0.0], abs=1e-5)


def test_a_target_of_nothing_has_an_absolute_gap() -> None:
    fleet = Fleet(("a",), np.array([1.0]), np.array([[0.0]]), np.zeros((1, 1)), np.zeros(1))
    for kw in (0.0, 1e-38):
        outcome = dispatch(fleet, SectorTarget(np.array([kw]), np.array([5.0]), Norm.L1))
        assert (outcome.converged, len(outcome.rounds), outcome.gap_rel <= 1e-9) == (True, 1, True)


def test_time_may_be_up_after_any_round() -> None:
    fleet, target = random_dispatch(7, 50, 5, Norm.L1)
    outcome = dispatch(fleet, target, TIGHT, expired=lambda rounds: len(rounds) >= 3)
    assert (len(outcome.rounds), outcome.converged) == (3, False)
    assert judged(fleet, target, outcome.inputs_kw) == pytest.approx(outcome.objective)
    assert outcome.gap_rel == pytest.approx((outcome.objective - outcome.bound) / scale(outcome, target))
