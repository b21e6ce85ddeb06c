"""A day from end to end: with and without coordination, with other solvers, and where a solver refuses."""

from dataclasses import replace

import numpy as np
import pytest

from core.config_coordination import CoordinationConfig
from core.errors import SolverError, SolverLicenceError
from core.resources import Battery
from core.scenario import Scenario
from mpc.coordination.outcome import CoordinationStatus
from mpc.day_ahead import CoordinatedDay
from mpc.reference import CentralisedProblem
from tests.support.certificate import certify, retail_cost_chf, violation_pu
from tests.support.coordination import coordinate, uncoordinated
from tests.support.synthetic import scenario
from tests.support.virtual_clock import VirtualClock

SETTINGS = CoordinationConfig()
SMALL = scenario(step_min=120, n_prosumers=2)


def test_uncoordinated_day(gridlab9: Scenario, profile_day: CoordinatedDay, centralised: CentralisedProblem) -> None:
    day = uncoordinated(gridlab9, SETTINGS)
    x = np.stack([agreement.profile.x for agreement in day.plan.agreements.values()])
    assert list(day.plan.agreements) == list(day.plan.prosumers) == list(day.bills) == ["N3", "N4", "N5", "N7", "N9"]
    own_chf = sum(bill.coordinated_own_chf for bill in day.bills.values())
    assert retail_cost_chf(gridlab9, x) + own_chf == pytest.approx(centralised.uncoordinated().cost_chf, abs=1e-5)
    assert day.violation.worst_pu == pytest.approx(violation_pu(gridlab9, x), abs=1e-8)
    assert day.violation.v_pu == pytest.approx(0.023, abs=1e-3)
    for name, bill in day.bills.items():
        assert bill.compensation_chf == 0
        assert bill.coordinated_chf == bill.uncoordinated_chf
        assert bill.uncoordinated_chf == pytest.approx(profile_day.bills[name].uncoordinated_chf, abs=1e-6)


def test_coordination_is_repeatable(gridlab9: Scenario, profile_day: CoordinatedDay) -> None:
    """Bit for bit."""
    again = coordinate(gridlab9, SETTINGS, VirtualClock())
    assert again.outcome.iterations == profile_day.outcome.iterations
    for name, agreement in again.plan.agreements.items():
        np.testing.assert_array_equal(agreement.profile.x, profile_day.plan.agreements[name].profile.x)


@pytest.mark.parametrize("solver", ["clarabel", "gurobi"])
def test_other_solvers_for_the_prosumers(solver: str) -> None:
    day = coordinate(SMALL, SETTINGS, VirtualClock(), solver=solver)
    certificate = certify(SMALL, day)
    assert day.outcome.status is CoordinationStatus.CONVERGED
    assert abs(certificate.gap_rel) <= SETTINGS.gap_tol + 1e-5
    assert certificate.violation_pu <= SETTINGS.violation_tol_pu + 1e-7


def test_a_licence_that_is_too_small_ends_the_day(gridlab9: Scenario) -> None:
    with pytest.raises(SolverLicenceError, match="576 variables, licence allows 200"):
        coordinate(gridlab9, SETTINGS, VirtualClock(), solver="gurobi")


def test_an_impossible_battery_ends_the_day() -> None:
    """It cannot be full by midnight."""
    site = SMALL.sites[0]
    battery = Battery(0.1, 10.0, soc_initial=0.1, soc_final_min=0.9)
    broken = site.with_battery(battery)
    with pytest.raises(SolverError, match="piqp ended with"):
        coordinate(replace(SMALL, sites=(broken,)), SETTINGS, VirtualClock())
