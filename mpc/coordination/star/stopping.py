"""Evaluation of a round: cost and violation under AC power flow, certified bound, and the stopping rule.

    bound = Σ_i min_x [f_i(x) + (A_i'λ)'x] − (u'λ⁺ − l'λ⁻)            ≤ optimum of the linearised problem
    gap   = (cost + unheld − bound) / max(|bound|, turnover Σ |c p| Δt)

A prosumer's program without the exclusion of charging and discharging at once is a relaxation, whose minima add up to a
bound of everything. Where the last answers restrict steps to one direction, the minima of the programs with these
restrictions add up to a higher bound, of the restricted problem: the gap that stops the rounds refers to it.

Converged means |gap| ≤ gap_tol and an AC violation ≤ violation_tol beyond the unavoidable (method.md, section 3).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig
from core.plan import Agreement
from core.prices import SMALLEST_TARIFF, DemandProfile
from mpc.coordination.star.splitting import Residuals, Splitting
from mpc.grid.power_flow import Flow
from mpc.grid.rows import GridModel, Rows, Violation

RESIDUAL_EPS = 1e-4
"""ε_abs (kW, CHF/kW) and ε_rel of the paper's stopping rule, the option ``stop: residual``."""


@dataclass(frozen=True)
class LowerBounds:
    """Lower bounds of the cost, CHF: of the restricted problem, and of its relaxation."""

    restricted_chf: float
    relaxed_chf: float


@dataclass(frozen=True)
class Candidate:
    """Signals that were sent, the profiles that answered them, the AC power flow of these, and bounds of their cost.

    Attributes:
        rows: the linearisation behind the signals.
        bounds: of the problem under these rows and under the restrictions of these answers; None without any.
        cost_chf: tariff and own costs of all prosumers.
        turnover_chf: Σ |c p| Δt, each price counted as at least SMALLEST_TARIFF.
        linearisation_pu: error of the rows at these profiles (19).
        unheld_pu: largest violation of limits by the operator's own copies, which is unavoidable; ``unheld_chf`` its
            price.
            Both are 0 if limits can be held.
        merit_chf: cost plus the priced violation of the profiles themselves beyond the tolerance.
    """

    agreements: Mapping[str, Agreement]
    rows: Rows
    bounds: LowerBounds | None
    flow: Flow
    violation: Violation
    cost_chf: float
    turnover_chf: float
    linearisation_pu: float
    unheld_pu: float
    unheld_chf: float
    merit_chf: float

    @property
    def avoidable_pu(self) -> float:
        """Violation beyond the unavoidable one."""
        return max(0.0, self.violation.worst_pu - self.unheld_pu)

    @property
    def gap_rel(self) -> float | None:
        """Relative gap to the bound of the restricted problem; None without one."""
        if self.bounds is None:
            return None
        return (self.cost_chf + self.unheld_chf - self.bounds.restricted_chf) / self._scale_chf(self.bounds)

    @property
    def relaxation_gap_rel(self) -> float | None:
        """What the restrictions cost at most, relative to the same amount as the gap; None without bounds."""
        if self.bounds is None:
            return None
        return (self.bounds.restricted_chf - self.bounds.relaxed_chf) / self._scale_chf(self.bounds)

    def with_later(self, bounds: LowerBounds | None, rows: Rows) -> "Candidate":
        """The candidate with the bounds of a later round under ``rows``, as far as they hold for it.

        Those of the relaxation do if the rows are the same, those of the restricted problem do not: its restrictions
        are those of that round.
        """
        if bounds is None or rows is not self.rows:
            return self
        restricted_chf = max(self.bounds.restricted_chf if self.bounds else -np.inf, bounds.relaxed_chf)
        return replace(self, bounds=LowerBounds(restricted_chf, bounds.relaxed_chf))

    def _scale_chf(self, bounds: LowerBounds) -> float:
        return max(abs(bounds.restricted_chf), self.turnover_chf)


