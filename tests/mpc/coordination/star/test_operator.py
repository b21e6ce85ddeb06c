"""The operator's node: what it asks, what it ignores, when it stops and what it then returns."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from core.algorithms import SplittingName
from core.config_coordination import CoordinationConfig
from core.prices import DemandProfile, PriceSignal
from core.resources import Outlook
from core.scenario import Scenario
from core.time import TimeAxis
from mpc.coordination import rounds
from mpc.coordination.nodes import Message
from mpc.coordination.outcome import CoordinationStatus, WarmStart
from mpc.coordination.star.observing import observed
from mpc.coordination.star.operator import GridOperator
from mpc.coordination.star.outcome import Iteration, StarOutcome
from mpc.day_ahead import CoordinatedDay
from mpc.grid.rows import GridModel
from mpc.price import violation_price_chf_per_kwh
from tests.mpc.coordination.star.recording import PRICE_CAP, overhear, prosumer_nodes
from tests.support.certificate import certify, profiles, violation_pu
from tests.support.coordination import coordinate
from tests.support.synthetic import Sizes, scenario, site_with
from tests.support.virtual_clock import VirtualClock

GRID = scenario(step_min=60)
STEPS = GRID.axis.n_steps

each_splitting = pytest.mark.parametrize("splitting", SplittingName)


def settings(**given: Any) -> CoordinationConfig:
    return CoordinationConfig.model_validate(given)


def agreed(warm_start: WarmStart | None = None, grid: Scenario = GRID, **given: Any) -> CoordinatedDay:
    return coordinate(grid, settings(**given), VirtualClock(), warm_start=warm_start)


def operator(**given: Any) -> GridOperator:
    return GridOperator(GridModel(GRID.problem, PRICE_CAP), settings(**given), VirtualClock())


def test_it_begins_with_the_plain_tariff() -> None:
    messages = operator().start()
    assert [message.receiver for message in messages] == [site.name for site in GRID.sites]
    for message in messages:
        assert isinstance(message.body, PriceSignal)
        assert not message.body.h.any()
        assert not message.body.g[:, 1].any()
        np.testing.assert_array_equal(message.body.g[:, 0], GRID.tariff.buy_chf_per_kwh * GRID.axis.dt_h)
        assert message.body.fee_chf == 0


@each_splitting
def test_plain_questions_are_tariff_plus_row_prices(splitting: SplittingName) -> None:
    """In every round that has a bound: no curvature, no fee; they differ from the tariff where limits bind."""
    _, record = overhear(GRID, settings(splitting=splitting))
    plain = [m.body for m in record if m.receiver == "P0" and m.question % 2]
    assert plain
    tariff = GRID.tariff.buy_chf_per_kwh * GRID.axis.dt_h
    for signal in plain:
        assert not signal.h.any()
        assert signal.fee_chf == 0
        assert np.abs(signal.g[:, 0] - tariff).max() <= 5 * PRICE_CAP
    assert np.abs(plain[-1].g[:, 0] - tariff).max() > 1e-3


def test_questions_are_numbered_by_round() -> None:
    outcome, record = overhear(GRID, settings())
    asked = [m.question for m in record if m.receiver == "P0"]
    assert asked == sorted(set(asked))
    assert asked[0] == 0
    assert max(asked) // 2 == len(outcome.iterations)


def test_answers_may_come_one_by_one_in_any_order() -> None:
    expected, _ = overhear(GRID, settings())
    node, prosumers = operator(), {p.name: p for p in prosumer_nodes(GRID)}
    questions = list(node.start())
    while questions:
        answers = [
            answer for question in reversed(questions) for answer in prosumers[question.receiver].react([question])
        ]
        replies = [node.react([answer]) for answer in answers]
        assert not any(replies[:-1])
        questions = list(replies[-1])
    assert node.outcome is not None
    assert node.outcome.gap_rel == expected.gap_rel
    for name, agreement in expected.best.agreements.items():
        np.testing.assert_array_equal(agreement.profile.x, node.outcome.best.agreements[name].profile.x)


def test_late_foreign_repeated_and_silly_answers_are_ignored() -> None:
    expected, _ = overhear(GRID, settings())
    wrong = DemandProfile(np.full((STEPS, 2), 1e3), -1e6)
    node, prosumers = operator(), {p.name: p for p in prosumer_nodes(GRID)}
    questions = list(node.start())
    while questions:
        number = questions[0].question
        nonsense = [
            Message("P0", "operator", number - 2, wrong),
            Message("P0", "operator", number + 50, wrong),
            Message("stranger", "operator", number, wrong),
            Message("P0", "operator", number, questions[0].body),
        ]
        assert not node.react(nonsense)
        first, *others = (answer for question in questions for answer in prosumers[question.receiver].react([question]))
        assert not node.react([first, replace(first, body=wrong)])
        questions = list(node.react(others))
    assert node.outcome is not None
    assert node.outcome.gap_rel == expected.gap_rel
    outcome = node.outcome
    assert not node.react([Message("P0", "operator", 0, wrong), replace(first, body=wrong)])
    assert node.outcome is outcome


def test_every_iteration_is_observed() -> None:
    seen: list[Iteration] = []
    day = coordinate(GRID, settings(), VirtualClock(), carry=observed(rounds.run, seen.append))
    assert tuple(seen) == day.outcome.iterations
    assert [iteration.iteration for iteration in seen] == list(range(1, len(seen) + 1))
    last = seen[-1]
    assert (last.bound_chf, last.gap_rel) == (day.outcome.lower_bound_chf, day.outcome.gap_rel)
    assert last.cost_chf == day.outcome.best.cost_chf


def check_it_is_the_best(outcome: StarOutcome, tolerance_pu: float) -> None:
    """One of the iterates; the cheapest of those within the tolerance, if there are any."""
    within = [i.cost_chf for i in outcome.iterations if i.violation_pu <= tolerance_pu]
    best = (outcome.best.cost_chf, outcome.best.avoidable_pu)
    assert best in [(i.cost_chf, i.violation_pu) for i in outcome.iterations]
    if within:
        assert best[0] == min(within)
        assert best[1] <= tolerance_pu


@each_splitting
@pytest.mark.parametrize("cap", [1, 2, 5, 10, 25, 60])
def test_iteration_cap(splitting: SplittingName, cap: int) -> None:
    """An unreachable tolerance: the best iterate comes back, and says so."""
    day = agreed(splitting=splitting, max_iterations=cap, gap_tol=1e-12)
    assert day.outcome.status is CoordinationStatus.ITERATIONS
    assert len(day.outcome.iterations) == cap
    check_it_is_the_best(day.outcome, settings().violation_tol_pu)
    assert violation_pu(GRID, profiles(day)) == pytest.approx(day.outcome.best.violation.worst_pu, abs=1e-8)


@each_splitting
def test_a_longer_search_finds_nothing_worse(splitting: SplittingName) -> None:
    bests = [agreed(splitting=splitting, max_iterations=cap, gap_tol=1e-12).outcome.best for cap in (3, 6, 12, 24, 48)]
    ranks = [(best.violation.worst_pu > settings().violation_tol_pu, best.merit_chf) for best in bests]
    assert ranks == sorted(ranks, reverse=True)
    assert not ranks[-1][0]


@pytest.mark.parametrize(("budget_s", "rounds_"), [(1e-9, 1), (0.5, 1), (7.5, 4)])
def test_budget(budget_s: float, rounds_: int) -> None:
    """Every look at the clock takes a second: one at the begin, two per round. There is always a first round."""
    day = coordinate(GRID, settings(budget_s=budget_s), VirtualClock(step_s=1.0))
    assert day.outcome.status is CoordinationStatus.BUDGET
    assert len(day.outcome.iterations) == rounds_
    check_it_is_the_best(day.outcome, settings().violation_tol_pu)
    assert np.diff([iteration.wall_ms for iteration in day.outcome.iterations]).min(initial=1) > 0


@pytest.mark.parametrize("splitting", SplittingName)
def test_stop_by_residuals(splitting: SplittingName) -> None:
    """The paper's rule is stricter than the certificate: the gap is far below its tolerance."""
    grid = scenario(step_min=60, seed=1, sizes=Sizes(total_pv_kw=30.0))
    day = agreed(grid=grid, splitting=splitting, stop="residual")
    certificate = certify(grid, day)
    assert day.outcome.status is CoordinationStatus.CONVERGED
    residuals = day.outcome.splitting.residuals
    floor = 1e-4 * np.sqrt(residuals.size)
    assert (residuals.primal <= floor + 1e-4 * residuals.primal_scale).all()
    assert (residuals.dual <= floor + 1e-4 * residuals.dual_scale).all()
    assert certificate.violation_pu <= settings().violation_tol_pu + 1e-7
    assert abs(certificate.gap_rel) < 1e-4
    assert len(day.outcome.iterations) > len(agreed(grid=grid, splitting=splitting).outcome.iterations)


