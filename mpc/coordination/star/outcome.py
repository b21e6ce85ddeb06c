"""Course of a coordination by a star, round by round, and its result."""

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
    """Start of the next coordination; see :class:`mpc.coordination.outcome.WarmStart`.

    Attributes:
        splitting: copies and multipliers to continue from.
        rho: penalty of the first round of the coordination that they come from, CHF/kW². Its later adaptation (18) is
            not kept, since it would drift from one coordination to the next.
        x: best profiles of that coordination, [N, T, 2].
    """

    splitting: Splitting
    rho: float
    x: FloatArray

    def shifted(self, steps: int, grid: GridModel) -> "StarWarmStart":
        """Shorten the horizon, and update once on the rows of ``grid`` around the best profiles.

        Without the update the rows would be those of an earlier voltage margin and supply voltage.
        """
        x = self.x[:, steps:]
        splitting = self.splitting.after(steps).with_rho(self.rho)
        return StarWarmStart(splitting.update(x, grid.linearise(x), alpha=1.0), self.rho, x)


@dataclass(frozen=True)
class StarOutcome(CoordinationOutcome):
    """The result of a coordination.

    Attributes:
        best: the agreements that are returned. If time was up before the first round of prices was answered, they are
            the answers to the plain tariff.
        uncoordinated: the answers to the plain tariff.
        lower_bound_chf: best bound of the linearisation behind ``best``, by the relaxation in which a battery may
            charge and discharge at once: a bound of everything.
        relaxation_gap_rel: what restricting steps to one direction costs at most; ``gap_rel`` is the gap to the problem
            restricted as in ``best``, and both together that to ``lower_bound_chf``. 0 if nothing was restricted, None
            without a bound.
        splitting: the state behind the last signals.
    """

    best: Candidate
    uncoordinated: dict[str, DemandProfile]
    lower_bound_chf: float | None
    relaxation_gap_rel: float | None
    iterations: tuple[Iteration, ...]
    relinearisations: int
    splitting: Splitting

    @property
    def unheld_pu(self) -> float:
        """Largest violation that cannot be avoided, in comparable p.u.; ``unheld_chf`` is its price."""
        return self.best.unheld_pu

    @property
    def unheld_chf(self) -> float:
        """Price of what cannot be avoided."""
        return self.best.unheld_chf

    @property
    def warm_start(self) -> StarWarmStart:
        """Start of the next coordination."""
        rho = self.iterations[0].rho if self.iterations else self.splitting.rho
        x = np.stack([agreement.profile.x for agreement in self.best.agreements.values()])
        return StarWarmStart(self.splitting, rho, x)
