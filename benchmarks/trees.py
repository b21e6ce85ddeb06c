"""Trees of aggregators: rounds and CPU time of both algorithms on random trees, judged by the central optimum."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from rich.console import Console

from benchmarks.cases import ROOT
from benchmarks.tables import ResultTable, Targets, three_digits
from controller.process.clocks import WallClock
from controller.studies.trees.campaign import AskedStudy, TreeStudy
from controller.studies.trees.finish import finish
from controller.studies.trees.one_tree import StudiedRun, StudiedTree, TreeCase, study_tree
from controller.studies.trees.tables import runs_of
from core.algorithms import TreeAlgorithm
from core.config_coordination import TreeConfig
from mpc.coordination.star.penalty import natural_penalty
from mpc.coordination.tree.sharing import Sharing
from mpc.trees.random_tree import random_tree

TREES, FIRST_SEED = 12, 2000
STUDY, SAMPLE = ROOT / "runs" / "proof-trees", 40
"""Folder of the study of the proof, which goes on if it was interrupted; trees that the issue's bounds are for."""
Rounds = Sequence[int | None]
Quantity = Callable[[StudiedRun], float]


@dataclass(frozen=True)
class SharingVariant:
    """The paper's iteration with a multiple of a penalty: natural for all limits of a leaf together, or for each."""

    label: str
    alpha: float = 1.0
    share: float = 1.0
    each: bool = False
    scaled: bool = True


VARIANTS = (
    SharingVariant("paper, ρ natural for every limit", each=True),
    SharingVariant("– with α = 1.6", 1.6, each=True),
    SharingVariant("paper, ρ natural for all limits of a leaf", 1.0),
    SharingVariant("– with α = 1.6", 1.6),
    *(SharingVariant(f"– {share:g} × that ρ", share=share) for share in (0.3, 3.0)),
    SharingVariant("– limits not scaled", scaled=False),
)


def run() -> Iterator[ResultTable]:
    """Rounds of the tree and of variants of the paper's iteration; CPU time by level beside the central program."""
    clock, seeds = WallClock(), range(FIRST_SEED, FIRST_SEED + TREES)
    trees = [study_tree(k, seed, clock) for k, seed in enumerate(seeds)]
    cases = [TreeCase.of(random_tree(tree.seed, tree.levels)) for tree in trees]
    own = [each.reached for each in runs_of(trees, TreeAlgorithm.TREE)]
    table = ResultTable(
        f"Rounds to 1e-3 of the optimum and of all limits, {TREES} random trees",
        ("", "reached", "median", "worst", "relative to the tree, median"),
    )
    table.add("tree of aggregators", *_cells(own, own))
    for variant in VARIANTS:
        table.add(variant.label, *_cells([_reached(variant, case) for case in cases], own))
    yield table
    yield cpu_table(trees)


def _reached(variant: SharingVariant, case: TreeCase) -> int | None:
    problem = case.scenario.problem
    sharing = Sharing(problem, case.scenario.participants(), TreeConfig(), variant.scaled)
    natural = natural_penalty(problem.tariff.buy_chf_per_kwh * problem.axis.dt_h, sharing.x)
    rho = variant.share * (natural if variant.each else sharing.rho)
    outcome = case.iterated(TreeConfig(relaxation=variant.alpha, rho=rho), WallClock(), variant.scaled)
    return len(outcome.rounds) if outcome.ended else None


def _cells(reached: Rounds, own: Rounds) -> Iterator[str]:
    yield str(sum(each is not None for each in reached))
    rounds = _numbers(reached)
    yield from map(_round, (median(rounds), max(rounds)))
    yield three_digits(median(a / b for a, b in zip(rounds, _numbers(own), strict=True)))


def _numbers(reached: Rounds) -> list[float]:
    return [np.inf if each is None else float(each) for each in reached]


def _round(number: float) -> str:
    return "never" if np.isinf(number) else f"{number:.0f}"


def cpu_table(trees: Sequence[StudiedTree]) -> ResultTable:
    """Medians by the number of levels; *central* is one program with all data, cvxpy included."""
    table = ResultTable(
        "CPU time by levels, medians",
        ("levels", "trees", "prosumers", "tree, rounds", "tree, ms per prosumer", "paper, ms per prosumer",
         "tree, ms", "central, ms", "tree / central"),
    )  # fmt: skip
    for level in sorted({tree.levels for tree in trees}):
        chosen = [tree for tree in trees if tree.levels == level]
        each, paper = (
            [run.cpu_ms_per_agent for run in runs_of(chosen, algorithm)]
            for algorithm in (TreeAlgorithm.TREE, TreeAlgorithm.SHARING)
        )
        whole = [ms * tree.leaves for ms, tree in zip(each, chosen, strict=True)]
        central = [tree.central_cpu_ms for tree in chosen]
        ratio = median(a / b for a, b in zip(whole, central, strict=True))
        rounds = median(len(run.rounds) for run in runs_of(chosen, TreeAlgorithm.TREE))
        times = map(three_digits, (median(each), median(paper), median(whole), median(central), ratio))
        size = f"{median(tree.leaves for tree in chosen):.0f}"
        table.add(str(level), str(len(chosen)), size, f"{rounds:.0f}", *times)
    return table


