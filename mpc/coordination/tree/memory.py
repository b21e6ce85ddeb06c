"""What a tree remembers between two coordinations: the opaque warm start."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.arrays import FloatArray
from mpc.coordination.tree.edges import Edges
from mpc.grid.rows import GridModel


@dataclass(frozen=True)
class PricedBranch:
    """Prices of one wave at a branch: π of its own power [T, 2] and λ of its rows [T, R], CHF/kW."""

    price: FloatArray
    row_prices: FloatArray

    def after(self, steps: int) -> "PricedBranch":
        """The prices without the first ``steps`` steps."""
        return PricedBranch(self.price[steps:], self.row_prices[steps:])


@dataclass(frozen=True)
class BranchMemory:
    """Last answers p [C, T, 2] and edges of a branch, and its prices in the wave of the best bound, if any."""

    p: FloatArray
    edges: Edges
    priced: PricedBranch | None

    def after(self, steps: int) -> "BranchMemory":
        """The memory without the first ``steps`` steps."""
        priced = self.priced and self.priced.after(steps)
        return BranchMemory(self.p[:, steps:], self.edges.after(steps), priced)


@dataclass(frozen=True)
class TreeWarmStart:
    """Start of a later coordination of the same tree; see :class:`mpc.coordination.outcome.WarmStart`."""

    branches: Mapping[str, BranchMemory]
    rho: float

    def shifted(self, steps: int, grid: GridModel | None = None) -> "TreeWarmStart":  # noqa: ARG002 - of the star's
        """The warm start for the horizon without its first ``steps`` steps; limits come with the new problem."""
        return replace(self, branches={name: memory.after(steps) for name, memory in self.branches.items()})
