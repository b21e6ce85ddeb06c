"""Result of a coordination by aggregators on a real grid, in the words of the star's."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.arrays import FloatArray
from core.plan import Agreement
from core.prices import DemandProfile
from mpc.coordination.outcome import CoordinationOutcome
from mpc.coordination.star.outcome import Iteration
from mpc.coordination.tree.grid.model import GridMemory
from mpc.coordination.tree.memory import TreeWarmStart
from mpc.grid.rows import GridModel


@dataclass(frozen=True)
class FeederWarmStart:
    """Start of the next coordination; see :class:`mpc.coordination.outcome.WarmStart`."""

    tree: TreeWarmStart
    models: Mapping[str, GridMemory]

    def shifted(self, steps: int, grid: GridModel) -> "FeederWarmStart":
        """Shorten the horizon; heads and rows of ``grid`` as expected now are found within the first rounds."""
        models = {name: memory.after(steps) for name, memory in self.models.items()}
        return FeederWarmStart(self.tree.shifted(steps, grid), models)


@dataclass(frozen=True)
class FeederOutcome(CoordinationOutcome):
    """The result; attributes are those of :class:`mpc.coordination.star.outcome.StarOutcome`, and:

    Attributes:
        agreements: of the prosumers, in the order of the problem.
        prices: of the power at the head of each aggregator, what the limits above and its own add to the tariff, CHF/kW
            and CHF/kvar, [T, 2].
    """

    agreements: Mapping[str, Agreement]
    uncoordinated: Mapping[str, DemandProfile]
    lower_bound_chf: float | None
    relaxation_gap_rel: float | None
    iterations: tuple[Iteration, ...]
    relinearisations: int
    unheld_pu: float
    unheld_chf: float
    prices: Mapping[str, FloatArray]
    warm_start: FeederWarmStart
