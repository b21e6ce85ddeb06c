"""What aggregators tell each other; between a leaf and its aggregator only PriceSignal and DemandProfile pass.

Per round one :class:`BranchSignal` goes down an edge and one :class:`BranchAnswer` comes up, whatever the depth. All
that is said of a subtree are sums and largest values over its leaves and branches. Accounts and shares climb one level
per answer, each numbered by what it refers to.
"""

from dataclasses import dataclass
from math import hypot

from core.arrays import FloatArray
from core.prices import PriceSignal


@dataclass(frozen=True)
class Wave:
    """A question for a lower bound on its way down: π, the plain price of the receiver's power, CHF/kW, [T, 2]."""

    number: int
    price: FloatArray


@dataclass(frozen=True)
class BranchSignal:
    """Down an edge between aggregators.

    Attributes:
        signal: as to a leaf, but without the tariff, which is added once, on a leaf's edge.
        published: what the parent's rows say to this branch, [T, …] (:class:`mpc.coordination.tree.rows.RowModel`).
        best_round, best_wave: the round and the wave to remember; older ones may be forgotten.
    """

    signal: PriceSignal
    wave: Wave | None
    published: FloatArray | None
    best_round: int
    best_wave: int


@dataclass(frozen=True)
class RoundAccount:
    """What the leaves of a subtree answered in one round, and what it means for the limits there.

    Attributes:
        x: sum of the answers, kW and kvar, [T, 2].
        cost_chf: bills, losses and wear; ``turnover_chf`` is Σ |c p| Δt.
        variance_kw2: Σ_i var(p_i) over the leaves; with the uncoordinated answers it scales the penalty.
        unheld_chf: priced violation of all limits; ``violation_rel`` is the largest relative to its scale.
        unavoidable_rel: largest violation by the copies of the branches.
        primal, dual: weighted residuals, CHF/kW, norms over all edges.
        held: number of members held at an earlier answer.
        renewed: the last round in which the rows changed, or a held member was heard again.
    """

    number: int
    x: FloatArray
    cost_chf: float
    turnover_chf: float
    variance_kw2: float
    unheld_chf: float
    violation_rel: float
    unavoidable_rel: float
    primal: float
    dual: float
    held: int
    renewed: int

    def __add__(self, other: "RoundAccount") -> "RoundAccount":
        """Both together."""
        return RoundAccount(
            self.number,
            self.x + other.x,
            self.cost_chf + other.cost_chf,
            self.turnover_chf + other.turnover_chf,
            self.variance_kw2 + other.variance_kw2,
            self.unheld_chf + other.unheld_chf,
            max(self.violation_rel, other.violation_rel),
            max(self.unavoidable_rel, other.unavoidable_rel),
            hypot(self.primal, other.primal),
            hypot(self.dual, other.dual),
            self.held + other.held,
            max(self.renewed, other.renewed),
        )


@dataclass(frozen=True)
class Share:
    """The subtree's part of a wave's lower bound, and of that of the relaxation, CHF."""

    number: int
    restricted_chf: float
    relaxed_chf: float

    def __add__(self, other: "Share") -> "Share":
        """Both together."""
        restricted_chf = self.restricted_chf + other.restricted_chf
        return Share(self.number, restricted_chf, self.relaxed_chf + other.relaxed_chf)


@dataclass(frozen=True)
class BranchAnswer:
    """Up an edge between aggregators: the sum of the copies, kW and kvar, [T, 2], and what is complete by now.

    ``report`` is what the rows say to the parent's, [T, …] (:class:`mpc.coordination.tree.rows.RowModel`).
    """

    x: FloatArray
    account: RoundAccount | None
    share: Share | None
    report: FloatArray | None = None
