"""What a branch adds up for its parent: the account of each round, and its share of each wave's lower bound.

    bound = Σ_i min_x [f_i(x) + π_i'x] − Σ_b (u'λ_b⁺ − l'λ_b⁻) − (π_∅'target + ‖π_∅‖²/2γ)
    π_∅ = γ (P_∅ − target),  π_c = π_b + Σ_r a_rc λ_br

holds for any prices of the rows, so a wave may find each branch in another round. Accounts and shares are complete when
all members have answered; who is held counts with its last answer, at its cost and the wave's price of it.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from math import inf
from operator import add

import numpy as np

from core.arrays import FloatArray
from core.plan import Agreement
from core.prices import DemandProfile, PriceSignal
from mpc.coordination.tree.memory import PricedBranch
from mpc.coordination.tree.messages import RoundAccount, Share
from mpc.coordination.tree.outcome import BranchState, RowState
from mpc.coordination.tree.rows import OWN, BranchRows


@dataclass(frozen=True)
class BranchPlace:
    """What a branch knows of its place in the tree.

    Attributes:
        branches, leaves: its children; arrays over children have the branches first.
        n_leaves: leaves under each child, [C].
        odd: whether its level is odd.
        tariff: [T, 2], CHF/kW per step; ``price_floor`` of the turnover, CHF/kW.
        kappa: price of a violation, CHF/kW.
        alpha: over-relaxation.
    """

    name: str
    branches: tuple[str, ...]
    leaves: tuple[str, ...]
    n_leaves: FloatArray
    odd: bool
    tariff: FloatArray
    price_floor: float
    kappa: float
    alpha: float

    @property
    def children(self) -> tuple[str, ...]:
        """Branches, then leaves."""
        return self.branches + self.leaves

    @cached_property
    def column(self) -> Mapping[str, int]:
        """Position of each child."""
        return {child: k for k, child in enumerate(self.children)}


@dataclass(frozen=True)
class Conditions:
    """Rows and residuals behind a question."""

    rows: BranchRows
    primal: float
    dual: float
    unavoidable_rel: float


@dataclass
class OpenWave:
    """A wave that has passed this branch with a question: its prices here and of the children [C, T, 2], and the
    shares that came back.
    """

    question: int
    priced: PricedBranch
    prices: FloatArray
    support_chf: float
    shares: dict[str, Share] = field(default_factory=dict)


class Ledger:
    """Answers by round, and shares by wave."""

    def __init__(self, place: BranchPlace) -> None:
        self.held: dict[str, int] = {}
        self.renewed = 0
        self.waves: dict[int, OpenWave] = {}
        self.agreements: dict[int, dict[str, Agreement]] = defaultdict(dict)
        self.accounts: dict[int, dict[str, RoundAccount]] = defaultdict(dict)
        self.conditions: dict[int, Conditions] = {}
        self._place = place
        self._signals: dict[str, PriceSignal] = {}
        self._last: dict[str, Agreement] = {}
        self._reported: dict[str, RoundAccount] = {}
        self._current: Conditions | None = None
        self._since: dict[str, float] = {}
        self._number = 0
        self._to_add: list[int] = []
        self._to_share: list[int] = []

    # what arrives

    def sent(self, leaf: str, signal: PriceSignal) -> None:
        """The priced question that a leaf was asked."""
        self._signals[leaf] = signal

    def agreed(self, leaf: str, profile: DemandProfile) -> None:
        """The answer of a leaf to the last priced question."""
        self._last[leaf] = self.agreements[self._number][leaf] = Agreement(self._signals[leaf], profile)

    def reported(self, branch: str, account: RoundAccount | None, share: Share | None) -> None:
        """What a child branch has complete."""
        if account is not None:
            self._reported[branch] = self.accounts[account.number][branch] = account
        if share is not None and share.number in self.waves:
            self.waves[share.number].shares[branch] = share

    def bounded(self, leaf: str, number: int, answer: DemandProfile) -> None:
        """The answer of a leaf to the plain prices of a wave."""
        if number in self.waves:
            least_chf = answer.cost_chf - answer.above_restricted_chf
            share = Share(number, least_chf, answer.cost_chf - answer.above_relaxed_chf)
            self.waves[number].shares[leaf] = share

    def fired(self, rows: BranchRows, primal: float, dual: float, unavoidable_rel: float) -> None:
        """The branch's program was solved; this is behind the question that follows."""
        self._current = Conditions(rows, primal, dual, unavoidable_rel)

    def open(self, number: int, best_round: int, best_wave: int) -> None:
        """The question of a round goes out; what is older than the best is forgotten, but for round 0."""
        assert self._current is not None
        self._number = number
        self.conditions[number] = self._current
        self._to_add.append(number)
        for by_round in (self.agreements, self.accounts, self.conditions):
            for old in [n for n in by_round if 0 < n < min(best_round, self._to_add[0])]:
                del by_round[old]
        for old in [n for n in self.waves if n < best_wave and n not in self._to_share]:
            del self.waves[old]

    def open_wave(self, number: int, priced: PricedBranch, rows: BranchRows) -> FloatArray:
        """A wave passes; returns the prices π_c of the children, [C, T, 2]."""
        prices = priced.price + rows.prices(priced.row_prices)
        self.waves[number] = OpenWave(self._number, priced, prices, rows.support(priced.row_prices))
        self._to_share.append(number)
        return prices

    # who is held

    def hold(self, child: str, answered: int) -> None:
        """Count a child with its last answer until it is heard again."""
        self.held[child], self._since[child] = answered, inf

    def heard(self, child: str, number: int) -> None:
        """A child has answered question ``number``, the last one."""
        if child in self.held:
            del self.held[child]
            self._since[child] = self.renewed = number + 1

    def last_x(self, child: str) -> FloatArray:
        """Power of the last answer of a child, [T, 2]: of a branch, that of its leaves."""
        return self._last[child].profile.x if child in self._last else self._reported[child].x

    # what is complete

    def account(self) -> RoundAccount | None:
        """The account of the oldest round that was not yet added up, if it is complete."""
        if not self._to_add or not self._complete(self._to_add[0]):
            return None
        number = self._to_add.pop(0)
        x = np.stack([self.known_x(child, number) for child in self._place.children])
        conditions = self.conditions[number]
        excess = conditions.rows.excess(x)
        own = RoundAccount(
            number=number,
            x=np.zeros_like(x[0]),
            cost_chf=0.0,
            turnover_chf=0.0,
            variance_kw2=0.0,
            unheld_chf=self._place.kappa * float(excess.sum()),
            violation_rel=conditions.rows.relative(excess),
            unavoidable_rel=conditions.unavoidable_rel,
            primal=conditions.primal,
            dual=conditions.dual,
            held=len(self.held),
            renewed=self.renewed,
        )
        leaves = [self._of_leaf(number, self.agreements[number][leaf]) for leaf in self._place.leaves]
        return reduce(add, [*leaves, *(self.accounts[number][branch] for branch in self._place.branches)], own)

    def share(self) -> Share | None:
        """The share of the oldest wave that is still open, if it is complete."""
        if not self._to_share:
            return None
        wave = self.waves[self._to_share[0]]
        absent = {child for child, since in self._since.items() if wave.question < since}
        for child in absent - wave.shares.keys():
            wave.shares[child] = self._of_held(child, self._to_share[0], wave)
        if any(child not in wave.shares for child in self._place.children):
            return None
        number = self._to_share.pop(0)
        return reduce(add, wave.shares.values(), Share(number, -wave.support_chf, -wave.support_chf))

    def state(self, number: int, wave: int) -> BranchState:
        """The branch in a complete round, with the prices of a wave, which are 0 where none has passed."""
        rows, x = self.conditions[number].rows, np.stack([self.known_x(c, number) for c in self._place.children])
        value, excess, unit = rows.value(x), rows.excess(x), rows.unit
        price, row_prices = np.zeros_like(x[0]), np.zeros_like(value)
        if wave in self.waves:
            price, row_prices = self.waves[wave].priced.price, self.waves[wave].priced.row_prices
        limited = np.isfinite(rows.lower).any(axis=0) | np.isfinite(rows.upper).any(axis=0)
        states = {
            rows.names[k]: RowState(
                value=(value * unit)[:, k],
                lower=(rows.lower * unit)[:, k],
                upper=(rows.upper * unit)[:, k],
                multiplier_chf_per_kw=row_prices[:, k],
                unheld=(excess * unit)[:, k],
            )
            for k in np.flatnonzero(limited)
        }
        return BranchState(x.sum(axis=0), price + row_prices[:, :OWN], states)

    def known_x(self, child: str, number: int) -> FloatArray:
        """Power of a child in a complete round, [T, 2]: of a branch, that of its leaves."""
        if child in self._place.leaves:
            return self.agreements[number][child].profile.x
        return self.accounts[number][child].x

    def _complete(self, number: int) -> bool:
        """Whether all are known for a round; those held then get their last answers."""
        agreements, accounts = self.agreements[number], self.accounts[number]
        for child, since in self._since.items():
            if child in self.held:
                agreements.pop(child, None)
                accounts.pop(child, None)
            if number < since and child in self._last:
                agreements.setdefault(child, self._last[child])
            if number < since and child in self._reported:
                accounts.setdefault(child, self._unchanging(child))
        return all(child in agreements or child in accounts for child in self._place.children)

    def _unchanging(self, branch: str) -> RoundAccount:
        """The last account of a branch that is held: what it violates, nobody can avoid."""
        account = self._reported[branch]
        return replace(account, unavoidable_rel=max(account.unavoidable_rel, account.violation_rel))

    def own_cost_chf(self, agreement: Agreement) -> float:
        """f_i of an answer: bill, losses and wear."""
        x, signal = agreement.profile.x, agreement.signal
        return agreement.profile.cost_chf - signal.cost_chf(x) + float(np.sum(self._place.tariff * x))

    def _of_leaf(self, number: int, agreement: Agreement) -> RoundAccount:
        x = agreement.profile.x
        price = np.maximum(np.abs(self._place.tariff[:, 0]), self._place.price_floor)
        turnover_chf, variance_kw2 = float(price @ np.abs(x[:, 0])), float(np.var(x[:, 0]))
        return RoundAccount(
            number, x, self.own_cost_chf(agreement), turnover_chf, variance_kw2,
            unheld_chf=0.0, violation_rel=0.0, unavoidable_rel=0.0, primal=0.0, dual=0.0, held=0, renewed=0,
        )  # fmt: skip

    def _of_held(self, child: str, number: int, wave: OpenWave) -> Share:
        """The share of a member at its last answer: its cost at the price of the wave."""
        paid_chf = float(np.sum(wave.prices[self._place.column[child]] * self.last_x(child)))
        if child in self._last:
            paid_chf += self.own_cost_chf(self._last[child])
        else:
            paid_chf += self._reported[child].cost_chf + self._reported[child].unheld_chf
        return Share(number, paid_chf, paid_chf)
