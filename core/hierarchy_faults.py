"""What is wrong with a tree of aggregators: one line per fault, and none for what only follows from another."""

from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from core.arrays import FloatArray
from core.errors import Fault, InputError, shown
from core.hierarchy import Branch, BranchRow, Hierarchy, TreeProblem

LIMITS = {"p_min_kw": "kW", "p_max_kw": "kW", "q_min_kvar": "kvar", "q_max_kvar": "kvar"}
SIDES = (("p_min_kw", "p_max_kw"), ("q_min_kvar", "q_max_kvar"))


def check(problem: TreeProblem) -> None:
    """Refuse a problem that is no tree, or has series of a wrong length.

    Raises:
        InputError: with every fault.
    """
    steps, found = problem.axis.n_steps, hierarchy_faults(problem.hierarchy, problem.axis.n_steps, "hierarchy")
    if problem.target_kw is not None:
        found += _series("hierarchy", "objective.target_kw", problem.target_kw, steps, "kW")
    weight = problem.peak_weight_per_kw2
    if not 0 <= weight < np.inf:
        found.append(Fault("hierarchy", "objective.peak_weight_per_kw2", f"{weight:g}", "a number ≥ 0"))
    if found:
        raise InputError(found)


def hierarchy_faults(hierarchy: Hierarchy, steps: int, file: str) -> list[Fault]:
    """Every fault of a tree over ``steps`` steps; the keys are those of its configuration in ``file``."""
    found = [*_names(hierarchy, file), *_parents(hierarchy, file)]
    children = _children(hierarchy)
    for k, branch in enumerate(hierarchy.branches):
        key = f"branches[{k}]"
        if not children[branch.name]:
            found.append(Fault(file, f"{key}.name", shown(branch.name), "a branch with at least one child"))
        found += _limits(file, key, branch, steps)
        for j, row in enumerate(branch.rows):
            found += _row(file, f"{key}.rows[{j}]", row, children[branch.name], steps)
    return found


def _names(hierarchy: Hierarchy, file: str) -> Iterator[Fault]:
    """Names are unique among branches and leaves together."""
    keys = [(f"branches[{k}].name", branch.name) for k, branch in enumerate(hierarchy.branches)]
    keys += [(f"prosumers[{k}].name", leaf) for k, leaf in enumerate(hierarchy.leaves)]
    counts, seen = Counter(name for _, name in keys), set[str]()
    for key, name in keys:
        if name in seen and counts[name] > 1:
            yield Fault(file, key, shown(name), "a name that no other branch or prosumer has")
        seen.add(name)


def _parents(hierarchy: Hierarchy, file: str) -> Iterator[Fault]:
    """One root, known parents, no loop, and leaves on branches."""
    parents = {branch.name: branch.parent for branch in hierarchy.branches}
    roots = [k for k, branch in enumerate(hierarchy.branches) if branch.parent is None]
    if not roots:
        yield Fault(file, "branches", "no branch without a parent", "exactly one, the root")
    for k in roots[1:]:
        first = hierarchy.branches[roots[0]].name
        yield Fault(file, f"branches[{k}].parent", "nothing", f"a branch: {first} is the root, and there is only one")
    for k, branch in enumerate(hierarchy.branches):
        if branch.parent is not None and branch.parent not in parents:
            yield Fault(file, f"branches[{k}].parent", shown(branch.parent), "the name of a branch")
    for loop in _loops(parents):
        k = next(k for k, branch in enumerate(hierarchy.branches) if branch.name == loop[0])
        way = " → ".join((*loop, loop[0]))
        yield Fault(file, f"branches[{k}].parent", shown(parents[loop[0]]), f"no loop of parents ({way})")
    for k, (_, name) in enumerate(hierarchy.leaves.items()):
        if name not in parents:
            yield Fault(file, f"prosumers[{k}].branch", shown(name), "the name of a branch")


def _loops(parents: Mapping[str, str | None]) -> Iterator[list[str]]:
    """Each loop of parents once, from the branch that is declared first."""
    known: set[str] = set()
    for name in parents:
        way: list[str] = []
        at: str | None = name
        while at is not None and at in parents and at not in known and at not in way:
            way.append(at)
            at = parents[at]
        if at in way:
            yield way[way.index(at) :]
        known.update(way)


def _children(hierarchy: Hierarchy) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {branch.name: set() for branch in hierarchy.branches}
    for child, parent in [*((b.name, b.parent) for b in hierarchy.branches), *hierarchy.leaves.items()]:
        if parent in found:
            found[parent].add(child)
    return found


def _limits(file: str, key: str, branch: Branch, steps: int) -> Iterator[Fault]:
    for name, unit in LIMITS.items():
        if (series := getattr(branch.limits, name)) is not None:
            yield from _series(file, f"{key}.{name}", series, steps, unit)
    for low, high in SIDES:
        yield from _order(file, f"{key}.{low}", getattr(branch.limits, low), getattr(branch.limits, high))


def _row(file: str, key: str, row: BranchRow, children: set[str], steps: int) -> Iterator[Fault]:
    for child, a in row.coefficients.items():
        where = f"{key}.coefficients.{child}"
        if child not in children:
            yield Fault(file, where, shown(child), f"a child of the branch: {', '.join(sorted(children)) or 'none'}")
        if a.shape not in ((2,), (steps, 2)):
            yield Fault(file, where, f"an array {a.shape}", f"(per kW, per kvar), once or for each of {steps} steps")
        elif not np.isfinite(a).all():
            yield Fault(file, where, "NaN or infinite", "finite numbers")
    if not any(np.any(a) for a in row.coefficients.values()):
        yield Fault(file, f"{key}.coefficients", "no number but 0", "at least one child with a number")
    if row.lower is None and row.upper is None:
        yield Fault(file, key, "neither lower nor upper", "at least one of them")
    for side, series in (("lower", row.lower), ("upper", row.upper)):
        if series is not None:
            yield from _series(file, f"{key}.{side}", series, steps, "the unit of the row")
    if row.scale is not None and not 0 < row.scale < np.inf:
        yield Fault(file, f"{key}.scale", f"{row.scale:g}", "a number > 0")
    yield from _order(file, f"{key}.lower", row.lower, row.upper)


def _series(file: str, key: str, series: FloatArray, steps: int, unit: str) -> Iterator[Fault]:
    if series.shape != (steps,):
        yield Fault(file, key, f"{series.size} values", f"one for each of {steps} steps ({unit})")
    elif not np.isfinite(series).all():
        step = int(np.flatnonzero(~np.isfinite(series))[0])
        yield Fault(file, key, f"{series[step]} in step {step}", f"finite numbers ({unit})")


def _order(file: str, key: str, lower: FloatArray | None, upper: FloatArray | None) -> Iterator[Fault]:
    if lower is None or upper is None or lower.shape != upper.shape or not np.isfinite([lower, upper]).all():
        return
    crossed = np.flatnonzero(lower > upper)
    if crossed.size:
        step = int(crossed[0])
        yield Fault(file, key, f"{lower[step]:g} in step {step}", f"at most the upper limit there, {upper[step]:g}")