@each_splitting
def test_warm_start_from_its_own_end(splitting: SplittingName) -> None:
    cold = agreed(splitting=splitting)
    warm = agreed(cold.outcome.warm_start, splitting=splitting)
    assert warm.outcome.status is CoordinationStatus.CONVERGED
    assert len(warm.outcome.iterations) <= 3 < len(cold.outcome.iterations)
    assert abs(certify(GRID, warm).gap_rel) <= settings().gap_tol + 1e-5


def test_a_warm_start_of_another_shape_is_as_good_as_none() -> None:
    class Foreign:
        def shifted(self, steps: int, grid: GridModel) -> "Foreign":
            return self

    assert agreed(Foreign()).outcome.iterations == agreed().outcome.iterations


@each_splitting
def test_warm_start_of_a_shrinking_horizon(splitting: SplittingName) -> None:
    """Three hours later, with the state of charge that the plan has then."""
    cold = agreed(splitting=splitting)
    rest = shrunk(cold, 3)
    ahead = GridModel(rest.problem, violation_price_chf_per_kwh(settings(), rest.tariff))
    warm = agreed(cold.outcome.warm_start.shifted(3, ahead), grid=rest, splitting=splitting)
    fresh = agreed(grid=rest, splitting=splitting)
    assert warm.outcome.status is CoordinationStatus.CONVERGED
    assert len(warm.outcome.iterations) < len(fresh.outcome.iterations)
    certificate = certify(rest, warm)
    assert abs(certificate.gap_rel) <= settings().gap_tol + 1e-5
    assert certificate.violation_pu <= settings().violation_tol_pu + 1e-7