class StoppingRule:
    """Evaluates candidates by the settings of a coordination; ``tariff`` is [T, 2] in CHF/kW per step."""

    def __init__(self, grid: GridModel, settings: CoordinationConfig, tariff: FloatArray) -> None:
        self._grid = grid
        self._settings = settings
        self._tariff = tariff
        self._price = np.maximum(np.abs(tariff[:, 0]), SMALLEST_TARIFF * grid.problem.axis.dt_h)

    def candidate(
        self, agreements: Mapping[str, Agreement], splitting: Splitting, bounds: LowerBounds | None
    ) -> Candidate:
        """Evaluate the agreements of a round under the rows and copies behind their signals; ``bounds`` are those of
        the round.
        """
        x = np.stack([agreement.profile.x for agreement in agreements.values()])
        flow, rows = self._grid.flow(x), splitting.rows
        own = sum(a.profile.cost_chf - a.signal.cost_chf(a.profile.x) for a in agreements.values())
        cost = float(np.sum(self._tariff * x)) + own
        beyond = np.maximum(rows.excess(rows.value(x)) - self._settings.violation_tol_pu / rows.norm, 0)
        return Candidate(
            agreements=agreements,
            rows=rows,
            bounds=bounds,
            flow=flow,
            violation=self._grid.violation(flow),
            cost_chf=cost,
            turnover_chf=float(np.sum(self._price * np.abs(x[:, :, 0]))),
            linearisation_pu=self._grid.linearisation_error_pu(rows, x, flow),
            unheld_pu=rows.unheld_pu(splitting.unheld),
            unheld_chf=float(np.sum(rows.kappa * splitting.unheld)),
            merit_chf=cost + float(np.sum(rows.kappa * beyond)),
        )

    def bounds(self, answers: list[DemandProfile], splitting: Splitting) -> LowerBounds:
        """Lower bounds from the answers to the plain prices c + A'λ."""
        cost_chf = sum(answer.cost_chf for answer in answers) - splitting.rows.shadow_cost(splitting.row_prices)
        return LowerBounds(
            cost_chf - sum(answer.above_restricted_chf for answer in answers),
            cost_chf - sum(answer.above_relaxed_chf for answer in answers),
        )

    def tightened(
        self, known: LowerBounds | None, answers: list[DemandProfile], splitting: Splitting
    ) -> LowerBounds | None:
        """The bounds after a round, from the best ones so far under the same rows.

        A bound of the relaxation stays one; that of the restricted problem holds for the restrictions of its round.
        """
        if not answers:
            return None if known is None else LowerBounds(known.relaxed_chf, known.relaxed_chf)
        new = self.bounds(answers, splitting)
        relaxed_chf = new.relaxed_chf if known is None else max(new.relaxed_chf, known.relaxed_chf)
        return LowerBounds(max(new.restricted_chf, relaxed_chf), relaxed_chf)

    def better(self, candidate: Candidate, best: Candidate | None) -> Candidate:
        """The cheaper one of those within the tolerance, else the one with less cost and priced violation."""
        return candidate if best is None else min(candidate, best, key=self._rank)

    def is_met(self, candidate: Candidate, residuals: Residuals) -> bool:
        """Whether the coordination may stop with this candidate."""
        settings, gap = self._settings, candidate.gap_rel
        if candidate.avoidable_pu > settings.violation_tol_pu:
            return False
        if settings.stop == "residual":
            return residuals.within(RESIDUAL_EPS, RESIDUAL_EPS)
        return gap is not None and abs(gap) <= settings.gap_tol and self._trustworthy(candidate)

    def only_limits_are_missing(self, candidate: Candidate) -> bool:
        """Whether the cost is no further above its bound than asked, but limits are violated."""
        settings, gap = self._settings, candidate.gap_rel
        return gap is not None and gap <= settings.gap_tol and candidate.avoidable_pu > settings.violation_tol_pu

    def can_be_held(self, candidate: Candidate) -> bool:
        """Whether the grid's limits can be held."""
        return candidate.unheld_pu <= self._settings.violation_tol_pu

    def _trustworthy(self, candidate: Candidate) -> bool:
        """Whether the rows are accurate enough for a bound by them to hold for the AC grid."""
        return candidate.linearisation_pu <= self._settings.violation_tol_pu

    def _rank(self, candidate: Candidate) -> tuple[bool, float]:
        return candidate.violation.worst_pu > self._settings.violation_tol_pu, candidate.merit_chf
