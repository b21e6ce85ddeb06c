"""Coordination by a tree of aggregators within one process: the nodes, and the result read from all of them."""

from collections.abc import Iterator, Mapping, Sequence

from core.config_coordination import TreeConfig
from core.errors import CoordinationError
from core.hierarchy import TreeProblem
from core.hierarchy_faults import check
from core.plan import Agreement
from core.prices import SMALLEST_TARIFF
from core.time import Clock
from mpc.coordination import rounds
from mpc.coordination.nodes import Deadline, Message
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.participants import PriceResponsive, ProsumerNode
from mpc.coordination.rounds import CARRIER, Carrier
from mpc.coordination.tree.aggregator import Aggregator
from mpc.coordination.tree.judging import Judged
from mpc.coordination.tree.ledger import BranchPlace, Ledger
from mpc.coordination.tree.memory import TreeWarmStart
from mpc.coordination.tree.outcome import BranchState, HeldMember, TreeOutcome
from mpc.coordination.tree.penalty import Penalty
from mpc.coordination.tree.pool import Pool
from mpc.coordination.tree.root import Root
from mpc.coordination.tree.rows import FixedRows, RowModel
from mpc.price import violation_price_chf_per_kwh

RowModels = Mapping[str, RowModel]
"""Row models by branch; a branch that is not named has its limits and rows as declared."""


def coordinate_tree(
    problem: TreeProblem,
    participants: Sequence[PriceResponsive],
    settings: TreeConfig,
    clock: Clock,
    carry: Carrier = rounds.run,
    warm_start: TreeWarmStart | None = None,
) -> TreeOutcome:
    """Agree on prices under which the prosumers' own optima together respect the limits of all branches.

    Args:
        participants: one for each leaf of the hierarchy.
        carry: moves the messages; when it stops, the root concludes with its best round.
        warm_start: from an earlier coordination of the same tree, shifted to this horizon.

    Raises:
        InputError: the problem is no sound tree, with one line per fault.
        CoordinationError: the carrier stopped before every participant had answered once.
        SolverError, SolverLicenceError: a prosumer's solver failed.
    """
    check(problem)
    return Tree(problem, settings, clock, warm_start).coordinate(participants, carry)


class Tree:
    """The nodes of all branches, of a problem without faults; ``nodes`` has each after its parent."""

    def __init__(
        self,
        problem: TreeProblem,
        settings: TreeConfig,
        clock: Clock,
        warm_start: TreeWarmStart | None = None,
        models: RowModels | None = None,
    ) -> None:
        self._problem, self._settings, self._warm = problem, settings, warm_start
        self._models = models or {}
        tree = problem.hierarchy
        pools = {branch.name: self._pool(branch.name) for branch in tree.top_down}
        rho = settings.rho if settings.rho != "auto" else warm_start.rho if warm_start else None
        self.root = Root(problem, settings, clock, pools.pop(tree.root.name), Penalty(rho))
        self.root.judge.confirmations = 1 + max(tree.level.values()) if self._models else 0
        self.aggregators = [
            Aggregator(tree.by_name[name].parent or "", pool, Penalty(rho)) for name, pool in pools.items()
        ]

    def coordinate(self, participants: Sequence[PriceResponsive], carry: Carrier = rounds.run) -> TreeOutcome:
        """See :func:`coordinate_tree`."""
        carry([self.root, *self.aggregators, *map(ProsumerNode, participants)])
        self.root.react([Message(CARRIER, self.root.name, 0, Deadline())])
        if self.root.result is None:
            silent = dict.fromkeys(name for pool in self._pools for name in pool.missing)
            raise CoordinationError(f"coordination: no answer from {', '.join(silent)}")
        return self._outcome(self.root.result)

    @property
    def _pools(self) -> list[Pool]:
        return [self.root.pool, *(aggregator.pool for aggregator in self.aggregators)]

    def _pool(self, name: str) -> Pool:
        """The children's side of a branch."""
        problem, settings, tree = self._problem, self._settings, self._problem.hierarchy
        children, dt_h = tree.children[name], problem.axis.dt_h
        place = BranchPlace(
            name=name,
            branches=tuple(child for child in children if child in tree.by_name),
            leaves=tuple(child for child in children if child in tree.leaves),
            n_leaves=tree.counts(children),
            odd=tree.level[name] % 2 == 1,
            tariff=problem.tariff.signal(dt_h).g,
            price_floor=SMALLEST_TARIFF * dt_h,
            kappa=violation_price_chf_per_kwh(settings, problem.tariff) * dt_h,
            alpha=settings.relaxation,
        )
        model = self._models.get(name) or FixedRows(tree.by_name[name], children, problem.axis.n_steps)
        return Pool(place, model, self._warm.branches[name] if self._warm else None)

    def _outcome(self, result: Judged) -> TreeOutcome:
        root, judge = self.root, self.root.judge
        assert root.status is not None
        bound, relaxed_chf, gap_rel = judge.bound, judge.relaxed_chf, judge.gap(result)
        found = dict(self._agreements(self.root.pool.place.name, result.account.number))
        first = dict(self._agreements(self.root.pool.place.name, 0))
        scale = max(abs(bound.restricted_chf), result.account.turnover_chf) if bound else 1.0
        lost_rel = (bound.restricted_chf - relaxed_chf) / scale if bound and relaxed_chf is not None else None
        wave = bound.number if bound else 0
        leaves, silent = self._problem.hierarchy.leaves, tuple(self._silent())
        return TreeOutcome(
            status=CoordinationStatus.PARTIAL if silent else root.status,
            gap_rel=gap_rel,
            relaxation_gap_rel=lost_rel,
            objective_chf=result.objective_chf,
            unheld_chf=result.account.unheld_chf,
            bound_chf=relaxed_chf,
            turnover_chf=result.account.turnover_chf,
            violation_rel=result.account.violation_rel,
            agreements={name: found[name] for name in leaves},
            uncoordinated={name: first[name].profile for name in leaves},
            branches=dict(self._branches(self.root.pool.place.name, result.account.number, wave)),
            rounds=tuple(root.rounds),
            rounds_asked=root.pool.asked,
            silent=silent,
            warm_start=self._warm_start(result.account.number, wave),
        )

    def _warm_start(self, number: int, wave: int) -> TreeWarmStart:
        memories = {pool.place.name: pool.memory(number, wave) for pool in self._pools}
        rho = next((one.rho for one in self.root.rounds if one.number == number), self.root.rho)
        return TreeWarmStart(memories, rho)

    def _ledger(self, name: str) -> Ledger:
        return next(pool.ledger for pool in self._pools if pool.place.name == name)

    def _agreements(self, name: str, number: int) -> Iterator[tuple[str, Agreement]]:
        """The agreements of a round under a branch; under one that is held, those of its last account."""
        ledger = self._ledger(name)
        yield from ledger.agreements[number].items()
        for branch, account in ledger.accounts[number].items():
            yield from self._agreements(branch, account.number)

    def _branches(self, name: str, number: int, wave: int) -> Iterator[tuple[str, BranchState]]:
        """The states of a branch and of those under it in a round, with the prices of a wave."""
        ledger = self._ledger(name)
        yield name, ledger.state(number, wave)
        for branch, account in ledger.accounts[number].items():
            yield from self._branches(branch, account.number, wave)

    def _silent(self) -> Iterator[HeldMember]:
        for pool in self._pools:
            for child, answered in pool.ledger.held.items():
                yield HeldMember(child, pool.asked - answered)
