"""Results of the default scenario that several files judge; each is computed once."""

from typing import Any

import pytest

from core.config_coordination import CoordinationConfig
from core.scenario import Scenario
from mpc.day_ahead import CoordinatedDay
from mpc.grid.rows import GridModel
from mpc.price import violation_price_chf_per_kwh
from mpc.reference import AcOptimum, CentralisedProblem
from tests.support.coordination import coordinate
from tests.support.synthetic import with_losses
from tests.support.virtual_clock import VirtualClock


def agreed(scenario: Scenario, **settings: Any) -> CoordinatedDay:
    return coordinate(scenario, CoordinationConfig(**settings), VirtualClock())


@pytest.fixture(scope="session")
def profile_day(gridlab9: Scenario) -> CoordinatedDay:
    """Profile splitting at the default settings."""
    return agreed(gridlab9)


@pytest.fixture(scope="session")
def constraint_day(gridlab9: Scenario) -> CoordinatedDay:
    """The paper's splitting, to the accuracy that is asked of it."""
    return agreed(gridlab9, splitting="constraint", gap_tol=1e-2, violation_tol_pu=1e-3)


@pytest.fixture(scope="session")
def paper_day(gridlab9: Scenario) -> CoordinatedDay:
    """The paper's splitting on the paper's case, without losses."""
    return agreed(with_losses(gridlab9, 0.0), splitting="constraint", gap_tol=1e-2, violation_tol_pu=1e-3)


@pytest.fixture(scope="session")
def gridlab9_grid(gridlab9: Scenario) -> GridModel:
    return GridModel(gridlab9.problem, violation_price_chf_per_kwh(CoordinationConfig(), gridlab9.tariff))


@pytest.fixture(scope="session")
def centralised(gridlab9: Scenario) -> CentralisedProblem:
    return CentralisedProblem(gridlab9)


@pytest.fixture(scope="session")
def ac_optimum(centralised: CentralisedProblem, gridlab9_grid: GridModel) -> AcOptimum:
    return centralised.ac_optimum(gridlab9_grid)
