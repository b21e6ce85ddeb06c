"""Course of a coordination by a tree, round by round, and its result."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.arrays import FloatArray
from core.plan import Agreement
from core.prices import DemandProfile
from mpc.coordination.outcome import CoordinationOutcome
from mpc.coordination.tree.memory import TreeWarmStart


@dataclass(frozen=True)
class TreeRound:
    """One round, judged by the answers of the leaves, as in rounds.csv.

    Attributes:
        primal, dual: ‖w_c (p_c − v_c)‖ over all edges, and the same of how far the questions moved, CHF/kW.
        objective_chf: cost of all leaves and the root's own objective, without priced violation.
        unheld_chf: priced violation of all limits by these answers.
        bound_chf: best lower bound known by then of objective plus priced violation; None before the first.
        gap_rel: as in :class:`TreeOutcome`.
        violation_rel: largest excess of a limit relative to its scale.
    """

    number: int
    primal: float
    dual: float
    rho: float
    objective_chf: float
    unheld_chf: float
    bound_chf: float | None
    gap_rel: float | None
    violation_rel: float
    wall_ms: float


@dataclass(frozen=True)
class RowState:
    """A row at the result, all [T].

    Attributes:
        value, lower, upper: in the unit of the row; infinite without a limit.
        multiplier_chf_per_kw: λ, > 0 at the upper limit, of the row scaled to a largest coefficient of 1.
        unheld: excess of the row by the leaves' answers, in the unit of the row.
    """

    value: FloatArray
    lower: FloatArray
    upper: FloatArray
    multiplier_chf_per_kw: FloatArray
    unheld: FloatArray


@dataclass(frozen=True)
class BranchState:
    """A branch at the result.

    Attributes:
        x: power of its leaves' answers, kW and kvar, [T, 2].
        price_chf_per_kw: π, what one more kW or kvar of the branch costs above it and by its own limit, [T, 2].
        rows: by name; the limits of its own power, where it has any, are :data:`core.hierarchy.ACTIVE` and
            :data:`core.hierarchy.REACTIVE`.
    """

    x: FloatArray
    price_chf_per_kw: FloatArray
    rows: Mapping[str, RowState]


@dataclass(frozen=True)
class HeldMember:
    """A leaf or sub-aggregator that fell silent, and was held at its answer of ``age_rounds`` rounds ago."""

    name: str
    age_rounds: int


@dataclass(frozen=True)
class TreeOutcome(CoordinationOutcome):
    """The result of a coordination by a tree; the agreements of one round, the best.

    Attributes:
        gap_rel: |objective − bound| relative to max(|bound|, turnover); with priced violation where limits cannot be
            held.
        relaxation_gap_rel: what restricting batteries to one direction costs at most, as in the star.
        bound_chf: best bound by the relaxation in which a battery may charge and discharge at once: of everything.
        agreements, uncoordinated: of the leaves, in the order of the hierarchy.
        turnover_chf: Σ |c p| Δt of the result.
        violation_rel: largest excess of a limit relative to its scale.
        rounds: those that were judged; the last answers may need a few rounds to reach the root.
        rounds_asked: number of rounds until the root stopped, those on the way included.
        silent: who was held, in the order of the hierarchy; empty unless the status is ``partial``.
    """

    relaxation_gap_rel: float | None
    objective_chf: float
    unheld_chf: float
    bound_chf: float | None
    turnover_chf: float
    violation_rel: float
    agreements: Mapping[str, Agreement]
    uncoordinated: Mapping[str, DemandProfile]
    branches: Mapping[str, BranchState]
    rounds: tuple[TreeRound, ...]
    rounds_asked: int
    silent: tuple[HeldMember, ...]
    warm_start: TreeWarmStart
