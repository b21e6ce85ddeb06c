"""Dispatch in the words of paper D: its script runs with the import line changed.

A resource turns an input into outputs over several sectors; the outputs of all together follow a weighted target.

The sign of the priority ``P``: **a positive P is penalised**, a negative one rewarded. It is an own cost per kW of
output, P'x, beside the weighted distance to the target.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from core.arrays import FloatArray
from core.errors import Fault, InputError, shown
from mpc.coordination.dispatch.coordinator import DispatchSettings
from mpc.coordination.dispatch.fleet import Fleet
from mpc.coordination.dispatch.outcome import SilentResource
from mpc.coordination.dispatch.solve import dispatch
from mpc.coordination.dispatch.target import Norm, SectorTarget
from mpc.coordination.solving import SolveStatus

__all__ = [
    "ADMMFlexActor",
    "ADMMGenericCoordinator",
    "ADMMSharingData",
    "ADMMSharingGlobalActor",
    "ADMMStart",
    "ADMMTargetDistanceObjective",
    "DispatchResult",
    "create_admm_flex_actor_one_to_many",
    "create_admm_sharing_data",
    "create_admm_start",
    "create_sharing_target_distance_admm_coordinator",
    "start_coordinated_optimization",
]
MOST = 1e9
"""No number of a problem is larger."""


@dataclass
class ADMMFlexActor:
    """A resource.

    Attributes:
        in_capacity: largest input, kW.
        eta: output per input, of any sign, [M].
        P: own cost per kW of output, [M]; a positive one is penalised.
        x: outputs, kW, [M], of the last optimisation; 0 before.
    """

    in_capacity: float
    eta: FloatArray
    P: FloatArray
    x: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.x = np.zeros(len(self.eta))


@dataclass(frozen=True)
class ADMMTargetDistanceObjective:
    """The weighted distance to the target: ``l1``: Σ w |y − t|; ``l2``: ½ Σ w (y − t)²."""

    norm: str = "l1"


@dataclass(frozen=True)
class ADMMSharingGlobalActor:
    """What the coordinator minimises: an objective of the sum of all outputs."""

    objective: ADMMTargetDistanceObjective


@dataclass(frozen=True)
class ADMMGenericCoordinator:
    """Settings of the coordinator.

    Attributes:
        global_actor: what it minimises.
        rho: penalty; None: its natural value.
        max_iters: limit of rounds.
        abs_tol, rel_tol: absolute and relative gap between the objective and its proven bound, of which one is enough.
    """

    global_actor: ADMMSharingGlobalActor
    rho: float | None = None
    max_iters: int = 1000
    abs_tol: float = 1e-7
    rel_tol: float = 1e-7


@dataclass(frozen=True)
class ADMMSharingData:
    """Target, kW, and weights ≥ 0 of the deviations, [M] each."""

    target: FloatArray
    priorities: FloatArray


@dataclass(frozen=True)
class ADMMStart:
    """The message that starts an optimisation."""

    data: ADMMSharingData


@dataclass(frozen=True)
class DispatchResult:
    """The result, for N resources over M sectors.

    Attributes:
        status: ``converged``, ``rounds``, or ``partial`` if somebody is silent.
        inputs: kW, [N]. outputs: kW, [N, M]. aggregate, deviation: kW, [M]. price: per kW, [M].
        objective, bound, gap: proven; ``gap`` is relative to max(|bound|, distance of no output at all).
        rounds: their number.
        wall_s: time, s.
        silent: resources that are held.
    """

    status: SolveStatus
    inputs: FloatArray
    outputs: FloatArray
    aggregate: FloatArray
    deviation: FloatArray
    price: FloatArray
    objective: float
    bound: float
    gap: float
    rounds: int
    wall_s: float
    silent: tuple[SilentResource, ...]


def create_admm_flex_actor_one_to_many(
    in_capacity: float,
    eta: Sequence[float],
    P: Sequence[float] | None = None,  # noqa: N803 - paper D
) -> ADMMFlexActor:
    """A resource: capacity in kW, efficiencies [M], own cost per kW of output [M] (positive: penalised; None: none).

    Raises:
        InputError: a line for each fault.
    """
    faults = [*_faulty("in_capacity", [in_capacity], 0.0), *_faulty("eta", eta, -MOST)]
    if P is not None:
        faults += _faulty("P", P, -MOST)
        if len(P) != len(eta):
            faults.append(Fault("resource", "P", f"{len(P)} numbers", f"{len(eta)}, one for each of eta"))
    if faults:
        raise InputError(faults)
    return ADMMFlexActor(float(in_capacity), np.array(eta, float), np.array(P or [0.0] * len(eta), float))


def create_sharing_target_distance_admm_coordinator() -> ADMMGenericCoordinator:
    """The coordinator that minimises the weighted distance of the sum to the target."""
    return ADMMGenericCoordinator(ADMMSharingGlobalActor(ADMMTargetDistanceObjective()))


def create_admm_sharing_data(target: Sequence[float], priorities: Sequence[float] | None = None) -> ADMMSharingData:
    """Target, kW, [M], and weights ≥ 0 of its sectors, [M]; without them each weighs 1.

    Raises:
        InputError: a line for each fault.
    """
    weights = [1.0] * len(target) if priorities is None else priorities
    faults = [*_faulty("target", target, -MOST), *_faulty("priorities", weights, 0.0)]
    if len(weights) != len(target):
        allowed = f"{len(target)}, one for each of the target"
        faults.append(Fault("data", "priorities", f"{len(weights)} numbers", allowed))
    if faults:
        raise InputError(faults)
    return ADMMSharingData(np.array(target, float), np.array(weights, float))


def create_admm_start(data: ADMMSharingData) -> ADMMStart:
    """The message that starts the optimisation of this data."""
    return ADMMStart(data)


async def start_coordinated_optimization(
    actors: Sequence[ADMMFlexActor], coordinator: ADMMGenericCoordinator, start_message: ADMMStart
) -> DispatchResult:
    """Optimise; then ``x`` of each actor are its outputs.

    Raises:
        InputError: a line for each fault.
        SolverError: the solver of a mixture failed.
    """
    target, fleet = _target(coordinator, start_message.data), _fleet(actors, len(start_message.data.target))
    settings = DispatchSettings(
        gap_tol=coordinator.rel_tol,
        gap_abs=coordinator.abs_tol,
        max_rounds=coordinator.max_iters,
        rho=coordinator.rho,
    )
    began_s = time.perf_counter()
    outcome = await asyncio.to_thread(dispatch, fleet, target, settings)
    wall_s = time.perf_counter() - began_s
    for actor, outputs in zip(actors, outcome.outputs_kw, strict=True):
        actor.x = outputs + 0.0  # no -0
    return DispatchResult(
        status=SolveStatus.CONVERGED if outcome.converged else SolveStatus.ROUNDS,
        inputs=outcome.inputs_kw,
        outputs=outcome.outputs_kw,
        aggregate=outcome.aggregate_kw,
        deviation=outcome.deviation_kw,
        price=outcome.price,
        objective=outcome.objective,
        bound=outcome.bound,
        gap=outcome.gap_rel,
        rounds=len(outcome.rounds),
        wall_s=wall_s,
        silent=outcome.silent,
    )


def _target(coordinator: ADMMGenericCoordinator, data: ADMMSharingData) -> SectorTarget:
    norm, positive = coordinator.global_actor.objective.norm, {"abs_tol": 0.0, "rel_tol": 0.0, "max_iters": 1.0}
    faults = [] if norm in list(Norm) else [Fault("coordinator", "norm", shown(norm), "l1 or l2")]
    for name, least in positive.items():
        faults += _faulty(name, [getattr(coordinator, name)], least)
    if coordinator.rho is not None:
        faults += _faulty("rho", [coordinator.rho], np.nextafter(0.0, 1.0))
    if faults:
        raise InputError(faults)
    return SectorTarget(data.target, data.priorities, Norm(norm))


def _fleet(actors: Sequence[ADMMFlexActor], sectors: int) -> Fleet:
    lengths = [len(actor.eta) for actor in actors]
    allowed = f"{sectors}, one for each of the target"
    faults = [Fault(f"actors[{k}]", "eta", f"{n} numbers", allowed) for k, n in enumerate(lengths) if n != sectors]
    if not actors:
        faults.append(Fault("actors", "", "none", "at least one resource"))
    if faults:
        raise InputError(faults)
    return Fleet(
        names=tuple(f"actor_{k}" for k in range(len(actors))),
        capacity_kw=np.array([actor.in_capacity for actor in actors]),
        efficiency=np.array([actor.eta for actor in actors]),
        priority=np.array([actor.P for actor in actors]),
        fallback_kw=np.zeros(len(actors)),
    )


def _faulty(key: str, numbers: Iterable[float], least: float) -> list[Fault]:
    """A fault for each number that is not finite, or below ``least``."""
    allowed = f"a finite number {'' if least == -MOST else f'≥ {least:g}, '}at most {MOST:g}"
    return [
        Fault("dispatch", f"{key}[{k}]", f"{number!r}", allowed)
        for k, number in enumerate(numbers)
        if not (isinstance(number, int | float | np.number) and least <= float(number) <= MOST)
    ]
