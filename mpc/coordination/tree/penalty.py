"""The penalty ρ of a tree: its natural scale at first, and its rule.

    ρ⁰ = ρ_rel · (mean |tariff| Δt) / (RMS swing of a leaf)
    once, when all limits hold:                                            ρ ← 0.3 ρ
    later, where the cost is certified and only limits are still broken:   ρ ← min(τ ρ, 2 ρ⁰), τ = 1.2, per round

A large ρ brings the answers to the limits soon, a small one lets them find the cheapest of the answers that hold them.
docs/algorithms/tree.md has the measurement.
"""

from math import inf, sqrt

import numpy as np

from mpc.coordination.star.penalty import SMALLEST
from mpc.coordination.tree.judging import Judge, Judged
from mpc.coordination.tree.ledger import BranchPlace
from mpc.coordination.tree.messages import RoundAccount

RHO_REL = 0.5
EASED = 0.3
TAU = 1.2
LARGEST = 2.0
NU, TAU_PRIMAL = 3.0, 1.3
FROZEN_FROM = 100


class Penalty:
    """ρ of one branch, that of the settings or of a warm start if there is one. The root's is in force everywhere."""

    def __init__(self, known: float | None) -> None:
        self._known, self._eased = known, known is not None
        self._largest = inf

    def start(self, account: RoundAccount, place: BranchPlace) -> float:
        """ρ⁰ for the account of the uncoordinated answers."""
        price = float(np.abs(place.tariff[:, 0]).mean())
        swing = sqrt(account.variance_kw2 / float(place.n_leaves.sum()))
        start = RHO_REL * max(price, SMALLEST) / max(swing, SMALLEST)
        self._largest = LARGEST * start
        return start if self._known is None else self._known

    def adapted(self, rho: float, judged: Judged, judge: Judge) -> float:
        """The penalty after a round."""
        if judge.holds(judged):
            easing = 1.0 if self._eased else EASED
            self._eased = True
            return easing * rho
        if judged.account.primal > NU * judged.account.dual and judged.account.number <= FROZEN_FROM:
            return TAU_PRIMAL * rho
        if judge.dear(judged) or not self._eased:
            return rho
        return max(rho, min(TAU * rho, self._largest))
