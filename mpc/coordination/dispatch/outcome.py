"""The result of a dispatch."""

from dataclasses import dataclass

from core.arrays import FloatArray
from mpc.coordination.solving import SolveRound


@dataclass(frozen=True)
class SilentResource:
    """A resource whose last answer is held; ``age`` in rounds, None: never heard, so that its fallback is held."""

    name: str
    age: int | None


@dataclass(frozen=True)
class DispatchOutcome:
    """Inputs and outputs of N resources over M sectors, and their proof.

    Attributes:
        converged: whether the gap is within its tolerance.
        inputs_kw: [N]. outputs_kw: efficiency · input, [N, M].
        aggregate_kw: sum of the outputs, [M]. deviation_kw: aggregate less target, [M].
        price: what a further kW of output would cost in each sector, [M].
        objective, bound, gap_rel: of the problem with the silent resources held.
        rounds: all rounds.
        silent: resources whose last answer or fallback is held.
    """

    converged: bool
    inputs_kw: FloatArray
    outputs_kw: FloatArray
    aggregate_kw: FloatArray
    deviation_kw: FloatArray
    price: FloatArray
    objective: float
    bound: float
    gap_rel: float
    rounds: tuple[SolveRound, ...]
    silent: tuple[SilentResource, ...] = ()