def shrunk(day: CoordinatedDay, k: int) -> Scenario:
    """What is left of a day after k steps that went as planned."""
    grid, axis = GRID, GRID.axis
    sites = []
    for site in grid.sites:
        soc, battery = day.plan.prosumers[site.name].soc, site.battery
        assert soc is not None
        assert battery is not None
        battery = replace(battery, soc_initial=float(np.clip(soc[k - 1], battery.soc_min, battery.soc_max)))
        seen = site.outlook
        outlook = Outlook(seen.load_kw[k:], seen.load_kvar[k:], seen.pv_available_kw[k:])
        sites.append(site_with(site.name, site.node, outlook, battery, peak_kw=8.0))
    return replace(
        grid,
        axis=TimeAxis(axis.times[k], axis.step_min, axis.n_steps - k, axis.timezone),
        slack_voltage_pu=grid.slack_voltage_pu[k:],
        tariff=grid.tariff.after(k),
        sites=tuple(sites),
    )


def test_a_fixed_penalty_stays() -> None:
    day = agreed(rho=0.05, adaptive=False, max_iterations=10, gap_tol=1e-12)
    assert {iteration.rho for iteration in day.outcome.iterations} == {0.05}
    adaptive = agreed(rho=5.0, max_iterations=30, gap_tol=1e-12)
    assert adaptive.outcome.iterations[-1].rho < 0.5


@each_splitting
@pytest.mark.parametrize("rho_factor", [0.05, 20.0])
def test_adaptation_finds_the_penalty_from_afar(splitting: SplittingName, rho_factor: float) -> None:
    natural = agreed(splitting=splitting, max_iterations=1).outcome.iterations[0].rho
    day = agreed(splitting=splitting, rho=rho_factor * natural)
    assert day.outcome.status is CoordinationStatus.CONVERGED
    assert abs(certify(GRID, day).gap_rel) <= settings().gap_tol + 1e-5


def test_rounds_run_ends_with_an_outcome_for_names_of_any_kind() -> None:
    """Names are addresses, nothing more; the order of the nodes does not matter."""
    renamed = tuple(
        replace(site, name=name) for site, name in zip(GRID.sites, ["ä b", "0", "P1 ", "Operator", "n/a"], strict=True)
    )
    grid = replace(GRID, sites=renamed)
    node = GridOperator(GridModel(grid.problem, PRICE_CAP), settings(), VirtualClock())
    rounds.run([*reversed(prosumer_nodes(grid)), node])
    assert node.outcome is not None
    assert list(node.outcome.best.agreements) == [site.name for site in renamed]
