"""Coordination of a scenario, its problem and its own prosumers together; every plan is checked to be sound."""

from typing import Any

from core.config_coordination import CoordinationConfig
from core.scenario import Scenario
from core.time import Clock
from mpc import day_ahead
from mpc.day_ahead import CoordinatedDay, DayAhead
from mpc.prosumer import participants
from mpc.solvers.quadratic import PIQP
from tests.support.sound_plans import check_all_sound


def coordinate(
    scenario: Scenario, settings: CoordinationConfig, clock: Clock, solver: str = PIQP, **options: Any
) -> CoordinatedDay:
    """``options`` are those of :func:`mpc.day_ahead.coordinate`."""
    day = day_ahead.coordinate(scenario.problem, participants(scenario, solver), settings, clock, **options)
    check_all_sound(scenario, day.plan.prosumers)
    return day


def uncoordinated(scenario: Scenario, settings: CoordinationConfig, solver: str = PIQP) -> DayAhead:
    """The baseline of the scenario."""
    day = day_ahead.uncoordinated(scenario.problem, participants(scenario, solver), settings)
    check_all_sound(scenario, day.plan.prosumers)
    return day
