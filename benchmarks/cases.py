"""The scenarios that benchmarks and figures share, and how they are coordinated."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from controller.process.clocks import WallClock
from core.config_coordination import CoordinationConfig
from core.load import load_config, load_scenario
from core.scenario import Scenario
from mpc.day_ahead import CoordinatedDay
from mpc.grid.rows import GridModel
from mpc.price import violation_price_chf_per_kwh
from tests.support import coordination

ROOT = Path(__file__).parents[1]
PATIENT = {"max_iterations": 1500, "budget_s": 600.0}


@cache
def scenario(name: str = "gridlab9") -> Scenario:
    """A scenario of ``configs``, with forecasts as its series."""
    path = ROOT / "configs" / f"{name}.yaml"
    return load_scenario(load_config(path), path)


def with_band(case: Scenario, band_pu: float) -> Scenario:
    """The scenario with voltage limits of 1 ± ``band_pu``."""
    return replace(case, limits=replace(case.limits, v_min_pu=1 - band_pu, v_max_pu=1 + band_pu))


def cases() -> dict[str, Scenario]:
    """The compared scenarios by name: the default one, the same with tighter limits, and the household grid."""
    default = scenario()
    return {
        "default, ± 5 %": default,
        "± 4 %": with_band(default, 0.04),
        "± 3 %": with_band(default, 0.03),
        "household": scenario("gridlab9-household"),
    }


def coordinate(case: Scenario, **settings: Any) -> CoordinatedDay:
    """Coordinate with default settings, patient limits on rounds and time, and ``settings`` on top."""
    return coordination.coordinate(case, CoordinationConfig(**{**PATIENT, **settings}), WallClock())


def grid_of(case: Scenario) -> GridModel:
    """The operator's model of the grid, at the default price of a violation."""
    return GridModel(case.problem, violation_price_chf_per_kwh(CoordinationConfig(), case.tariff))
