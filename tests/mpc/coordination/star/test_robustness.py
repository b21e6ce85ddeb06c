"""Other grids, other prosumers, other days: every end is certified by other means, and none is an exception."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from core.algorithms import SplittingName
from core.config_coordination import CoordinationConfig
from core.network import Line, Network
from core.prices import Tariff
from core.resources import Battery, Capability
from core.scenario import Scenario
from mpc.coordination.outcome import CoordinationStatus
from tests.support.certificate import certify, profiles, violation_pu
from tests.support.coordination import coordinate
from tests.support.independent_flow import reference_flow
from tests.support.synthetic import Sizes, scenario, turned_lines, with_load_factor, with_slack_voltage
from tests.support.virtual_clock import VirtualClock

SETTINGS = CoordinationConfig()
MARCH, OCTOBER = date(2018, 3, 25), date(2018, 10, 28)
LOSSY = Battery(5.0, 10.0, efficiency=0.9, soc_final_min=0.5, capability=Capability.DISC)


def with_lines_changed(grid: Scenario) -> Scenario:
    """Charging lines, given in any direction."""
    lines = tuple(replace(line, b_us=2000.0) for line in grid.network.lines)
    return replace(grid, network=turned_lines(replace(grid.network, lines=lines)))


def with_feed_in(grid: Scenario, share: float) -> Scenario:
    buy = grid.tariff.buy_chf_per_kwh
    return replace(grid, tariff=Tariff(buy, share * buy))


FEASIBLE = {
    "15 nodes, 1 prosumer": scenario(n_prosumers=1),
    "15 nodes, 5 prosumers": scenario(),
    "quarter hours": scenario(seed=1, step_min=15),
    "hours": scenario(seed=2, step_min=60),
    "40 nodes, 10 prosumers": scenario(n_nodes=40, n_prosumers=10, seed=1),
    "100 nodes, 20 prosumers": scenario(n_nodes=100, n_prosumers=20, step_min=60),
    "200 nodes, 50 prosumers": scenario(n_nodes=200, n_prosumers=50, step_min=120),
    "30 prosumers on 14 nodes": scenario(n_prosumers=30, step_min=60),
    "2 prosumers on 1 node": scenario(n_nodes=2, n_prosumers=2),
    "no battery": scenario(sizes=Sizes(battery=None)),
    "no PV": scenario(sizes=Sizes(total_pv_kw=0.0)),
    "neither": scenario(sizes=Sizes(battery=None, total_pv_kw=0.0)),
    "lossy batteries in the disc": scenario(step_min=60, sizes=Sizes(battery=LOSSY)),
    "feed-in at half the price": with_feed_in(scenario(step_min=60), 0.5),
    "23 hours": scenario(day=MARCH),
    "25 hours": scenario(day=OCTOBER, step_min=15, seed=3),
    "line limits": scenario(sizes=Sizes(i_max_a=30.0)),
    "tight line limits": scenario(sizes=Sizes(i_max_a=20.0)),
    "narrow band": scenario(seed=1, sizes=Sizes(band_pu=0.03)),
    "charging lines in any direction": with_lines_changed(scenario(seed=1, sizes=Sizes(i_max_a=25.0))),
    "weak supply": with_slack_voltage(scenario(step_min=60), 0.96),
}
INFEASIBLE = {
    "supply too low": with_slack_voltage(scenario(step_min=60), 0.9),
    "supply too high": with_slack_voltage(scenario(step_min=60), 1.08),
    "tenfold load": with_load_factor(scenario(step_min=60), 10.0),
    "tenfold load, nothing to offer": with_load_factor(scenario(sizes=Sizes(battery=None, total_pv_kw=0.0)), 10.0),
    "lines of five ampere": scenario(step_min=60, sizes=Sizes(i_max_a=5.0, battery=None, total_pv_kw=0.0)),
}


@pytest.mark.parametrize("grid", FEASIBLE.values(), ids=FEASIBLE)
def test_limits_that_can_be_held(grid: Scenario) -> None:
    day = coordinate(grid, SETTINGS, VirtualClock())
    certificate = certify(grid, day)
    assert day.outcome.status is CoordinationStatus.CONVERGED
    assert abs(certificate.gap_rel) <= SETTINGS.gap_tol + 1e-5
    assert certificate.violation_pu <= SETTINGS.violation_tol_pu + 1e-7
    assert certificate.cost_chf == pytest.approx(day.outcome.best.cost_chf, abs=1e-5)
    assert min(bill.compensation_chf for bill in day.bills.values()) > -1e-6


def test_the_cases_are_not_idle() -> None:
    """Most of them break their limits when nobody coordinates."""
    broken = [name for name, grid in FEASIBLE.items() if uncoordinated_violation(grid) > 0.005]
    assert len(broken) > 0.7 * len(FEASIBLE)


def uncoordinated_violation(grid: Scenario) -> float:
    day = coordinate(grid, CoordinationConfig(max_iterations=1), VirtualClock())
    x = np.stack([answer.x for answer in day.outcome.uncoordinated.values()])
    return violation_pu(grid, x)


@pytest.mark.parametrize("splitting", SplittingName)
@pytest.mark.parametrize("grid", INFEASIBLE.values(), ids=INFEASIBLE)
def test_limits_that_nobody_can_hold(grid: Scenario, splitting: SplittingName) -> None:
    """The best compromise at a certified gap, with what it leaves priced and reported."""
    settings = CoordinationConfig.model_validate({"splitting": splitting})
    day = coordinate(grid, settings, VirtualClock())
    certificate, best = certify(grid, day), day.outcome.best
    assert day.outcome.status is CoordinationStatus.INFEASIBLE
    assert abs(certificate.gap_rel) <= SETTINGS.gap_tol + 1e-5
    assert best.unheld_chf > 1.0
    assert certificate.priced_chf == pytest.approx(best.unheld_chf, rel=0.02)
    assert certificate.violation_pu == pytest.approx(day.violation.worst_pu, abs=1e-7)
    assert certificate.violation_pu > 0.005
    assert certificate.violation_pu <= best.unheld_pu + SETTINGS.violation_tol_pu + 1e-7


@pytest.mark.parametrize(
    ("splitting", "missing_pu"),
    [("profile", 3e-4), ("profile", 1e-3), ("profile", 1e-2), ("constraint", 1e-3), ("constraint", 1e-2)],
)
def test_limits_just_out_of_reach(splitting: SplittingName, missing_pu: float) -> None:
    """Constant loads that leave the band by a little, and nobody who could do anything about it."""
    grid = scenario(n_prosumers=2, step_min=120, sizes=Sizes(battery=None, total_pv_kw=0.0))
    x = np.stack([np.column_stack([site.outlook.load_kw, site.outlook.load_kvar]) for site in grid.sites])
    lowest = float(np.abs(reference_flow(grid, x).v).min())
    grid = replace(grid, limits=replace(grid.limits, v_min_pu=lowest + missing_pu))
    settings = CoordinationConfig.model_validate({"splitting": splitting})
    day = coordinate(grid, settings, VirtualClock())
    assert day.outcome.status is CoordinationStatus.INFEASIBLE
    assert day.outcome.best.unheld_pu == pytest.approx(missing_pu, rel=0.1)
    assert abs(certify(grid, day).gap_rel) <= SETTINGS.gap_tol


def test_what_nobody_influences_is_reported_without_a_price() -> None:
    """A charging line without prosumers lifts its end above the band: no price can do anything about it."""
    lines = (Line("S", "A", 0.3, 0.1), Line("S", "B", 0.05, 2.0, b_us=60000.0))
    base = scenario(n_prosumers=2, step_min=60, sizes=Sizes(total_pv_kw=4.0, battery=None))
    sites = tuple(replace(site, node="A") for site in base.sites)
    grid = replace(base, network=Network("S", 400.0, lines), sites=sites)
    day = coordinate(grid, SETTINGS, VirtualClock())
    certificate = certify(grid, day)
    assert day.outcome.status is CoordinationStatus.INFEASIBLE
    assert day.outcome.best.unheld_chf == pytest.approx(0.0, abs=1e-6)
    assert certificate.violation_pu == pytest.approx(day.outcome.best.unheld_pu, abs=1e-6)
    assert certificate.violation_pu > 0.005
    assert abs(certificate.gap_rel) <= SETTINGS.gap_tol


@pytest.mark.parametrize("splitting", SplittingName)
def test_loads_beyond_collapse(splitting: SplittingName) -> None:
    """No power flow exists for this load: still an answer, with the collapse in it."""
    grid = with_load_factor(scenario(step_min=60), 100.0)
    settings = CoordinationConfig.model_validate({"splitting": splitting, "max_iterations": 20})
    day = coordinate(grid, settings, VirtualClock())
    assert day.outcome.status is CoordinationStatus.INFEASIBLE
    assert not day.flow.solved.all()
    assert day.violation.v_pu >= grid.limits.v_min_pu - 1e-9
    assert np.isfinite(profiles(day)).all()


@pytest.mark.parametrize("tariff", [-0.1, 0.0], ids=["negative", "free"])
def test_unusual_tariffs(tariff: float) -> None:
    """Consumption that is paid for, or costs nothing."""
    grid = scenario(step_min=60)
    price = np.full(grid.axis.n_steps, tariff)
    day = coordinate(replace(grid, tariff=Tariff(price, price)), SETTINGS, VirtualClock())
    assert violation_pu(grid, profiles(day)) <= SETTINGS.violation_tol_pu + 1e-7
    assert day.outcome.status is CoordinationStatus.CONVERGED


@pytest.mark.parametrize("name", ["hours", "no battery", "line limits", "2 prosumers on 1 node"])
def test_constraint_splitting(name: str) -> None:
    settings = CoordinationConfig(splitting="constraint", gap_tol=1e-2, violation_tol_pu=1e-3)
    day = coordinate(FEASIBLE[name], settings, VirtualClock())
    certificate = certify(FEASIBLE[name], day)
    assert day.outcome.status is CoordinationStatus.CONVERGED
    assert abs(certificate.gap_rel) <= 1e-2
    assert certificate.violation_pu <= 1e-3 + 1e-7
