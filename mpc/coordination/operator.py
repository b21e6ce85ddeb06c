"""The grid operator's node: the frame around both splittings (paper A, section 3; method.md, section 3).

Round 0 advertises the plain tariff: everyone answers with the uncoordinated optimum. Then, each round:

1. collect the answers; AC power flow, cost, violation, certificate                     → record, stop?
2. re-linearise the rows where the linearisation error (19) is above its tolerance      Step 4
3. update copies and multipliers (11, 12), adapt ρ (18)                                 Steps 2, 3
4. advertise the new price signals (13); once the limits are nearly held, also the plain prices c + A'λ,
   whose answers add up to a lower bound of the optimum                                 Step 1

    bound = Σ_i min_x [f_i(x) + (A_i'λ)'x] − (u'λ⁺ − l'λ⁻)
"""

from collections.abc import Callable, Sequence

import numpy as np

from core.assets import FloatArray
from core.config import CoordinationConfig
from core.plan import Agreement
from core.prices import DemandProfile, PriceSignal
from core.time import Clock
from mpc.coordination.constraint_splitting import ConstraintSplitting
from mpc.coordination.nodes import Message
from mpc.coordination.outcome import Candidate, Iteration, Outcome, Status
from mpc.coordination.penalty import adapted, start_penalty
from mpc.coordination.profile_splitting import ProfileSplitting
from mpc.coordination.splitting import Splitting
from mpc.grid_rows import GridModel, Rows

PRICED, PLAIN = 0, 1
"""Kinds of questions; round k asks question 2k + kind."""
CERTIFY_WITHIN = 10.0
"""The bound is asked for when the violation is within this multiple of its tolerance …"""
CERTIFY_EVERY = 10
"""… and every so many rounds in any case."""
RESIDUAL_EPS = 1e-4
"""ε_abs (kW, CHF/kW) and ε_rel of the paper's stopping rule, the option ``stop: residual``."""


