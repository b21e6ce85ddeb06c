"""Day-ahead planning: one coordination over the whole day, from forecasts (paper A, section 4.3).

:func:`agree` follows the problem: a star of the operator and all prosumers, or the aggregators that it names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from core.config_coordination import CoordinationConfig
from core.errors import CoordinationError
from core.plan import Agreement, Plan
from core.prices import DemandProfile, Tariff
from core.problem import Problem
from core.time import Clock
from mpc.coordination import rounds
from mpc.coordination.nodes import Deadline, Message
from mpc.coordination.outcome import Unanswered, WarmStart
from mpc.coordination.participants import Participant, ProsumerNode
from mpc.coordination.rounds import CARRIER, Carrier
from mpc.coordination.star.operator import GridOperator
from mpc.coordination.star.outcome import StarOutcome
from mpc.coordination.tree.grid.coordination import coordinate_feeders
from mpc.coordination.tree.grid.outcome import FeederOutcome
from mpc.grid.power_flow import Flow
from mpc.grid.rows import GridModel, Violation
from mpc.price import compensation_chf, own_cost_chf, violation_price_chf_per_kwh


@dataclass(frozen=True)
class Bill:
    """Cost of a prosumer's day, CHF, without and with coordination.

    Attributes:
        uncoordinated_chf, coordinated_chf: under the retail tariff.
        compensation_chf: (16), with the difference of the own costs.
        uncoordinated_own_chf, coordinated_own_chf: own costs of the resources: losses and wear, not part of the bill.
    """

    uncoordinated_chf: float
    coordinated_chf: float
    compensation_chf: float
    uncoordinated_own_chf: float
    coordinated_own_chf: float


@dataclass(frozen=True)
class DayAhead:
    """Plan, bills and grid state of a day; ``flow`` and ``violation`` are those of the plan under AC power flow."""

    problem: Problem
    plan: Plan
    bills: dict[str, Bill]
    flow: Flow
    violation: Violation


@dataclass(frozen=True)
class CoordinatedDay(DayAhead):
    """A day whose prices were agreed on, with the outcome of the coordination."""

    outcome: StarOutcome


@dataclass(frozen=True)
class FeederDay(DayAhead):
    """A day whose prices were agreed on by aggregators, with the outcome of the coordination."""

    outcome: FeederOutcome


AgreedDay = CoordinatedDay | FeederDay
"""A day with coordination, in either shape."""


def agree(
    problem: Problem,
    participants: Sequence[Participant],
    settings: CoordinationConfig,
    clock: Clock,
    carry: Carrier = rounds.run,
    warm_start: WarmStart | None = None,
) -> AgreedDay:
    """Agree on prices in the shape of the problem: by its aggregators, or by the operator alone.

    Raises:
        InputError: the settings are not those of aggregators.
        CoordinationError, SolverError, SolverLicenceError: as :func:`coordinate`.
    """
    if not problem.feeders:
        return coordinate(problem, participants, settings, clock, carry, warm_start)
    outcome = coordinate_feeders(problem, participants, settings, clock, carry, warm_start)
    grid = GridModel(problem, violation_price_chf_per_kwh(settings, problem.tariff))
    day = _day(participants, outcome.agreements, _own(problem, outcome.uncoordinated), grid)
    return FeederDay(**vars(day), outcome=outcome)


def coordinate(
    problem: Problem,
    participants: Sequence[Participant],
    settings: CoordinationConfig,
    clock: Clock,
    carry: Carrier = rounds.run,
    warm_start: WarmStart | None = None,
) -> CoordinatedDay:
    """Agree on prices under which the prosumers' own optima together respect the grid: a star, without aggregators.

    Args:
        participants: one for each name of ``problem.nodes``, in that order.
        carry: moves the messages. When it stops, the operator concludes with its best round.
        warm_start: from an earlier coordination of the same participants, shifted to this horizon.

    Raises:
        CoordinationError: the carrier stopped before every participant had answered once.
        SolverError, SolverLicenceError: a prosumer's solver failed.
    """
    grid = GridModel(problem, violation_price_chf_per_kwh(settings, problem.tariff))
    operator = GridOperator(grid, settings, clock, warm_start)
    carry([operator, *map(ProsumerNode, participants)])
    outcome = _final_outcome(operator)
    day = _day(participants, outcome.best.agreements, _own(problem, outcome.uncoordinated), grid)
    return CoordinatedDay(**vars(day), outcome=outcome)


def uncoordinated(problem: Problem, participants: Sequence[Participant], settings: CoordinationConfig) -> DayAhead:
    """The baseline: every prosumer's own optimum under the tariff alone.

    Raises:
        SolverError, SolverLicenceError: a prosumer's solver failed.
    """
    grid = GridModel(problem, violation_price_chf_per_kwh(settings, problem.tariff))
    retail = problem.tariff.signal(problem.axis.dt_h)
    agreements = {participant.name: Agreement(retail, participant.respond(retail)) for participant in participants}
    return _day(participants, agreements, agreements, grid)


def _final_outcome(operator: GridOperator) -> StarOutcome:
    """The operator's outcome after the carrier has stopped, forced by a deadline if there is none yet."""
    operator.react([Message(CARRIER, operator.name, 0, Deadline())])
    match operator.outcome:
        case StarOutcome() as outcome:
            return outcome
        case Unanswered(silent=silent):
            raise CoordinationError(f"coordination: no answer from {', '.join(silent)}")
        case None:
            raise AssertionError("a deadline ends every coordination")


def _own(problem: Problem, uncoordinated: Mapping[str, DemandProfile]) -> dict[str, Agreement]:
    """The answers to the tariff alone, as agreements."""
    retail = problem.tariff.signal(problem.axis.dt_h)
    return {name: Agreement(retail, profile) for name, profile in uncoordinated.items()}


def _day(
    participants: Sequence[Participant],
    agreements: Mapping[str, Agreement],
    own: Mapping[str, Agreement],
    grid: GridModel,
) -> DayAhead:
    problem = grid.problem
    tariff, dt_h = problem.tariff, problem.axis.dt_h
    bills = {name: bill(tariff, dt_h, agreement, own[name]) for name, agreement in agreements.items()}
    plans = {each.name: each.plan(agreements[each.name].signal) for each in participants}
    flow = grid.flow(np.stack([agreement.profile.x for agreement in agreements.values()]))
    return DayAhead(problem, Plan(problem.axis, agreements, plans), bills, flow, grid.violation(flow))


def bill(tariff: Tariff, dt_h: float, agreement: Agreement, own: Agreement) -> Bill:
    """The bill of an agreement beside that of the own optimum under the tariff."""
    retail_own_chf, retail_chf = (tariff.cost_chf(each.profile.x[:, 0], dt_h) for each in (own, agreement))
    before_chf, after_chf = (own_cost_chf(tariff, each.signal, each.profile, dt_h) for each in (own, agreement))
    compensation = compensation_chf(tariff, agreement.profile.x, own.profile.x, dt_h) + after_chf - before_chf
    return Bill(retail_own_chf, retail_chf, compensation, before_chf, after_chf)
