"""A dispatch within one process: at once, or over messages that a carrier moves. The iteration is the same."""

from collections.abc import Callable, Sequence

import numpy as np

from core.arrays import FloatArray
from mpc.coordination import rounds
from mpc.coordination.dispatch.coordinator import DispatchIteration, DispatchSettings
from mpc.coordination.dispatch.coordinator_node import DispatchCoordinator, Known
from mpc.coordination.dispatch.fleet import Fleet, FleetResponder
from mpc.coordination.dispatch.outcome import DispatchOutcome, SilentResource
from mpc.coordination.dispatch.resource_node import DispatchResourceNode
from mpc.coordination.dispatch.target import SectorTarget
from mpc.coordination.nodes import Deadline, Message
from mpc.coordination.rounds import CARRIER, Carrier
from mpc.coordination.solving import SolveRound

Expired = Callable[[Sequence[SolveRound]], bool]
"""Asked with all rounds so far whether to end with what there is."""
Carry = Callable[[DispatchCoordinator], Carrier]
"""The carrier for the nodes of this coordinator."""


def dispatch(
    fleet: Fleet,
    target: SectorTarget,
    settings: DispatchSettings | None = None,
    expired: Expired = lambda _: False,
) -> DispatchOutcome:
    """Dispatch the resources of a fleet to a target, without messages.

    Args:
        fleet: N resources over M sectors.
        target: over the same sectors.

    Raises:
        SolverError: the solver of a mixture failed.
    """
    iteration = DispatchIteration(target, settings or DispatchSettings())
    responder = FleetResponder(fleet)
    iteration.update(responder.answer(iteration.signal()))
    while not iteration.done and not expired(iteration.rounds):
        iteration.update(responder.answer(iteration.signal()))
    responder.adopt(iteration.adopt)
    return _outcome(fleet, target, iteration, responder.inputs_kw, ())


def coordinate_dispatch(
    fleet: Fleet, target: SectorTarget, settings: DispatchSettings, carry: Carry = lambda _: rounds.run
) -> DispatchOutcome:
    """Dispatch resources over messages, each by a node of its own.

    When the carrier stops, the coordinator concludes with what it has: resources that have not answered are held.

    Args:
        fleet: as for :func:`dispatch`.
        target: over the same sectors.
        carry: moves the messages.

    Raises:
        SolverError: the solver of a mixture failed.
    """
    fallbacks = {name: _fallback(each) for name, each in zip(fleet.names, fleet.each(), strict=True)}
    coordinator = DispatchCoordinator(target, settings, fallbacks)
    nodes = [DispatchResourceNode(name, each) for name, each in zip(fleet.names, fleet.each(), strict=True)]
    carry(coordinator)([coordinator, *nodes])
    coordinator.react([Message(CARRIER, coordinator.name, 0, Deadline())])
    outputs_kw = np.array([coordinator.outputs_kw[name] for name in fleet.names])
    return _outcome(fleet, target, coordinator.iteration, _inputs_kw(fleet, outputs_kw), coordinator.silent)


def coordinate_fleet(
    fleet: Fleet, target: SectorTarget, settings: DispatchSettings, carry: Carry = lambda _: rounds.run
) -> DispatchOutcome:
    """As :func:`coordinate_dispatch`, with one node that answers for all resources."""
    node = DispatchResourceNode("fleet", fleet)
    coordinator = DispatchCoordinator(target, settings, {node.name: _fallback(fleet)})
    carry(coordinator)([coordinator, node])
    coordinator.react([Message(CARRIER, coordinator.name, 0, Deadline())])
    if not coordinator.silent:
        last = coordinator.iteration.signal()
        node.react([Message(coordinator.name, node.name, last.round, last)])  # unless it has had it already
    return _outcome(fleet, target, coordinator.iteration, node.responder.inputs_kw, coordinator.silent)


def _fallback(fleet: Fleet) -> Known:
    """The outputs and own cost of the declared fallbacks."""
    return Known(fleet.fallback_kw @ fleet.efficiency, float(fleet.fallback_kw @ fleet.input_cost))


def _inputs_kw(fleet: Fleet, outputs_kw: FloatArray) -> FloatArray:
    """The inputs behind outputs on the rays of their resources, [N]; 0 for those without output."""
    square = np.sum(fleet.efficiency**2, axis=1)
    inputs_kw = np.sum(fleet.efficiency * outputs_kw, axis=1) / np.where(square > 0, square, 1.0)
    return np.asarray(np.clip(inputs_kw, 0.0, fleet.capacity_kw))


def _outcome(
    fleet: Fleet,
    target: SectorTarget,
    iteration: DispatchIteration,
    inputs_kw: FloatArray,
    silent: tuple[SilentResource, ...],
) -> DispatchOutcome:
    outputs_kw = fleet.efficiency * inputs_kw[:, None]
    aggregate_kw, gap_rel = outputs_kw.sum(axis=0), iteration.gap_rel
    assert gap_rel is not None, "at least one round has been evaluated"
    return DispatchOutcome(
        converged=iteration.converged,
        inputs_kw=inputs_kw,
        outputs_kw=outputs_kw,
        aggregate_kw=aggregate_kw,
        deviation_kw=aggregate_kw - target.kw,
        price=iteration.price,
        objective=target.distance(aggregate_kw) + float(fleet.input_cost @ inputs_kw),
        bound=iteration.bound,
        gap_rel=gap_rel,
        rounds=tuple(iteration.rounds),
        silent=silent,
    )