class GridOperator:
    """Node that advertises prices until the grid is held at certified cost; then :attr:`outcome` is set."""

    name = "operator"

    def __init__(
        self,
        grid: GridModel,
        settings: CoordinationConfig,
        clock: Clock,
        warm_start: Splitting | None = None,
        observer: Callable[[Iteration], None] | None = None,
    ) -> None:
        scenario = grid.scenario
        self.outcome: Outcome | None = None
        self._grid, self._settings, self._clock, self._observer = grid, settings, clock, observer
        self._names = [site.prosumer.name for site in scenario.sites]
        tariff = scenario.tariff.buy_chf_per_kwh * scenario.axis.dt_h
        self._tariff = np.column_stack([tariff, np.zeros_like(tariff)])
        self._splitting = warm_start
        self._signals: list[PriceSignal] = []
        self._open: set[tuple[int, str]] = set()
        self._answers: dict[tuple[int, str], DemandProfile] = {}
        self._round = 0
        self._began_s = clock.monotonic_s()
        self._uncoordinated: dict[str, DemandProfile] = {}
        self._best: Candidate | None = None
        self._bound_chf: float | None = None
        self._log: list[Iteration] = []
        self._relinearisations = 0

    def start(self) -> Sequence[Message]:
        """Advertise the plain tariff."""
        return self._ask([self._plain(np.zeros_like(self._tariff)) for _ in self._names], PRICED)

    def react(self, inbox: Sequence[Message]) -> Sequence[Message]:
        """Collect answers; when the round is complete, conclude it."""
        for message in inbox:
            key = (message.question, message.sender)
            if isinstance(message.body, DemandProfile) and key in self._open:
                self._open.remove(key)
                self._answers[key] = message.body
        return () if self._open else self._conclude_round()

    def _conclude_round(self) -> Sequence[Message]:
        answers = self._answered(PRICED)
        x = np.stack([answer.x for answer in answers])
        if self._round == 0:
            self._uncoordinated = dict(zip(self._names, answers, strict=True))
            if self._splitting is None:
                rows = self._linearise(x)
                rho = start_penalty(self._settings, self._tariff[:, 0], x)
                kind = ProfileSplitting if self._settings.splitting == "profile" else ConstraintSplitting
                self._splitting = kind.start(x, rows, rho).update(x, rows, alpha=1.0)
            return self._next_round(self._splitting, certify=True)

        splitting = self._splitting
        assert splitting is not None
        candidate = self._judge(answers, x, splitting)
        if plain := self._answered(PLAIN):
            bound = sum(answer.cost_chf for answer in plain) - splitting.rows.shadow_cost(splitting.row_prices)
            self._bound_chf = bound if self._bound_chf is None else max(bound, self._bound_chf)
        error = self._grid.linearisation_error_pu(splitting.rows, x, candidate.flow)
        self._record(candidate, splitting, error)
        if self._best is None or self._rank(candidate) <= self._rank(self._best):
            self._best = candidate
        agreed = self._agreed(candidate, splitting, error)
        if status := self._status(candidate, agreed):
            self._finish(status, candidate if agreed else self._best, splitting)
            return ()
        rows = self._linearise(x) if error > self._settings.linearisation_tol_pu else splitting.rows
        self._splitting = splitting.update(x, rows, self._settings.relaxation)
        if self._settings.adaptive:
            self._splitting = self._splitting.with_rho(adapted(splitting.rho, self._splitting.residuals))
        near = candidate.avoidable_pu <= CERTIFY_WITHIN * self._settings.violation_tol_pu
        upcoming = self._round + 1
        last = upcoming == self._settings.max_iterations
        return self._next_round(self._splitting, certify=near or last or upcoming % CERTIFY_EVERY == 0)

    def _next_round(self, splitting: Splitting, certify: bool) -> Sequence[Message]:
        self._round += 1
        self._answers.clear()
        priced = self._ask([PriceSignal(s.h, self._tariff + s.g, s.fee_chf) for s in splitting.signals()], PRICED)
        if not certify:
            return priced
        prices = splitting.rows.to_profiles(splitting.row_prices)
        return [*priced, *self._ask([self._plain(price) for price in prices], PLAIN)]

    def _ask(self, signals: list[PriceSignal], kind: int) -> list[Message]:
        if kind == PRICED:
            self._signals = signals
        question = 2 * self._round + kind
        self._open.update((question, name) for name in self._names)
        return [Message(self.name, name, question, signal) for name, signal in zip(self._names, signals, strict=True)]

    def _answered(self, kind: int) -> list[DemandProfile]:
        keys = [(2 * self._round + kind, name) for name in self._names]
        return [self._answers[key] for key in keys if key in self._answers]

    def _plain(self, price: FloatArray) -> PriceSignal:
        """The tariff plus a price [T, 2] per kW, without curvature."""
        return PriceSignal(np.zeros((len(price), 2, 2)), self._tariff + price, 0.0)

    def _linearise(self, x: FloatArray) -> Rows:
        self._relinearisations += 1
        self._bound_chf = None
        return self._grid.linearise(x)

    def _judge(self, answers: list[DemandProfile], x: FloatArray, splitting: Splitting) -> Candidate:
        flow = self._grid.flow(x)
        agreements = {
            name: Agreement(signal, answer)
            for name, signal, answer in zip(self._names, self._signals, answers, strict=True)
        }
        tariff_and_own = [
            float(np.sum(self._tariff * a.profile.x)) + a.profile.cost_chf - a.signal.cost_chf(a.profile.x)
            for a in agreements.values()
        ]
        cost, rows = sum(tariff_and_own), splitting.rows
        beyond = np.maximum(rows.excess(rows.value(x)) - self._settings.violation_tol_pu / rows.norm, 0)
        return Candidate(
            agreements=agreements,
            cost_chf=cost,
            flow=flow,
            violation=self._grid.violation(flow),
            unheld_pu=rows.unheld_pu(splitting.unheld),
            unheld_chf=float(np.sum(rows.kappa * splitting.unheld)),
            merit_chf=cost + float(np.sum(rows.kappa * beyond)),
        )

    def _rank(self, candidate: Candidate) -> tuple[bool, float]:
        """Lower is better: the cheapest of those within the tolerance, else the least priced violation."""
        return candidate.violation.worst_pu > self._settings.violation_tol_pu, candidate.merit_chf

    def _gap(self, candidate: Candidate) -> float | None:
        """Relative gap; its denominator is at least the turnover Σ |c p| Δt, which does not vanish with the cost."""
        if self._bound_chf is None:
            return None
        turnover = sum(float(np.sum(np.abs(self._tariff * a.profile.x))) for a in candidate.agreements.values())
        return (candidate.cost_chf + candidate.unheld_chf - self._bound_chf) / max(abs(self._bound_chf), turnover)

    def _agreed(self, candidate: Candidate, splitting: Splitting, error_pu: float) -> bool:
        """Whether the stopping rule holds for this round."""
        settings, gap = self._settings, self._gap(candidate)
        if candidate.avoidable_pu > settings.violation_tol_pu:
            return False
        if settings.stop == "residual":
            return splitting.residuals.within(RESIDUAL_EPS, RESIDUAL_EPS)
        return gap is not None and abs(gap) <= settings.gap_tol and error_pu <= settings.violation_tol_pu

    def _status(self, candidate: Candidate, agreed: bool) -> Status | None:
        settings = self._settings
        if agreed:
            status = Status.CONVERGED
        elif self._round >= settings.max_iterations:
            status = Status.ITERATIONS
        elif self._clock.monotonic_s() - self._began_s >= settings.budget_s:
            status = Status.BUDGET
        else:
            return None
        return status if candidate.unheld_pu <= settings.violation_tol_pu else Status.INFEASIBLE

    def _record(self, candidate: Candidate, splitting: Splitting, error_pu: float) -> None:
        iteration = Iteration(
            iteration=self._round,
            primal=float(splitting.residuals.primal.max()),
            dual=float(splitting.residuals.dual.max()),
            rho=splitting.rho,
            cost_chf=candidate.cost_chf,
            bound_chf=self._bound_chf,
            gap_rel=self._gap(candidate),
            violation_pu=candidate.avoidable_pu,
            linearisation_pu=error_pu,
            wall_ms=1e3 * (self._clock.monotonic_s() - self._began_s),
        )
        self._log.append(iteration)
        if self._observer is not None:
            self._observer(iteration)

    def _finish(self, status: Status, best: Candidate, splitting: Splitting) -> None:
        self.outcome = Outcome(
            status=status,
            best=best,
            uncoordinated=self._uncoordinated,
            lower_bound_chf=self._bound_chf,
            gap_rel=self._gap(best),
            iterations=tuple(self._log),
            relinearisations=self._relinearisations,
            splitting=splitting,
        )
