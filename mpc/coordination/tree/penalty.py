"""The penalty ρ of a tree: its natural scale at first, and its rule.

ρ⁰ = (mean |tariff| Δt) / (RMS swing of a leaf)
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

from mpc.coordination.star.penalty import SMALLEST
from mpc.coordination.tree.ledger import BranchPlace
from mpc.coordination.tree.messages import RoundAccount

EASED = 0.3


@dataclass
class Penalty:
    """ρ of one branch; ``fixed`` is that of the settings or of a warm start. The root's is in force everywhere."""

    fixed: float | None
    eased: bool = False

    def start(self, account: RoundAccount, place: BranchPlace) -> float:
        """ρ⁰ for the account of the uncoordinated answers."""
        if self.fixed is not None:
            return self.fixed
        price = float(np.abs(place.tariff[:, 0]).mean())
        swing = sqrt(account.variance_kw2 / float(place.n_leaves.sum()))
        return max(price, SMALLEST) / max(swing, SMALLEST)
