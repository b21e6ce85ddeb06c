"""Random trees of aggregators after the rules of paper B, section IV, each from a seed.

At most four levels of aggregators, at most two sub-branches per branch (so at most 15 branches), one to ten leaves per
branch. Where the paper is silent the choices are ours:

- Every branch limits its own active power, the root reactive power too, and each branch holds two voltages: rows of
  random sensitivities towards p and q of its children (3), smaller at higher levels.
- A limit lies between the extreme of what everybody would do alone and the extreme of what they would do if each
  levelled its own power, at a random share of the way. So no tree holds its limits by itself, and every one can.
- The weight of peak shaving makes a kW of the peak as dear as the mean tariff, times a random factor; the target is 0.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import count

import numpy as np

from core.arrays import FloatArray
from core.hierarchy import Branch, BranchRow, Hierarchy, PowerLimits, TreeProblem
from core.prices import PriceSignal
from core.time import TimeAxis
from mpc.trees.random_leaves import random_site, random_tariff
from mpc.trees.scenario import TreeScenario

STEPS = 48
MAX_LEVELS, MAX_SUB_BRANCHES, MAX_LEAVES = 4, 2, 10
VOLTAGES = 2
"""Rows of voltages per branch."""
PU_PER_KW = 2e-3
"""Largest sensitivity at the lowest level; a quarter of it at each level above."""
LEVELLING_REL = 10.0
"""Curvature of the price under which everybody levels its own power, relative to mean tariff per kW."""
TIGHTNESS = (0.2, 0.6)
"""Share of the way from the extreme of levelled power to that of power without coordination, at which limits lie."""
ROOM_REL = 0.1
"""Room of a limit beyond levelled power where nobody alone would exceed it, relative to the range of the values."""


def random_tree(seed: int, levels: int | None = None, steps: int = STEPS) -> TreeScenario:
    """The tree of a seed, with random or given number of ``levels``, for a day of ``steps`` steps.

    Raises:
        SolverError: the program of a prosumer was not solved.
    """
    generator = np.random.default_rng(seed)
    axis = TimeAxis(datetime(2018, 6, 21, tzinfo=UTC), 24 * 60 // steps, steps, "UTC")
    drawn = int(generator.integers(1, MAX_LEVELS, endpoint=True))
    hierarchy = _shape(generator, drawn if levels is None else levels)
    tariff = random_tariff(generator, axis)
    sites = tuple(random_site(generator, axis, leaf) for leaf in hierarchy.leaves)
    free = TreeScenario(TreeProblem(axis, tariff, hierarchy), sites)
    alone, levelled = _sums(free, _plain(free)), _sums(free, _levelling(free))
    bounds = _Bounds(generator, alone, levelled)
    branches = tuple(_limited(generator, hierarchy, branch, bounds) for branch in hierarchy.branches)
    root_kw = alone[hierarchy.root.name][:, 0]
    price_per_kw = float(tariff.buy_chf_per_kwh.mean()) * axis.dt_h
    peak_weight = generator.uniform(0.5, 2.0) * price_per_kw / float(np.abs(root_kw).max())
    problem = TreeProblem(axis, tariff, Hierarchy(branches, hierarchy.leaves), peak_weight)
    return TreeScenario(problem, sites)


def _shape(generator: np.random.Generator, levels: int) -> Hierarchy:
    """Branches without limits, level after level, and the branch of each leaf."""
    numbers = count(1)
    level, branches = [Branch("b0")], [Branch("b0")]
    for _ in range(levels - 1):
        parents = [b.name for b in level for _ in range(generator.integers(1, MAX_SUB_BRANCHES, endpoint=True))]
        level = [Branch(f"b{next(numbers)}", parent) for parent in parents]
        branches += level
    homes = [b.name for b in branches for _ in range(generator.integers(1, MAX_LEAVES, endpoint=True))]
    return Hierarchy(tuple(branches), {f"h{k}": home for k, home in enumerate(homes, 1)})


def _plain(tree: TreeScenario) -> PriceSignal:
    return tree.problem.tariff.signal(tree.problem.axis.dt_h)


def _levelling(tree: TreeScenario) -> PriceSignal:
    """A price that rises with everybody's own power, so that it levels it."""
    plain = _plain(tree)
    slope = LEVELLING_REL * float(plain.g[:, 0].mean())
    return PriceSignal(np.broadcast_to(slope * np.eye(2), plain.h.shape).copy(), plain.g, 0.0)


def _sums(tree: TreeScenario, signal: PriceSignal) -> dict[str, FloatArray]:
    """Power of every leaf and branch if all leaves answer the same signal, kW and kvar, [T, 2]."""
    sums = {leaf.name: leaf.respond(signal).x for leaf in tree.participants()}
    hierarchy = tree.problem.hierarchy
    for branch in reversed(hierarchy.top_down):
        sums[branch.name] = np.sum([sums[child] for child in hierarchy.children[branch.name]], axis=0)
    return sums


class _Bounds:
    """Limits of a linear function of powers, from its values without coordination and with levelled powers."""

    def __init__(
        self, generator: np.random.Generator, alone: Mapping[str, FloatArray], levelled: Mapping[str, FloatArray]
    ) -> None:
        self._generator, self._alone, self._levelled = generator, alone, levelled

    def of(self, coefficients: Mapping[str, FloatArray]) -> tuple[FloatArray, FloatArray]:
        """Lower and upper limit of Σ a_c's_c, constant, each [T]."""
        alone, levelled = (
            np.sum([sums[child] @ a for child, a in coefficients.items()], axis=0)
            for sums in (self._alone, self._levelled)
        )
        upper = self._above(alone, levelled)
        return -self._above(-alone, -levelled), upper

    def _above(self, alone: FloatArray, levelled: FloatArray) -> FloatArray:
        room = ROOM_REL * np.ptp(levelled)
        way = max(float(alone.max() - levelled.max()), 0.0)
        return np.full(len(alone), levelled.max() + max(self._generator.uniform(*TIGHTNESS) * way, room))


def _limited(generator: np.random.Generator, hierarchy: Hierarchy, branch: Branch, bounds: _Bounds) -> Branch:
    """The branch with its limits and rows."""
    name, above_lowest = branch.name, max(hierarchy.level.values()) - hierarchy.level[branch.name]
    limits = PowerLimits(*bounds.of({name: np.array([1.0, 0.0])}))
    if branch.parent is None:
        limits = PowerLimits(limits.p_min_kw, limits.p_max_kw, *bounds.of({name: np.array([0.0, 1.0])}))
    rows = []
    for k in range(VOLTAGES):
        pu_per_kw = PU_PER_KW / 4**above_lowest
        a = {c: -pu_per_kw * generator.uniform([0.2, 0.1], [1.0, 0.5]) for c in hierarchy.children[name]}
        rows.append(BranchRow(f"v{k}", a, *bounds.of(a)))
    return Branch(name, branch.parent, limits, tuple(rows))
