"""One random tree: the central optimum, and every algorithm judged by it and by the oracle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import process_time
from typing import TypeVar

from core.algorithms import TreeAlgorithm
from core.arrays import FloatArray
from core.config_coordination import TreeConfig
from core.time import Clock
from mpc.coordination.tree.coordination import coordinate_tree
from mpc.coordination.tree.outcome import TreeRound
from mpc.coordination.tree.sharing import RELAXATIONS, Sharing, SharingOutcome, coordinate_by_sharing
from mpc.price import violation_price_chf_per_kwh
from mpc.trees.oracle import judge
from mpc.trees.random_tree import MAX_LEVELS, random_tree
from mpc.trees.reference import CentralTree, TreeOptimum
from mpc.trees.scenario import TreeScenario

TOLERANCE_REL = 1e-3
"""Of the distance to the optimum, relative to it or to the turnover, and of the excess of a limit."""
MAX_ROUNDS = 300
T = TypeVar("T")


@dataclass(frozen=True)
class StudiedRound:
    """One round, by the answers of the leaves.

    Attributes:
        primal: of the tree ‖p_c − v_c‖ over all edges, of the paper's iteration the mean over all limits of ‖x̄ − z̄‖.
        distance_rel: |objective − optimum| / max(|optimum|, turnover).
    """

    primal: float
    distance_rel: float
    violation_rel: float

    @property
    def reached(self) -> bool:
        """Whether the round is within the tolerance."""
        return max(self.distance_rel, self.violation_rel) <= TOLERANCE_REL


@dataclass(frozen=True)
class StudiedRun:
    """One algorithm on one tree; its result is judged by the oracle.

    Attributes:
        status: of the tree how it ended; of the paper's iteration ``reached`` or ``rounds``, as the optimum ends it.
        reached: number of the first round within the tolerance; None: none was.
        hops: messages in a row that a round needs: two, or one down and one up on each level.
        cpu_ms_per_agent: CPU time of the whole coordination over the number of leaves.
        gap_rel: certified; None without a certificate.
        above_optimum_chf: largest excess of a lower bound over the optimum; it must not be positive.
        impossible: number of leaves whose battery cannot follow the profile.
    """

    algorithm: TreeAlgorithm
    status: str
    rounds: tuple[StudiedRound, ...]
    reached: int | None
    hops: int
    cpu_ms_per_agent: float
    gap_rel: float | None
    above_optimum_chf: float | None
    distance_rel: float
    violation_rel: float
    impossible: int


@dataclass(frozen=True)
class StudiedTree:
    """One tree with its central optimum (CHF; CPU time of building and solving the program, ms) and all runs."""

    tree: int
    seed: int
    levels: int
    branches: int
    leaves: int
    optimum_chf: float
    turnover_chf: float
    central_cpu_ms: float
    runs: tuple[StudiedRun, ...]


def study_tree(tree: int, seed: int, clock: Clock) -> StudiedTree:
    """Study one tree; the number of levels goes through 1 … 4 as the trees are counted.

    Raises:
        SolverError: a program was not solved.
    """
    case = TreeCase.of(random_tree(seed, 1 + tree % MAX_LEVELS))
    hierarchy = case.scenario.problem.hierarchy
    return StudiedTree(
        tree=tree,
        seed=seed,
        levels=case.levels,
        branches=len(hierarchy.branches),
        leaves=len(hierarchy.leaves),
        optimum_chf=case.optimum.objective_chf,
        turnover_chf=case.turnover_chf,
        central_cpu_ms=1e3 * case.central_cpu_s,
        runs=(case.tree(clock), *(case.sharing(algorithm, clock) for algorithm in RELAXATIONS)),
    )


@dataclass(frozen=True)
class TreeCase:
    """A tree with what its runs are judged by: price of a violation, central optimum, turnover; CPU time of the
    optimum, s.
    """

    scenario: TreeScenario
    price_chf_per_kwh: float
    optimum: TreeOptimum
    turnover_chf: float
    central_cpu_s: float

    @classmethod
    def of(cls, scenario: TreeScenario) -> "TreeCase":
        """The case of a tree, solved centrally.

        Raises:
            SolverError: the central program was not solved.
        """
        price = violation_price_chf_per_kwh(TreeConfig(), scenario.problem.tariff)
        optimum, cpu_s = _timed(lambda: CentralTree(scenario, price).optimum())
        return cls(scenario, price, optimum, judge(scenario, optimum.x, price).turnover_chf, cpu_s)

    @property
    def levels(self) -> int:
        """Levels of aggregators."""
        return max(self.scenario.problem.hierarchy.level.values()) + 1

    def tree(self, clock: Clock) -> StudiedRun:
        """Coordinate by the tree until it certifies its result."""
        problem, settings = self.scenario.problem, TreeConfig(max_rounds=MAX_ROUNDS)
        outcome, cpu_s = _timed(lambda: coordinate_tree(problem, self.scenario.participants(), settings, clock))
        bounds = [each.bound_chf - self.optimum.total_chf for each in outcome.rounds if each.bound_chf is not None]
        x = {name: agreement.profile.x for name, agreement in outcome.agreements.items()}
        run = self._run(TreeAlgorithm.TREE, outcome.rounds, x, cpu_s)
        above_chf = max(bounds, default=None)
        return replace(run, status=str(outcome.status), gap_rel=outcome.gap_rel, above_optimum_chf=above_chf)

    def sharing(self, algorithm: TreeAlgorithm, clock: Clock) -> StudiedRun:
        """Iterate until the answers are as good as they should be."""
        settings = TreeConfig(relaxation=RELAXATIONS[algorithm])
        outcome, cpu_s = _timed(lambda: self.iterated(settings, clock))
        return self._run(algorithm, outcome.rounds, outcome.x, cpu_s)

    def iterated(self, settings: TreeConfig, clock: Clock, scaled: bool = True) -> SharingOutcome:
        """The paper's iteration with any settings, until a round is within the tolerance."""
        sharing = Sharing(self.scenario.problem, self.scenario.participants(), settings, scaled)
        return coordinate_by_sharing(sharing, MAX_ROUNDS, clock, lambda each: self._judged(each).reached)

    def _run(
        self, algorithm: TreeAlgorithm, rounds: Sequence[TreeRound], x: Mapping[str, FloatArray], cpu_s: float
    ) -> StudiedRun:
        judged = tuple(map(self._judged, rounds))
        verdict = judge(self.scenario, x, self.price_chf_per_kwh)
        reached = next((number for number, each in enumerate(judged, 1) if each.reached), None)
        return StudiedRun(
            algorithm=algorithm,
            status="rounds" if reached is None else "reached",
            rounds=judged,
            reached=reached,
            hops=2 if algorithm is TreeAlgorithm.TREE else 2 * self.levels,
            cpu_ms_per_agent=1e3 * cpu_s / len(self.scenario.sites),
            gap_rel=None,
            above_optimum_chf=None,
            distance_rel=self._distance_rel(verdict.objective_chf),
            violation_rel=verdict.violation_rel,
            impossible=len(verdict.impossible),
        )

    def _judged(self, each: TreeRound) -> StudiedRound:
        return StudiedRound(each.primal, self._distance_rel(each.objective_chf), each.violation_rel)

    def _distance_rel(self, objective_chf: float) -> float:
        optimum_chf = self.optimum.objective_chf
        return abs(objective_chf - optimum_chf) / max(abs(optimum_chf), self.turnover_chf)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    """The result of work, and its CPU time in this process, s."""
    began_s = process_time()
    result = work()
    return result, process_time() - began_s
