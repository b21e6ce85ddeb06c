"""The node of an aggregator: an operator to its children, a prosumer to its parent (paper B, section II).

It begins by asking its leaves for their own optima, and tells the parent their sum. From then on it *fires* whenever
its parent's signal and the answers of all children are there: it updates its edges, answers the parent with the sum of
its copies, and asks its children anew. Branches of odd levels count as fired once at the beginning, so that levels
alternate by themselves and a round costs two hops at any depth.
"""

from collections.abc import Sequence

import numpy as np

from mpc.coordination.nodes import Message, Overdue
from mpc.coordination.tree.memory import PricedBranch
from mpc.coordination.tree.messages import BranchAnswer, BranchSignal
from mpc.coordination.tree.penalty import Penalty
from mpc.coordination.tree.pool import Pool, RoundQuestion
from mpc.coordination.tree.program import AskedOfBranch


class Aggregator:
    """Node of a branch below the root. It starts with a penalty of its own, until its parent's signal tells one."""

    done = True

    def __init__(self, parent: str, pool: Pool, penalty: Penalty) -> None:
        self.name, self.pool = pool.place.name, pool
        self._parent, self._penalty = parent, penalty
        self._signal: Message[BranchSignal] | None = None

    def start(self) -> Sequence[Message[object]]:
        """Ask the leaves for their own optima."""
        return [*self.pool.start(), *self._act()]

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        """Collect signal and answers; fire when all are there, or when those missing are overdue."""
        for message in inbox:
            match message.body:
                case BranchSignal() as body:
                    self._signal = Message(message.sender, message.receiver, message.question, body)
                case Overdue():
                    self.pool.hold_missing()
                case _:
                    self.pool.receive(message)
        return self._act()

    def _act(self) -> list[Message[object]]:
        if self.pool.missing:
            return []
        if self.pool.edges is None:
            return self._begin()
        return [] if self._signal is None else self._fire(self._signal)

    def _begin(self) -> list[Message[object]]:
        """The sum of the own optima goes up; an odd level asks its first question at once."""
        pool = self.pool
        account = pool.total()
        pool.begin(self._penalty.start(account, pool.place))
        answer = BranchAnswer(pool.p.sum(axis=0), account, pool.ledger.share())
        first = pool.ask(RoundQuestion(1)) if pool.place.odd else []
        return [Message(self.name, self._parent, 0, answer), *first]

    def _fire(self, message: Message[BranchSignal]) -> list[Message[object]]:
        self._signal, body, pool = None, message.body, self.pool
        number, signal = message.question // 2, body.signal
        h = np.diag(signal.h[0])
        answered_account, answered_share = pool.ledger.account(), pool.ledger.share()
        found = pool.fire(AskedOfBranch(h, signal.g), float(h[0]) * float(pool.place.n_leaves.sum()), body.published)
        answer = BranchAnswer(found.s.sum(axis=0), answered_account, answered_share, pool.report(found))
        question = RoundQuestion(
            number + pool.place.odd,
            wave_number=body.wave.number if body.wave else 0,
            priced=PricedBranch(body.wave.price, found.row_prices) if body.wave else None,
            best_round=body.best_round,
            best_wave=body.best_wave,
        )
        return [Message(self.name, self._parent, message.question, answer), *pool.ask(question)]
