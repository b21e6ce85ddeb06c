"""PV is not thrown away where that costs nothing: against the least curtailment of an equally cheap plan, in cvxpy."""

from typing import Any

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp

from core.config_coordination import CoordinationConfig
from core.load import config_of, load_scenario, load_yaml
from core.resources import Pv
from core.scenario import Scenario
from mpc.coordination.outcome import CoordinationStatus
from mpc.day_ahead import CoordinatedDay
from mpc.grid.rows import Rows
from mpc.reference_sites import CentralSites
from mpc.solvers.convex import solve
from tests.support.coordination import coordinate
from tests.support.paths import ROOT
from tests.support.virtual_clock import VirtualClock

VILLAGE = ROOT / "configs" / "village12.yaml"
SAME_COST_CHF = 1e-6


def village(feed_in: float) -> Scenario:
    document = load_yaml(VILLAGE)
    assert isinstance(document, dict)
    document["tariff"]["feed_in"] = {"constant": feed_in}
    return load_scenario(config_of(document, VILLAGE), VILLAGE)


class WatchedSites(CentralSites):
    """The prosumers' part of the reference, which remembers how much each plant curtails."""

    def __init__(self, day: Scenario) -> None:
        self.curtailed: list[cp.Expression] = []
        super().__init__(day.axis, day.tariff, day.sites)

    def _pv(self, pv: Pv) -> tuple[cp.Expression, cp.Expression]:
        g, gamma = super()._pv(pv)
        self.curtailed.append(cp.sum(pv.available_kw - g))
        return g, gamma


def least_curtailment_kwh(day: Scenario, rows: Rows) -> float:
    """Of all plans that cost no more than the optimum under ``rows``."""
    sites = WatchedSites(day)
    x_by_step = cp.vstack([part for profile in sites.profiles for part in profile]).T
    ax = sp.block_diag(list(rows.a), format="csr") @ cp.vec(x_by_step, order="C")
    within = [*sites.constraints, ax <= rows.upper.ravel(), ax >= rows.lower.ravel()]
    cheapest = cp.Problem(cp.Minimize(sites.cost_chf), within)
    solve(cheapest, "clarabel")
    curtailed = cp.sum(cp.hstack(sites.curtailed)) * day.axis.dt_h
    limit = float(cheapest.value) + SAME_COST_CHF
    least = cp.Problem(cp.Minimize(curtailed), [*within, sites.cost_chf <= limit])
    solve(least, "clarabel")
    return float(least.value)


def curtailed_kwh(day: CoordinatedDay) -> float:
    plans = day.plan.prosumers.values()
    return float(sum(np.sum(plan.pv_available_kw - plan.pv_kw) for plan in plans)) * day.problem.axis.dt_h


def coordinated(feed_in: float, **given: Any) -> tuple[Scenario, CoordinatedDay]:
    day = village(feed_in)
    return day, coordinate(day, CoordinationConfig.model_validate(given), VirtualClock())


@pytest.mark.parametrize("feed_in", [0.0, 0.001])
def test_reactive_power_holds_the_voltage_before_pv_is_thrown_away(feed_in: float) -> None:
    day, together = coordinated(feed_in)
    outcome = together.outcome
    assert outcome.status is CoordinationStatus.CONVERGED
    assert outcome.gap_rel is not None
    assert abs(outcome.gap_rel) <= 1e-3
    assert outcome.best.avoidable_pu <= 2e-4
    assert len(outcome.iterations) < 25
    assert curtailed_kwh(together) <= least_curtailment_kwh(day, outcome.best.rows) + 0.05


def test_a_cap_amid_the_further_rounds_returns_one_that_met_the_certificate() -> None:
    _, all_of_them = coordinated(0.0)
    _, together = coordinated(0.0, max_iterations=6)
    assert together.outcome.status is CoordinationStatus.CONVERGED
    assert len(together.outcome.iterations) == 6 < len(all_of_them.outcome.iterations)
    assert together.outcome.best.avoidable_pu <= 2e-4


def test_feed_in_that_costs_is_curtailed_and_one_that_pays_needs_no_further_round() -> None:
    _, negative = coordinated(-0.01)
    assert curtailed_kwh(negative) > 200
    assert len(negative.outcome.iterations) == 1
    _, paid = coordinated(0.08)
    assert curtailed_kwh(paid) < 0.1
    assert paid.outcome.best.cost_chf == paid.outcome.iterations[-1].cost_chf
    assert [abs(each.gap_rel or 1.0) <= 1e-3 and each.violation_pu <= 2e-4 for each in paid.outcome.iterations] == (
        (len(paid.outcome.iterations) - 1) * [False] + [True]
    )
