"""A dispatch within one process: the same iteration as over messages, with one fleet that answers at once."""

from collections.abc import Callable, Sequence

from mpc.coordination.dispatch.coordinator import DispatchIteration, DispatchSettings
from mpc.coordination.dispatch.fleet import Fleet, FleetResponder
from mpc.coordination.dispatch.outcome import DispatchOutcome
from mpc.coordination.dispatch.target import SectorTarget
from mpc.coordination.solving import SolveRound


def dispatch(
    fleet: Fleet,
    target: SectorTarget,
    settings: DispatchSettings | None = None,
    expired: Callable[[Sequence[SolveRound]], bool] = lambda _: False,
) -> DispatchOutcome:
    """Dispatch the resources of a fleet to a target.

    Args:
        fleet: N resources over M sectors.
        target: over the same sectors.
        expired: asked after each round, with all rounds so far, whether to end with what there is.

    Raises:
        SolverError: the solver of a mixture failed.
    """
    iteration = DispatchIteration(target, settings or DispatchSettings())
    responder = FleetResponder(fleet)
    iteration.update(responder.answer(iteration.signal()))
    while not iteration.done and not expired(iteration.rounds):
        iteration.update(responder.answer(iteration.signal()))
    responder.adopt(iteration.adoption())
    return outcome(fleet, target, iteration, responder)


def outcome(
    fleet: Fleet, target: SectorTarget, iteration: DispatchIteration, responder: FleetResponder
) -> DispatchOutcome:
    """The result by what the resources have adopted."""
    inputs_kw = responder.inputs_kw
    outputs_kw = fleet.efficiency * inputs_kw[:, None]
    aggregate_kw = outputs_kw.sum(axis=0)
    objective, gap_rel = target.distance(aggregate_kw) + float(fleet.input_cost @ inputs_kw), iteration.gap_rel
    assert gap_rel is not None, "at least one round has been evaluated"
    return DispatchOutcome(
        converged=iteration.converged,
        inputs_kw=inputs_kw,
        outputs_kw=outputs_kw,
        aggregate_kw=aggregate_kw,
        deviation_kw=aggregate_kw - target.kw,
        price=iteration.best_price,
        objective=objective,
        bound=iteration.bound,
        gap_rel=gap_rel,
        rounds=tuple(iteration.rounds),
    )
