"""The node of the root: peak shaving or a target (18), the penalty, the lower bounds, the stop.

Its own objective e(P) = γ/2 Σ_t (P − target)² takes the place of a parent's signal: h = γ, g = −γ target. It fires when
all its children have answered, and judges the rounds whose accounts are complete by then: one per firing, as many
rounds later as there are levels below.
"""

from collections.abc import Sequence

import numpy as np

from core.config_coordination import TreeConfig
from core.hierarchy import TreeProblem
from core.time import Clock
from mpc.coordination.nodes import Deadline, Message, Overdue
from mpc.coordination.outcome import CoordinationStatus, Unanswered
from mpc.coordination.tree.judging import Judge, Judged
from mpc.coordination.tree.memory import PricedBranch
from mpc.coordination.tree.outcome import TreeRound
from mpc.coordination.tree.penalty import Penalty
from mpc.coordination.tree.pool import Pool, RoundQuestion
from mpc.coordination.tree.program import AskedOfBranch


class Root:
    """Node of the root. When it is done, :attr:`status` says why, and :attr:`result` is the round that counts."""

    def __init__(self, problem: TreeProblem, settings: TreeConfig, clock: Clock, pool: Pool, penalty: Penalty) -> None:
        self.name, self.pool, self.judge = pool.place.name, pool, Judge(problem, settings)
        self.status: CoordinationStatus | None = None
        self.unanswered: Unanswered | None = None
        self.result: Judged | None = None
        self.rounds: list[TreeRound] = []
        self.rho = 0.0
        gamma = problem.peak_weight_per_kw2
        target = np.column_stack([problem.target, np.zeros_like(problem.target)])
        self._asked = AskedOfBranch(np.array([gamma, 0.0]), -gamma * target)
        self._settings, self._clock, self.penalty = settings, clock, penalty
        self._began_s = clock.monotonic_s()

    @property
    def done(self) -> bool:
        """Whether there is a result, or nobody to wait for."""
        return self.status is not None

    def start(self) -> Sequence[Message[object]]:
        """Ask the leaves for their own optima."""
        return self.pool.start()

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        """Collect answers; fire when all are there, or when those missing are overdue; conclude at a deadline."""
        out_of_time = False
        for message in inbox:
            match message.body:
                case Deadline():
                    out_of_time = True
                case Overdue():
                    self.pool.hold_missing()
                case _:
                    self.pool.receive(message)
        if self.done:
            return []
        messages = [] if self.pool.missing else self._fire()
        if out_of_time and not self.done:
            self._conclude(CoordinationStatus.BUDGET)
            return []
        return messages

    def _fire(self) -> list[Message[object]]:
        pool = self.pool
        if pool.edges is None:
            self._begin()
        elif (account := pool.ledger.account()) is not None:
            self._bounded()
            judged = self._entered(self.judge.enter(account))
            if (status := self._status(judged)) is not None:
                self._conclude(status)
                return []
            self.rho = self.penalty.adapted(self.rho, judged, self.judge)
        self._bounded()
        found = pool.fire(self._asked, self.rho)
        price = self.judge.peak_price(found.s[:, :, 0].sum(axis=0))
        bound, number = self.judge.bound, pool.asked + 1
        return pool.ask(
            RoundQuestion(
                number,
                number,
                PricedBranch(price, found.row_prices),
                best_round=self.judge.oldest,
                best_wave=bound.number if bound else 0,
            )
        )

    def _begin(self) -> None:
        """The penalty by the uncoordinated answers, which are the first to be judged."""
        account = self.pool.total()
        self.rho = self.penalty.start(account, self.pool.place)
        self.pool.begin(self.rho)
        self.judge.enter(account)

    def _bounded(self) -> None:
        if (share := self.pool.ledger.share()) is not None:
            self.judge.bounded(share, self.pool.ledger.waves[share.number].priced.price)

    def _entered(self, judged: Judged) -> Judged:
        """Record a round."""
        account, bound = judged.account, self.judge.bound
        self.rounds.append(
            TreeRound(
                number=account.number,
                primal=account.primal,
                dual=account.dual,
                rho=self.rho,
                objective_chf=judged.objective_chf,
                unheld_chf=account.unheld_chf,
                bound_chf=bound.restricted_chf if bound else None,
                gap_rel=self.judge.gap(judged),
                violation_rel=account.violation_rel,
                wall_ms=1e3 * (self._clock.monotonic_s() - self._began_s),
            )
        )
        return judged

    def _status(self, judged: Judged) -> CoordinationStatus | None:
        """Why to stop after this round, if at all."""
        for one in filter(None, (judged, self.judge.best)):
            if (status := self.judge.met(one)) is not None:
                self.result = one
                return status
        if self.pool.asked >= self._settings.max_rounds:
            return CoordinationStatus.ITERATIONS
        if self._clock.monotonic_s() - self._began_s >= self._settings.budget_s:
            return CoordinationStatus.BUDGET
        return None

    def _conclude(self, status: CoordinationStatus) -> None:
        """The result is the round that met the rule, else the best; a held member makes it partial."""
        self.result = self.result or self.judge.best
        self.status = status
        if self.result is None:
            self.unanswered = Unanswered(status, None, tuple(self.pool.missing))
        elif self.result.account.held or self.pool.ledger.held:
            self.status = CoordinationStatus.PARTIAL
        elif status is not CoordinationStatus.CONVERGED and self.judge.unavoidable(self.result):
            self.status = CoordinationStatus.INFEASIBLE
