"""Evaluation of a round by what the leaves answered, the certified bound, and the stopping rule.

    objective = Σ_i f_i(x_i) + γ/2 Σ_t (P_∅ − target)²
    gap       = |objective − bound| / max(|bound|, turnover)                      where the limits are held
              = (objective + priced violation − bound) / max(|bound|, turnover)   where they cannot be

Converged means a gap within its tolerance, and no violation beyond its own, or one that the branches' own copies cannot
avoid. A bound is one of everything as long as no rows change; where they change, or a held member is heard again, it is
dropped, and no earlier round is the result of a converged coordination. Where rows follow a power flow, how much they
erred in a round is known some rounds later: only then it is confirmed. Rounds in which others were held are no
candidates: who is silent cannot be told to go back to an earlier answer.
"""

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.config_coordination import TreeConfig
from core.hierarchy import TreeProblem
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.tree.messages import RoundAccount, Share


@dataclass(frozen=True)
class Judged:
    """A round with the root's objective."""

    account: RoundAccount
    objective_chf: float


class Judge:
    """The best round and the best bound so far; ``confirmations`` is the number of rounds that confirm one."""

    def __init__(self, problem: TreeProblem, settings: TreeConfig) -> None:
        self._gamma, self._target, self._settings = problem.peak_weight_per_kw2, problem.target, settings
        self.confirmations = 0
        self.bound: Share | None = None
        self.relaxed_chf: float | None = None
        self._renewed = self._last = self._held = 0
        self._best: Judged | None = None
        self._since_renewal: list[Judged] = []

    @property
    def best(self) -> Judged | None:
        """The best confirmed round with the present rows; without one, the best of all."""
        confirmed = [one for one in self._since_renewal if self._confirmed(one)]
        return min(confirmed, key=self._rank, default=self._best)

    @property
    def oldest(self) -> int:
        """Number of the oldest round that may be the result."""
        best = [self.best] if self.best else []
        return min((one.account.number for one in [*best, *self._since_renewal]), default=0)

    def peak_price(self, power_kw: FloatArray) -> FloatArray:
        """π_∅ = γ (P_∅ − target) for p, 0 for q, [T, 2]."""
        price = self._gamma * (power_kw - self._target)
        return np.column_stack([price, np.zeros_like(price)])

    def enter(self, account: RoundAccount) -> Judged:
        """Judge a round that is complete."""
        peak = float(np.sum((account.x[:, 0] - self._target) ** 2))
        judged = Judged(account, account.cost_chf + self._gamma / 2 * peak)
        if account.renewed > self._renewed:
            self._renewed, self.bound, self.relaxed_chf = account.renewed, None, None
            self._since_renewal = []
        if account.held != self._held:
            self._held, self._best = account.held, None
            self._since_renewal = []
        self._last = account.number
        if account.number >= self._renewed:
            self._since_renewal.append(judged)
        self._best = judged if self._best is None else min(judged, self._best, key=self._rank)
        return judged

    def bounded(self, share: Share, price: FloatArray) -> None:
        """A wave has come back, which began with the price π_∅ [T, 2]."""
        if share.number < self._renewed:
            return
        p = price[:, 0]
        conjugate_chf = float(np.sum(p * self._target))
        if self._gamma > 0:
            conjugate_chf += float(np.sum(p**2)) / (2 * self._gamma)
        restricted_chf, relaxed_chf = share.restricted_chf - conjugate_chf, share.relaxed_chf - conjugate_chf
        self.relaxed_chf = relaxed_chf if self.relaxed_chf is None else max(self.relaxed_chf, relaxed_chf)
        if self.bound is None or restricted_chf > self.bound.restricted_chf:
            self.bound = Share(share.number, restricted_chf, relaxed_chf)

    def gap(self, judged: Judged) -> float | None:
        """Relative gap of a round to the bound; None without one."""
        return self._relative(judged, 0.0 if self.holds(judged) else judged.account.unheld_chf)

    def dear(self, judged: Judged) -> bool:
        """Whether the gap is beyond its tolerance even if the violation were free."""
        gap_rel = self._relative(judged, 0.0)
        return gap_rel is None or gap_rel > self._settings.gap_tol

    def holds(self, judged: Judged) -> bool:
        """Whether the answers hold all limits."""
        return judged.account.violation_rel <= self._settings.violation_tol_rel

    def unavoidable(self, judged: Judged) -> bool:
        """Whether the branches' own copies cannot hold the limits."""
        return judged.account.unavoidable_rel > self._settings.violation_tol_rel

    def met(self, judged: Judged) -> CoordinationStatus | None:
        """The status with which the coordination may stop with this round."""
        gap = self.gap(judged)
        if gap is None or gap > self._settings.gap_tol or not self._confirmed(judged):
            return None
        if self.holds(judged):
            return CoordinationStatus.CONVERGED
        return CoordinationStatus.INFEASIBLE if self.unavoidable(judged) else None

    def _relative(self, judged: Judged, unheld_chf: float) -> float | None:
        if self.bound is None:
            return None
        excess_chf = judged.objective_chf + unheld_chf - self.bound.restricted_chf
        return abs(excess_chf) / max(abs(self.bound.restricted_chf), judged.account.turnover_chf)

    def _confirmed(self, judged: Judged) -> bool:
        number = judged.account.number
        return max(1, self._renewed) <= number <= self._last - self.confirmations

    def _rank(self, judged: Judged) -> tuple[bool, float]:
        beyond = not self.holds(judged)
        return beyond, judged.objective_chf + (judged.account.unheld_chf if beyond else 0.0)
