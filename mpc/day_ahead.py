"""Day-ahead planning: one coordination over the whole day, from forecasts (paper A, section 4.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.config import CoordinationConfig
from core.errors import CoordinationError
from core.plan import Agreement, Plan
from core.scenario import Scenario
from core.time import Clock
from mpc.coordination import rounds
from mpc.coordination.nodes import Deadline, Message
from mpc.coordination.outcome import Unanswered, WarmStart
from mpc.coordination.participants import ProsumerNode
from mpc.coordination.rounds import CARRIER, Carrier
from mpc.coordination.star.operator import GridOperator
from mpc.coordination.star.outcome import StarOutcome
from mpc.grid.power_flow import Flow
from mpc.grid.rows import GridModel, Violation
from mpc.price import compensation_chf, violation_price_chf_per_kwh
from mpc.prosumer import Prosumer
from mpc.solvers.quadratic import PIQP


@dataclass(frozen=True)
class Bill:
    """A prosumer's day under the retail tariff, CHF."""

    uncoordinated_chf: float
    coordinated_chf: float
    compensation_chf: float


@dataclass(frozen=True)
class DayAhead:
    """Plan, bills and grid state of a day."""

    scenario: Scenario
    plan: Plan
    bills: dict[str, Bill]
    flow: Flow
    violation: Violation


@dataclass(frozen=True)
class CoordinatedDay(DayAhead):
    """A day whose prices were agreed on, with how that went."""

    outcome: StarOutcome


def coordinate(
    scenario: Scenario,
    settings: CoordinationConfig,
    clock: Clock,
    solver: str = PIQP,
    carry: Carrier = rounds.run,
    warm_start: WarmStart | None = None,
) -> CoordinatedDay:
    """Agree on prices under which every selfish plan respects the grid.

    Args:
        carry: moves the messages. When it has stopped, time is up: the operator ends with the best that it has.
        warm_start: of an earlier coordination of the same prosumers, shifted to this horizon.

    Raises:
        CoordinationError: the carrier stopped before everybody had answered once.
        SolverError, SolverLicenceError: a prosumer's solver gave no answer.
    """
    prosumers = _prosumers(scenario, solver)
    grid = GridModel(scenario, violation_price_chf_per_kwh(settings, scenario.tariff))
    operator = GridOperator(grid, settings, clock, warm_start)
    carry([operator, *map(ProsumerNode, prosumers)])
    outcome = _concluded(operator)
    own = {name: profile.x for name, profile in outcome.uncoordinated.items()}
    day = _day(scenario, prosumers, outcome.best.agreements, own, grid)
    return CoordinatedDay(**vars(day), outcome=outcome)


def uncoordinated(scenario: Scenario, settings: CoordinationConfig, solver: str = PIQP) -> DayAhead:
    """Everybody's own optimum under the tariff alone: the baseline.

    Raises:
        SolverError, SolverLicenceError: a prosumer's solver gave no answer.
    """
    prosumers = _prosumers(scenario, solver)
    grid = GridModel(scenario, violation_price_chf_per_kwh(settings, scenario.tariff))
    signals = [prosumer.retail_signal() for prosumer in prosumers]
    agreements = {p.name: Agreement(signal, p.respond(signal)) for p, signal in zip(prosumers, signals, strict=True)}
    own = {name: agreement.profile.x for name, agreement in agreements.items()}
    return _day(scenario, prosumers, agreements, own, grid)


def _concluded(operator: GridOperator) -> StarOutcome:
    """The outcome, now that no message moves any more."""
    operator.react([Message(CARRIER, operator.name, 0, Deadline())])
    match operator.outcome:
        case StarOutcome() as outcome:
            return outcome
        case Unanswered(silent=silent):
            raise CoordinationError(f"coordination: no answer from {', '.join(silent)}")
        case None:
            raise AssertionError("a deadline ends every coordination")


def _prosumers(scenario: Scenario, solver: str) -> list[Prosumer]:
    return [Prosumer(site, scenario.tariff, scenario.axis.dt_h, solver) for site in scenario.sites]


def _day(
    scenario: Scenario,
    prosumers: list[Prosumer],
    agreements: Mapping[str, Agreement],
    own: dict[str, FloatArray],
    grid: GridModel,
) -> DayAhead:
    bills = {}
    for prosumer in prosumers:
        x, x_own = agreements[prosumer.name].profile.x, own[prosumer.name]
        compensation = compensation_chf(scenario.tariff, x, x_own, scenario.axis.dt_h)
        bills[prosumer.name] = Bill(prosumer.retail_cost_chf(x_own), prosumer.retail_cost_chf(x), compensation)
    plans = {prosumer.name: prosumer.plan(agreements[prosumer.name].signal) for prosumer in prosumers}
    flow = grid.flow(np.stack([agreement.profile.x for agreement in agreements.values()]))
    return DayAhead(scenario, Plan(scenario.axis, agreements, plans), bills, flow, grid.violation(flow))
