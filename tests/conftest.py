"""The default scenario, as every part of the suite needs it."""

import os
from collections.abc import Iterator

import pytest

from core.config import Config
from core.load import load_config, load_scenario
from core.scenario import Scenario
from tests.support.asynchronous import synchronous
from tests.support.paths import CONFIG
from tests.support.watched_prosumers import watched


@pytest.fixture(scope="session")
def faults_of_plans() -> Iterator[list[str]]:
    """What :func:`tests.support.watched_prosumers.watched` has found since the session began."""
    with watched() as faults:
        yield faults


@pytest.fixture(autouse=True)
def _every_plan_is_sound(faults_of_plans: list[str]) -> Iterator[None]:
    faults_of_plans.clear()
    yield
    assert not faults_of_plans, faults_of_plans[0]


@pytest.fixture(scope="session")
def gridlab9_config() -> Config:
    return load_config(CONFIG)


@pytest.fixture(scope="session")
def gridlab9(gridlab9_config: Config) -> Scenario:
    """The default scenario: five prosumers, 144 steps of ten minutes, from forecasts."""
    return load_scenario(gridlab9_config, CONFIG)


@pytest.fixture(scope="session")
def gridlab9_half_hours(gridlab9_config: Config) -> Scenario:
    """The default scenario in 48 steps, small enough for the licence that comes with gurobipy."""
    horizon = gridlab9_config.horizon.model_copy(update={"step_min": 30})
    return load_scenario(gridlab9_config.model_copy(update={"horizon": horizon}), CONFIG)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for a process, or for real time to pass."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> None:
    """An ``async def test_…`` is a test."""
    pyfuncitem.obj = synchronous(pyfuncitem.obj)
