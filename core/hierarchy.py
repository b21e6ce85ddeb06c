"""A tree of aggregators over prosumers, as data (paper B, section II): branches, their limits and rows, and the leaves.

Branch b limits its own power Σ_c s_c and rows over the powers s_c = (p, q) of its own children c, branches or leaves:

    p_min ≤ Σ_c p_c ≤ p_max,   q_min ≤ Σ_c q_c ≤ q_max,   l ≤ Σ_c a_c's_c ≤ u

A row of sensitivities is a voltage deviation (3). Signs as everywhere: demand positive. What is wrong with a tree:
:func:`core.hierarchy_faults.hierarchy_faults`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from core.arrays import FloatArray
from core.prices import Tariff
from core.time import TimeAxis

ACTIVE, REACTIVE = "p_kw", "q_kvar"
"""Names of the rows that limit the power of a branch itself."""


@dataclass(frozen=True)
class BranchRow:
    """A linear limit over the children of a branch; it is elastic at the price of a violation.

    Attributes:
        coefficients: child → a_c, of (kW, kvar), [2] or [T, 2]. A child that is not named has zeros.
        lower, upper: in the unit of the row, [T]; None: no limit on that side.
        scale: what an excess is compared with, in the unit of the row, > 0; None: the larger limit of the step, in
            magnitude.
    """

    name: str
    coefficients: Mapping[str, FloatArray]
    lower: FloatArray | None = None
    upper: FloatArray | None = None
    scale: float | None = None

    def after(self, steps: int) -> "BranchRow":
        """The row without its first ``steps`` steps."""
        cut = {child: a if a.ndim == 1 else a[steps:] for child, a in self.coefficients.items()}
        return replace(self, coefficients=cut, lower=_after(self.lower, steps), upper=_after(self.upper, steps))


@dataclass(frozen=True)
class PowerLimits:
    """Limits of the power of a branch itself, kW and kvar, each [T]; None: no limit."""

    p_min_kw: FloatArray | None = None
    p_max_kw: FloatArray | None = None
    q_min_kvar: FloatArray | None = None
    q_max_kvar: FloatArray | None = None

    def after(self, steps: int) -> "PowerLimits":
        """The limits without the first ``steps`` steps."""
        return PowerLimits(*(_after(getattr(self, f.name), steps) for f in fields(self)))


@dataclass(frozen=True)
class Branch:
    """An aggregator: its parent (None: the root), the limits of its own power, and rows over its children."""

    name: str
    parent: str | None = None
    limits: PowerLimits = field(default_factory=PowerLimits)
    rows: tuple[BranchRow, ...] = ()

    def after(self, steps: int) -> "Branch":
        """The branch without its first ``steps`` steps."""
        return replace(self, limits=self.limits.after(steps), rows=tuple(row.after(steps) for row in self.rows))


@dataclass(frozen=True)
class Hierarchy:
    """The branches in any order, and the branch of each leaf, a prosumer. The properties need a sound tree."""

    branches: tuple[Branch, ...]
    leaves: Mapping[str, str]

    @cached_property
    def by_name(self) -> Mapping[str, Branch]:
        """The branches by name."""
        return {branch.name: branch for branch in self.branches}

    @cached_property
    def root(self) -> Branch:
        """The branch without a parent."""
        (root,) = (branch for branch in self.branches if branch.parent is None)
        return root

    @cached_property
    def children(self) -> Mapping[str, tuple[str, ...]]:
        """Children of each branch: branches first, then leaves, in their own orders."""
        found: dict[str, tuple[str, ...]] = {branch.name: () for branch in self.branches}
        for branch in self.branches:
            if branch.parent is not None:
                found[branch.parent] += (branch.name,)
        for leaf, name in self.leaves.items():
            found[name] += (leaf,)
        return found

    @cached_property
    def top_down(self) -> tuple[Branch, ...]:
        """The branches, each after its parent: the root first, then level after level."""
        ordered = [self.root]
        for branch in ordered:
            ordered += [self.by_name[name] for name in self.children[branch.name] if name in self.by_name]
        return tuple(ordered)

    @cached_property
    def level(self) -> Mapping[str, int]:
        """Level of each branch; that of the root is 0."""
        found = {self.root.name: 0}
        for branch in self.top_down[1:]:
            found[branch.name] = found[branch.parent or ""] + 1
        return found

    @cached_property
    def n_leaves(self) -> Mapping[str, int]:
        """Number of leaves under each branch, N_b, and 1 for each leaf."""
        found = dict.fromkeys(self.leaves, 1)
        for branch in reversed(self.top_down):
            found[branch.name] = sum(found[child] for child in self.children[branch.name])
        return found

    def counts(self, names: Sequence[str]) -> FloatArray:
        """Numbers of leaves under branches or of leaves themselves, as weights."""
        return np.array([self.n_leaves[name] for name in names], float)

    def after(self, steps: int) -> "Hierarchy":
        """The tree without its first ``steps`` steps."""
        return Hierarchy(tuple(branch.after(steps) for branch in self.branches), self.leaves)


@dataclass(frozen=True)
class TreeProblem:
    """Everything that the aggregators may know of a horizon (2):  min γ/2 Σ_t (P_∅ − target)² + Σ_i f_i(x_i).

    Attributes:
        peak_weight_per_kw2: γ ≥ 0 of every step, in currency per kW².
        target_kw: of the power of the root, [T].
    """

    axis: TimeAxis
    tariff: Tariff
    hierarchy: Hierarchy
    peak_weight_per_kw2: float = 0.0
    target_kw: FloatArray | None = None

    @property
    def target(self) -> FloatArray:
        """The target of the root, kW, [T]; 0 where none is given: peak shaving."""
        return np.zeros(self.axis.n_steps) if self.target_kw is None else self.target_kw

    def after(self, steps: int) -> "TreeProblem":
        """The problem without its first ``steps`` steps."""
        return replace(
            self,
            axis=self.axis.after(steps),
            tariff=self.tariff.after(steps),
            hierarchy=self.hierarchy.after(steps),
            target_kw=_after(self.target_kw, steps),
        )


def _after(series: FloatArray | None, steps: int) -> FloatArray | None:
    return None if series is None else series[steps:]