def proof(console: Console) -> Iterator[ResultTable]:
    """The study of 500 trees, and the bounds for its first 40 trees and for all."""
    study = TreeStudy.resume(STUDY) if (STUDY / "study.json").exists() else TreeStudy.begin(STUDY, AskedStudy(500, 1))
    study.run(2, lambda: False, lambda finished: console.print(f"{finished} of {study.asked.trees} trees"))
    finish(study, WallClock())
    trees = list(study.finished())
    yield from proof_tables(trees)


def proof_tables(trees: Sequence[StudiedTree]) -> Iterator[ResultTable]:
    """All tables of the study."""
    yield rounds_table(trees)
    yield ratios_table(trees)
    yield cpu_table(trees)
    yield targets(trees)


def rounds_table(trees: Sequence[StudiedTree]) -> ResultTable:
    """Rounds and hops by algorithm, and those until the tree has certified its result."""
    table = ResultTable(
        f"Rounds to 1e-3 of the optimum and of all limits, {len(trees)} random trees",
        ("", "reached", "median", "90 %", "worst", "hops, median"),
    )
    for algorithm in TreeAlgorithm:
        runs = runs_of(trees, algorithm)
        _add(table, algorithm, [each.reached for each in runs], [each.hops for each in runs])
    certified = _certified(trees)
    _add(table, "tree, certified", certified, [2] * len(certified))
    return table


def _add(table: ResultTable, name: str, reached: Rounds, hops: Sequence[int]) -> None:
    rounds = np.array(_numbers(reached))
    shown = np.quantile(rounds, (0.5, 0.9, 1.0), method="higher")
    found = str(int(np.isfinite(rounds).sum()))
    table.add(name, found, *map(_round, shown), _round(float(np.median(rounds * hops))))


def _certified(trees: Sequence[StudiedTree]) -> list[int | None]:
    """Rounds until the tree has certified its result; None where it did not."""
    runs = runs_of(trees, TreeAlgorithm.TREE)
    return [len(each.rounds) if each.status == "converged" else None for each in runs]


def targets(trees: Sequence[StudiedTree]) -> Targets:
    """What was asked of 40 trees and of all."""
    found = Targets()
    for chosen in (trees[:SAMPLE], trees):
        rounds, words = _numbers(_certified(chosen)), f"{len(chosen)} trees"
        found.check(f"{words}: all certified", f"{int(np.isfinite(rounds).sum())}", bool(np.isfinite(rounds).all()))
        found.check(f"{words}: median ≤ 45 rounds", _round(median(rounds)), median(rounds) <= 45)
        found.check(f"{words}: worst ≤ 120 rounds", _round(max(rounds)), max(rounds) <= 120)
    found.check(
        "goal: median ≤ 25, worst ≤ 50",
        f"{_round(median(rounds))}, {_round(max(rounds))}",
        median(rounds) <= 25 and max(rounds) <= 50,
    )
    _certificates(found, trees)
    _comparison(found, trees)
    return found


def _certificates(found: Targets, trees: Sequence[StudiedTree]) -> None:
    runs = runs_of(trees, TreeAlgorithm.TREE)
    above = max(each.above_optimum_chf or 0.0 for each in runs if each.above_optimum_chf is not None)
    found.check("bound ≤ optimum + 1e-6 in every round", f"{above:+.1e}", above <= 1e-6)
    worst = max(each.violation_rel for each in runs)
    found.check("violation ≤ 1e-3 of a limit, by the oracle", f"{worst:.1e}", worst <= 1e-3)
    impossible = sum(each.impossible for each in runs)
    found.check("batteries that cannot follow", str(impossible), impossible == 0)


def _comparison(found: Targets, trees: Sequence[StudiedTree]) -> None:
    ratio = median(_ratios(trees, TreeAlgorithm.SHARING, lambda run: _numbers([run.reached])[0]))
    found.check("rounds of the paper's iteration, α = 1 ≥ 3 × those of the tree", f"{ratio:.2f}×", ratio >= 3)
    one, four = (
        median(run.cpu_ms_per_agent for run in runs_of([t for t in trees if t.levels == level], TreeAlgorithm.TREE))
        for level in (1, 4)
    )
    found.check("CPU time per prosumer: four levels ≤ 2 × one", f"{four / one:.2f}×", four <= 2 * one)


def ratios_table(trees: Sequence[StudiedTree]) -> ResultTable:
    """What the paper's iteration needs of what the tree needs to come as near, median of the trees."""
    table = ResultTable("Relative to the tree of aggregators, medians", ("", "rounds", "hops", "CPU time"))
    quantities: tuple[Quantity, ...] = (
        lambda run: _numbers([run.reached])[0],
        lambda run: run.hops * _numbers([run.reached])[0],
        lambda run: run.cpu_ms_per_agent,
    )
    for algorithm in (TreeAlgorithm.SHARING, TreeAlgorithm.RELAXED_SHARING):
        table.add(algorithm, *(f"{median(_ratios(trees, algorithm, each)):.2f}×" for each in quantities))
    return table


def _ratios(trees: Sequence[StudiedTree], algorithm: TreeAlgorithm, quantity: Quantity) -> list[float]:
    pairs = zip(runs_of(trees, algorithm), runs_of(trees, TreeAlgorithm.TREE), strict=True)
    return [quantity(run) / quantity(own) for run, own in pairs]
