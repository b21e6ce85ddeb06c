"""Rounds after the certificate, in which PV is given back that was curtailed at no cost.

Where feed-in is worth nothing, a plan that throws energy away costs no more than one that feeds it in and holds the
voltage by reactive power, and the certificate takes either. The prosumers' tie-break prefers the latter
(:mod:`mpc.prosumer`), but too weakly to leave the operator's copies at once: it moves a profile by its weight over ρ in
a round. So ρ is halved in every further round until the demand in such steps is what it is without coordination, and of
the rounds that meet the certificate the one with the least of it is returned.
"""

from collections.abc import Mapping

import numpy as np

from core.prices import DemandProfile
from core.problem import Problem
from mpc.coordination.star.stopping import Candidate

WORTHLESS_REL = 0.05
"""Feed-in is worth nothing up to this share of the value of energy; a negative one is a reason to curtail."""
ROUNDS = 20
"""Further rounds at most."""
SHRINK = 0.5
"""Factor of ρ from one further round to the next."""
UNNOTICED_REL = 1e-4
"""Energy beyond that without coordination that is no reason to go on, as a share of all energy of these steps."""


class Ties:
    """The rounds that meet the certificate; :attr:`best` is the one that wastes least, None without any."""

    def __init__(self, problem: Problem) -> None:
        sell, value = problem.tariff.sell_chf_per_kwh, problem.tariff.value_chf_per_kwh
        self.best: Candidate | None = None
        self._worthless = (sell >= 0) & (sell <= WORTHLESS_REL * value)
        self._wasted_rel = np.inf
        self._rounds = 0

    def look(self, candidate: Candidate, met: bool, alone: Mapping[str, DemandProfile]) -> None:
        """Count a round, once one has met the certificate; ``alone`` are the answers to the plain tariff."""
        if self.best is not None:
            self._rounds += 1
        if met and (wasted_rel := self._share(candidate, alone)) < self._wasted_rel:
            self.best, self._wasted_rel = candidate, wasted_rel

    @property
    def decided(self) -> bool:
        """Whether no further round is worth it; False without a round that meets the certificate."""
        return self.best is not None and (self._wasted_rel <= UNNOTICED_REL or self._rounds >= ROUNDS)

    def _share(self, candidate: Candidate, alone: Mapping[str, DemandProfile]) -> float:
        """Demand beyond that without coordination in steps of worthless feed-in, relative to all energy there."""
        agreed = np.stack([agreement.profile.x[self._worthless, 0] for agreement in candidate.agreements.values()])
        own = np.stack([alone[name].x[self._worthless, 0] for name in candidate.agreements])
        all_of_it = float(np.abs(own).sum())
        return float((agreed - own).sum()) / all_of_it if all_of_it else 0.0
