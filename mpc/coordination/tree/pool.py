"""The children of a branch as it sees them: an operator's side of an aggregator, without its own parent.

A pool asks its children, collects what they answer, keeps copies and multipliers of their edges, and adds their answers
up for the accounts (:mod:`mpc.coordination.tree.ledger`). Questions are numbered 2 · round + kind, as in the star: a
priced question per round, and a plain one to leaves for each wave that asks for a lower bound.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np

from core.arrays import FloatArray
from core.prices import DemandProfile, PriceSignal
from mpc.coordination.nodes import Message
from mpc.coordination.tree.edges import Edges, by_child
from mpc.coordination.tree.ledger import BranchPlace, Ledger
from mpc.coordination.tree.memory import BranchMemory, PricedBranch
from mpc.coordination.tree.messages import BranchAnswer, BranchSignal, RoundAccount, Wave
from mpc.coordination.tree.program import AskedOfBranch, BranchSolution, solve_branch
from mpc.coordination.tree.rows import BranchRows, RowModel

PRICED, PLAIN = 0, 1


@dataclass(frozen=True)
class RoundQuestion:
    """A round that begins, with the wave that it carries, and what the root wants to be remembered."""

    number: int
    wave_number: int = 0
    priced: PricedBranch | None = None
    best_round: int = 0
    best_wave: int = 0


class Pool:
    """The side of an aggregator that faces its children."""

    def __init__(self, place: BranchPlace, model: RowModel, warm: BranchMemory | None) -> None:
        self.place, self.ledger = place, Ledger(place)
        self.asked = 0
        self.edges: Edges | None = None
        self.p = np.zeros((len(place.children), *place.tariff.shape))
        self.rows: BranchRows | None = None
        self._model, self._warm = model, warm
        self._answered: dict[str, int] = {}
        self._states: dict[int, tuple[Edges, FloatArray]] = {}
        self._published: FloatArray | None = None
        self._reported: dict[str, FloatArray] = {}

    def start(self) -> list[Message[object]]:
        """The plain tariff to all leaves; with a warm start, also the plain prices of its wave."""
        none = np.zeros_like(self.place.tariff)
        messages = [self._to_leaf(leaf, PRICED, 0, _plain(none)) for leaf in self.place.leaves]
        if self._warm is not None and self._warm.priced is not None:
            self._renew()
            messages += self._wave(0, self._warm.priced)
        return messages

    def receive(self, message: Message[object]) -> None:
        """Keep an answer of a child."""
        child, (number, kind) = message.sender, divmod(message.question, 2)
        match message.body:
            case DemandProfile() as profile if kind == PLAIN:
                self.ledger.bounded(child, number, profile)
            case DemandProfile(x=x) as profile if number == self.asked:
                self.ledger.agreed(child, profile)
                self._hear(child, number, x)
            case BranchAnswer(x=x, account=account, share=share, report=report):
                if report is not None:
                    self._reported[child] = report
                self.ledger.reported(child, account, share)
                if number == self.asked:
                    self._hear(child, number, x)

    @property
    def missing(self) -> list[str]:
        """Children that are awaited: not held, and without an answer to the last question."""
        return [
            child
            for child in self.place.children
            if self._answered.get(child) != self.asked and child not in self.ledger.held
        ]

    def hold_missing(self) -> None:
        """Go on without those that are awaited, at what they answered last; who never answered is awaited further."""
        for child in self.missing:
            if child in self._answered:
                self.ledger.hold(child, self._answered[child])
                self.p[self.place.column[child]] = self.ledger.last_x(child)

    def total(self) -> RoundAccount:
        """The account of the answers to the plain tariff, which must be complete."""
        self.ledger.fired(self._renew(), 0.0, 0.0, 0.0)
        self.ledger.open(0, 0, 0)
        account = self.ledger.account()
        assert account is not None
        return account

    def begin(self, rho: float) -> None:
        """Copies of the answers to the plain tariff, or the warm start."""
        if self._warm is None:
            self.edges = Edges.start(rho / self.place.n_leaves, self.p.copy())
            return
        self.edges = self._warm.edges
        held = np.isin(self.place.children, list(self.ledger.held))
        self.p = np.where(held[:, None, None], self.p, self._warm.p)

    def fire(self, asked: AskedOfBranch, rho: float, published: FloatArray | None = None) -> BranchSolution:
        """Update the edges for the answers that are there; the copies of held members are their answers."""
        assert self.edges is not None
        self._published = published
        rows, w = self._renew(), rho / self.place.n_leaves
        update = self.edges.children_first if self.place.odd else self.edges.children_second
        before = self.edges
        self._states[self.asked] = before, self.p.copy()
        self.edges, found = update(self.p, w, self.place.alpha, partial(self._program, asked=asked, rows=rows))
        residual, moved = (by_child(w) * each for each in (self.p - self.edges.v, self.edges.asked - before.asked))
        unavoidable_rel = rows.relative(rows.in_program.excess(self.edges.v))
        self.ledger.fired(rows, float(np.linalg.norm(residual)), float(np.linalg.norm(moved)), unavoidable_rel)
        return found

    def report(self, solution: BranchSolution) -> FloatArray | None:
        """What the parent is to know beside the answer."""
        return self._model.reports(solution.row_prices)

    def memory(self, best_round: int, wave_number: int) -> BranchMemory:
        """What a warm start needs to ask what the best round asked, with the prices of a wave.

        An odd level asks first, an even one fires first, with what came before. A branch that is held has its last.
        """
        wanted = best_round if self.place.odd else max(best_round - 1, 0)
        edges, p = self._states[max((number for number in self._states if number <= wanted), default=min(self._states))]
        wave = self.ledger.waves.get(wave_number)
        return BranchMemory(p, edges, None if wave is None else wave.priced)

    def _program(self, r: FloatArray, w: FloatArray, asked: AskedOfBranch, rows: BranchRows) -> BranchSolution:
        """The branch's program, with the members that are held at their answers."""
        held = np.isin(self.place.children, list(self.ledger.held))
        if not held.any():
            return solve_branch(r, w, asked, rows, self.place.kappa)
        s = self.p.copy()
        left, rows_left = asked.beside(s[held].sum(axis=0)), rows.among(~held, s)
        found = solve_branch(r[~held], w[~held], left, rows_left, self.place.kappa)
        s[~held] = found.s
        return BranchSolution(s, found.row_prices)

    def ask(self, question: RoundQuestion) -> list[Message[object]]:
        """The priced question of a round to all children, and the plain one of its wave."""
        assert self.edges is not None
        place, self.asked = self.place, question.number
        self._states[self.asked] = self.edges, self.p.copy()
        for old in [number for number in self._states if number < question.best_round - 1]:
            del self._states[old]
        self.ledger.open(question.number, question.best_round, question.best_wave)
        messages = [
            self._to_leaf(leaf, PRICED, question.number, self.edges.signal(place.column[leaf])) for leaf in place.leaves
        ]
        waves: dict[str, Wave] = {}
        if question.priced is not None:
            messages += self._wave(question.wave_number, question.priced)
            prices = self.ledger.waves[question.wave_number].prices
            waves = {name: Wave(question.wave_number, prices[place.column[name]]) for name in place.branches}
        published = self._model.publishes(self.p)
        for name in place.branches:
            signal, wave = self.edges.signal(place.column[name]), waves.get(name)
            body = BranchSignal(signal, wave, published.get(name), question.best_round, question.best_wave)
            messages.append(Message(place.name, name, 2 * question.number + PRICED, body))
        return messages

    def _wave(self, number: int, priced: PricedBranch) -> list[Message[object]]:
        """Open a wave, and ask the leaves its plain prices."""
        assert self.rows is not None
        prices = self.ledger.open_wave(number, priced, self.rows)
        return [
            self._to_leaf(leaf, PLAIN, number, _plain(prices[self.place.column[leaf]])) for leaf in self.place.leaves
        ]

    def _to_leaf(self, leaf: str, kind: int, number: int, signal: PriceSignal) -> Message[object]:
        priced = PriceSignal(signal.h, self.place.tariff + signal.g, signal.fee_chf)
        if kind == PRICED:
            self.ledger.sent(leaf, priced)
        return Message(self.place.name, leaf, 2 * number + kind, priced)

    def _hear(self, child: str, number: int, x: FloatArray) -> None:
        self.p[self.place.column[child]] = x
        self._answered[child] = number
        self.ledger.heard(child, number)

    def _renew(self) -> BranchRows:
        """The rows as they are now."""
        rows = self._model.renewed(self.p, self._published, self._reported)
        if self.rows is not None and rows.revision != self.rows.revision:
            self.ledger.renewed = self.asked + 1
        self.rows = rows
        return rows


def _plain(price: FloatArray) -> PriceSignal:
    """A price [T, 2] without curvature."""
    return PriceSignal(np.zeros((len(price), 2, 2)), price, 0.0)
