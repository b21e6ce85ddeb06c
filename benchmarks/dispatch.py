"""Dispatch of many resources: rounds and time until it is certified, and its distance to the optimum by cvxpy."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.tables import ResultTable, Targets
from mpc.coordination.dispatch.coordinator import DispatchSettings
from mpc.coordination.dispatch.fleet import Fleet
from mpc.coordination.dispatch.outcome import DispatchOutcome
from mpc.coordination.dispatch.solve import coordinate_dispatch, coordinate_fleet, dispatch
from mpc.coordination.dispatch.target import Norm, SectorTarget
from tests.support.dispatches import central_optimum, random_dispatch

SIZES = ((10, 3), (100, 3), (1000, 3), (10, 24), (100, 24), (1000, 24), (100_000, 24))
SEEDS = range(5000, 5010)
"""Odd seeds have own costs."""
REFERENCE_MOST = 1000
"""The largest number of resources for which the optimum is computed centrally."""
SETTINGS = DispatchSettings()


@dataclass(frozen=True)
class Dispatched:
    """An outcome, its CPU time, and its excess over the central optimum relative to the scale of its gap (or NaN)."""

    outcome: DispatchOutcome
    cpu_s: float
    excess_rel: float


def run() -> Iterator[ResultTable]:
    """Yield rounds and times by size, messages, and the targets."""
    table = ResultTable(
        f"Certified to 1e-3, {len(SEEDS)} random problems each",
        [
            "resources × sectors",
            "norm",
            "rounds, median",
            "worst",
            "CPU ms, median",
            "worst",
            "worst excess over the optimum",
        ],
    )
    found = {(size, norm): [dispatched(seed, *size, norm) for seed in SEEDS] for size in SIZES for norm in Norm}
    for ((resources, sectors), norm), results in found.items():
        rounds = [len(each.outcome.rounds) for each in results]
        cpu_ms = [1e3 * each.cpu_s for each in results]
        excess = max(each.excess_rel for each in results)
        table.add(
            f"{resources} × {sectors}", norm, f"{median(rounds):g}", f"{max(rounds)}", f"{median(cpu_ms):.0f}",
            f"{max(cpu_ms):.0f}", "–" if np.isnan(excess) else f"{excess:.1e}",
        )  # fmt: skip
    yield table
    yield one_by_one()
    yield targets(found)


def dispatched(seed: int, resources: int, sectors: int, norm: Norm) -> Dispatched:
    """Dispatch a random problem, and judge it."""
    fleet, target = random_dispatch(seed, resources, sectors, norm)
    began = time.process_time()
    outcome = coordinate_fleet(fleet, target, SETTINGS)
    cpu_s = time.process_time() - began
    if resources > REFERENCE_MOST:
        return Dispatched(outcome, cpu_s, np.nan)
    best, _ = central_optimum(fleet, target)
    return Dispatched(outcome, cpu_s, (outcome.objective - best) / scale(outcome, target))


def scale(outcome: DispatchOutcome, target: SectorTarget) -> float:
    """What the gap is relative to."""
    return max(abs(outcome.bound), target.distance(np.zeros(len(target.kw))))


def one_by_one() -> ResultTable:
    """The same problem by one fleet, and by a node for each resource."""
    table = ResultTable("100 resources, 3 sectors, L1, CPU ms", ["", "rounds", "ms"])
    fleet, target = random_dispatch(SEEDS[1], 100, 3, Norm.L1)
    ways: dict[str, Callable[[Fleet, SectorTarget, DispatchSettings], DispatchOutcome]] = {
        "without messages": dispatch,
        "one node for all": coordinate_fleet,
        "a node for each": coordinate_dispatch,
    }
    for name, way in ways.items():
        began = time.process_time()
        outcome = way(fleet, target, SETTINGS)
        table.add(name, f"{len(outcome.rounds)}", f"{1e3 * (time.process_time() - began):.0f}")
    return table


def tutorial() -> tuple[Fleet, SectorTarget]:
    """The problem of paper D, whose optimum is 2."""
    efficiency = np.array([[0.1, 0.5, -1.0], [0.1, 0.5, -1.0], [-1.0, 0.0, 1.0]])
    fleet = Fleet(("1", "2", "3"), np.array([10.0, 15.0, 10.0]), efficiency, np.zeros((3, 3)), np.zeros(3))
    return fleet, SectorTarget(np.array([-4.0, 0.0, 6.0]), np.array([5.0, 1.0, 1.0]), Norm.L1)


def targets(found: dict[tuple[tuple[int, int], Norm], list[Dispatched]]) -> Targets:
    """What was asked of the dispatch."""
    table = Targets()
    began = time.process_time()
    outcome = dispatch(*tutorial(), DispatchSettings(gap_tol=1e-7))
    cpu_s, off = time.process_time() - began, abs(outcome.objective - 2)
    table.check(
        "tutorial: optimum within 1e-6, ≤ 60 rounds, ≤ 0.1 s",
        f"{off:.0e}, {len(outcome.rounds)} rounds, {1e3 * cpu_s:.0f} ms",
        off <= 1e-6 and len(outcome.rounds) <= 60 and cpu_s <= 0.1,
    )
    three = [each for ((_, sectors), _), results in found.items() if sectors == 3 for each in results]
    rounds, cpu_s = max(len(each.outcome.rounds) for each in three), max(each.cpu_s for each in three)
    table.check(
        "10 … 1000 resources, 3 sectors: certified in ≤ 100 rounds and ≤ 1 s",
        f"{rounds} rounds, {1e3 * cpu_s:.0f} ms",
        all(each.outcome.converged for each in three) and rounds <= 100 and cpu_s <= 1,
    )
    many = [each for ((resources, _), _), results in found.items() if resources == SIZES[-1][0] for each in results]
    cpu_s = max(each.cpu_s for each in many)
    table.check(
        "100 000 resources, 24 sectors: certified in 5 s",
        f"{max(len(each.outcome.rounds) for each in many)} rounds, {cpu_s:.1f} s",
        all(each.outcome.converged for each in many) and cpu_s <= 5,
    )
    return table
