"""How a coordination by a star went, round by round, and how it ended."""

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.prices import DemandProfile
from mpc.coordination.outcome import CoordinationOutcome
from mpc.coordination.star.splitting import Splitting
from mpc.coordination.star.stopping import Candidate
from mpc.grid.rows import GridModel


@dataclass(frozen=True)
class Iteration:
    """One round, as in iterations.csv. ``bound_chf`` and ``gap_rel`` are None until a bound was asked for."""

    iteration: int
    primal: float
    dual: float
    rho: float
    cost_chf: float
    bound_chf: float | None
    gap_rel: float | None
    violation_pu: float
    linearisation_pu: float
    wall_ms: float


@dataclass(frozen=True)
class StarWarmStart:
    """See :class:`mpc.coordination.outcome.WarmStart`.

    Attributes:
        splitting: copies and multipliers to go on from.
        rho: penalty of the first round of the coordination that they come from, CHF/kW². What (18) made of it later
            served that coordination, and would drift from one to the next.
        x: its best profiles, [N, T, 2].
    """

    splitting: Splitting
    rho: float
    x: FloatArray

    def shifted(self, steps: int, grid: GridModel) -> "StarWarmStart":
        """See :class:`WarmStart`. One update further, on the rows of ``grid`` around the best profiles.

        The rows of ``splitting`` know neither the voltage margin nor the supply voltage of this moment.
        """
        x = self.x[:, steps:]
        splitting = self.splitting.after(steps).with_rho(self.rho)
        return StarWarmStart(splitting.update(x, grid.linearise(x), alpha=1.0), self.rho, x)


@dataclass(frozen=True)
class StarOutcome(CoordinationOutcome):
    """The result of a coordination.

    Attributes:
        best: the agreements that are returned. Where time was up before the first round of prices was answered, they
            are the answers to the plain tariff.
        uncoordinated: the answers to the plain tariff.
        lower_bound_chf: best bound of the final linearisation, that of ``splitting.rows``; ``gap_rel`` is relative to
            it.
        splitting: the state behind the last signals.
    """

    best: Candidate
    uncoordinated: dict[str, DemandProfile]
    lower_bound_chf: float | None
    iterations: tuple[Iteration, ...]
    relinearisations: int
    splitting: Splitting

    @property
    def warm_start(self) -> StarWarmStart:
        """Where the next coordination may begin."""
        rho = self.iterations[0].rho if self.iterations else self.splitting.rho
        x = np.stack([agreement.profile.x for agreement in self.best.agreements.values()])
        return StarWarmStart(self.splitting, rho, x)
