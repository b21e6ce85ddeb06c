"""The grid operator's node: the frame around both splittings (paper A, section 3; method.md, section 3).

Round 0 advertises the plain tariff: everyone answers with the uncoordinated optimum. Then, each round:

1. collect the answers; AC power flow, cost, violation, certificate: stop?
2. re-linearise the rows if their error (19) is above what the remaining violation bears    Step 4
3. update copies and multipliers (11, 12), adapt ρ (18)                                     Steps 2, 3
4. advertise the new price signals (13) with the voltage slopes of the present rows;        Step 1
   once the limits are nearly held, also the plain prices c + A'λ, whose answers add up to a lower bound
   (:mod:`mpc.coordination.star.stopping`)

A :class:`Deadline` ends it at once, with the best of the rounds that were answered, round 0 included.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig
from core.plan import Agreement
from core.prices import DemandProfile, PriceSignal, VoltageSlope
from core.time import Clock
from mpc.coordination.nodes import Deadline, Message
from mpc.coordination.outcome import CoordinationStatus, Unanswered, WarmStart
from mpc.coordination.star.algorithms import splitting_named
from mpc.coordination.star.outcome import Iteration, StarOutcome, StarWarmStart
from mpc.coordination.star.penalty import adapted, start_penalty
from mpc.coordination.star.splitting import Splitting
from mpc.coordination.star.stopping import Candidate, LowerBounds, StoppingRule
from mpc.coordination.star.ties import SHRINK, Ties
from mpc.grid.rows import GridModel, Rows
from mpc.grid.slope import voltage_slopes

ERROR_PER_VIOLATION = 0.1
"""Tolerable error of the linearisation as a share of the violation that is still to be removed."""
CERTIFY_WITHIN = 10.0
"""A bound is computed when the violation is within this multiple of its tolerance …"""
CERTIFY_EVERY = 10
"""… and every so many rounds in any case."""
PATIENCE = 20
"""Rounds in a row in which only the limits are missing, after which the penalty rises to its first value."""


class Question(IntEnum):
    """Kinds of price signals in a round; the number of a question is 2 · round + kind."""

    PRICED = 0
    PLAIN = 1


class GridOperator:
    """Node that advertises prices until the grid's limits are held at certified cost; then :attr:`outcome` is set.

    :attr:`iterations` are the rounds so far. A warm start of another shape than the star is ignored.
    """

    name = "operator"

    def __init__(
        self, grid: GridModel, settings: CoordinationConfig, clock: Clock, warm_start: WarmStart | None = None
    ) -> None:
        problem = grid.problem
        buy = problem.tariff.buy_chf_per_kwh * problem.axis.dt_h
        self.outcome: StarOutcome | Unanswered | None = None
        self.iterations: list[Iteration] = []
        self._grid, self._settings, self._clock = grid, settings, clock
        self._names = list(problem.nodes)
        self._tariff = np.column_stack([buy, np.zeros_like(buy)])
        self._rule = StoppingRule(grid, settings, self._tariff)
        self._splitting = warm_start.splitting if isinstance(warm_start, StarWarmStart) else None
        self._ties = Ties(problem)
        self._round = 0
        self._signals: list[PriceSignal] = []
        self._sloped: tuple[Rows, list[VoltageSlope]] | None = None
        self._open: set[tuple[int, str]] = set()
        self._answers: dict[tuple[int, str], DemandProfile] = {}
        self._uncoordinated: dict[str, DemandProfile] = {}
        self._best: Candidate | None = None
        self._bounds: LowerBounds | None = None
        self._relinearisations = self._behind = 0
        self._began_s = clock.monotonic_s()

    @property
    def done(self) -> bool:
        """Whether there is an outcome."""
        return self.outcome is not None

    def start(self) -> Sequence[Message[PriceSignal]]:
        """Advertise the plain tariff."""
        self._signals = self._retail()
        return self._ask(self._signals, Question.PRICED)

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[PriceSignal]]:
        """Collect answers; conclude the round when it is complete, or at a deadline."""
        for message in inbox:
            key = (message.question, message.sender)
            if isinstance(message.body, DemandProfile) and key in self._open:
                self._open.remove(key)
                self._answers[key] = message.body
        out_of_time = any(isinstance(message.body, Deadline) for message in inbox)
        if self.outcome is not None or (self._open and not out_of_time):
            return ()
        answers = self._answered(Question.PRICED)
        if answers and self._splitting is not None and self._round > 0:
            return self._conclude(answers, self._splitting, out_of_time)
        if answers:
            self._splitting = self._begin(answers)
            if not out_of_time:
                return self._advertise(self._splitting, certify=True)
        self.outcome = self._outcome_at_deadline()
        return ()

    def _begin(self, answers: list[DemandProfile]) -> Splitting:
        """The splitting after round 0: the warm start, or one started from the uncoordinated profiles."""
        self._uncoordinated = dict(zip(self._names, answers, strict=True))
        if self._splitting is not None:
            return self._splitting
        algorithm = splitting_named(self._settings.splitting)
        x = np.stack([answer.x for answer in answers])
        rows = self._linearise(x)
        rho = start_penalty(self._settings, algorithm.RHO_REL, self._tariff[:, 0], x)
        return algorithm.start(x, rows, rho).update(x, rows, alpha=1.0)

    def _conclude(
        self, answers: list[DemandProfile], splitting: Splitting, out_of_time: bool
    ) -> Sequence[Message[PriceSignal]]:
        """Evaluate the round; then stop, or update the splitting and advertise its prices."""
        self._bounds = self._rule.tightened(self._bounds, self._answered(Question.PLAIN), splitting)
        candidate = self._candidate(self._signals, answers, splitting)
        self._best = self._rule.better(candidate, self._best)
        self._behind = self._behind + 1 if self._rule.only_limits_are_missing(candidate) else 0
        self._record(candidate, splitting)

        self._ties.look(candidate, self._rule.is_met(candidate, splitting.residuals), self._uncoordinated)
        returned = self._ties.best or self._best
        if status := self._status(candidate, out_of_time):
            self.outcome = self._outcome(status, returned, splitting)
            return ()
        x = np.stack([answer.x for answer in answers])
        bearable = max(self._settings.linearisation_tol_pu, ERROR_PER_VIOLATION * candidate.avoidable_pu)
        rows = self._linearise(x) if candidate.linearisation_pu > bearable else splitting.rows
        splitting = splitting.update(x, rows, self._settings.relaxation)
        if self._ties.best:
            splitting = splitting.with_rho(SHRINK * splitting.rho)
        elif self._settings.adaptive:
            behind = self._behind >= PATIENCE and splitting.rho < self.iterations[0].rho
            splitting = splitting.with_rho(adapted(splitting.rho, splitting.residuals, behind))
        return self._advertise(splitting, certify=self._worth_certifying(candidate))

    def _outcome_at_deadline(self) -> StarOutcome | Unanswered:
        """The outcome at a deadline within a round: the best of the rounds before, if every prosumer has answered
        once.
        """
        if self._splitting is None or not self._uncoordinated:
            silent = {name for _, name in self._open}
            return Unanswered(CoordinationStatus.BUDGET, None, tuple(name for name in self._names if name in silent))
        best = self._best
        if best is None:
            best = self._candidate(self._retail(), list(self._uncoordinated.values()), self._splitting)
        status = CoordinationStatus.BUDGET if self._rule.can_be_held(best) else CoordinationStatus.INFEASIBLE
        return self._outcome(status, best, self._splitting)

    def _candidate(self, signals: list[PriceSignal], answers: list[DemandProfile], splitting: Splitting) -> Candidate:
        agreements = map(Agreement, signals, answers)
        return self._rule.candidate(dict(zip(self._names, agreements, strict=True)), splitting, self._bounds)

    def _advertise(self, splitting: Splitting, certify: bool) -> Sequence[Message[PriceSignal]]:
        """Ask all prosumers to answer the new signals, and the plain prices c + A'λ if a bound is wanted."""
        self._splitting = splitting
        self._round += 1
        self._answers.clear()
        priced = zip(splitting.signals(), self._slopes(splitting.rows), strict=True)
        self._signals = [PriceSignal(s.h, self._tariff + s.g, s.fee_chf, slope) for s, slope in priced]
        messages = self._ask(self._signals, Question.PRICED)
        if certify:
            prices = splitting.rows.to_profiles(splitting.row_prices)
            messages += self._ask([self._plain(price) for price in prices], Question.PLAIN)
        return messages

    def _ask(self, signals: list[PriceSignal], kind: Question) -> list[Message[PriceSignal]]:
        number = 2 * self._round + kind
        self._open.update((number, name) for name in self._names)
        return [Message(self.name, name, number, signal) for name, signal in zip(self._names, signals, strict=True)]

    def _answered(self, kind: Question) -> list[DemandProfile]:
        """Answers of this round, in the order of the prosumers; empty unless all were asked and have answered."""
        keys = [(2 * self._round + kind, name) for name in self._names]
        return [self._answers[key] for key in keys] if all(key in self._answers for key in keys) else []

    def _retail(self) -> list[PriceSignal]:
        """Signals of the tariff alone."""
        return [self._plain(np.zeros_like(self._tariff)) for _ in self._names]

    def _plain(self, price: FloatArray) -> PriceSignal:
        """The tariff plus a price [T, 2] per kW, without curvature."""
        return PriceSignal(np.zeros((len(price), 2, 2)), self._tariff + price, 0.0)

    def _linearise(self, x: FloatArray) -> Rows:
        """New rows; the bound of the old ones is dropped, since it does not hold for them."""
        self._relinearisations += 1
        self._bounds = None
        return self._grid.linearise(x)

    def _slopes(self, rows: Rows) -> list[VoltageSlope]:
        """The voltage slopes by ``rows``, computed once for each linearisation."""
        if self._sloped is None or self._sloped[0] is not rows:
            self._sloped = rows, voltage_slopes(self._grid, rows)
        return self._sloped[1]

    def _worth_certifying(self, candidate: Candidate) -> bool:
        upcoming = self._round + 1
        near = candidate.avoidable_pu <= CERTIFY_WITHIN * self._settings.violation_tol_pu
        return near or upcoming % CERTIFY_EVERY == 0 or upcoming == self._settings.max_iterations

    def _status(self, candidate: Candidate, out_of_time: bool) -> CoordinationStatus | None:
        """None: another round. A round that met the certificate is returned even if a later one is cut short."""
        if self._ties.decided:
            status = CoordinationStatus.CONVERGED
        elif self._round >= self._settings.max_iterations:
            status = CoordinationStatus.ITERATIONS
        elif out_of_time or self._clock.monotonic_s() - self._began_s >= self._settings.budget_s:
            status = CoordinationStatus.BUDGET
        else:
            return None
        if self._ties.best is not None:
            candidate, status = self._ties.best, CoordinationStatus.CONVERGED
        return status if self._rule.can_be_held(candidate) else CoordinationStatus.INFEASIBLE

    def _record(self, candidate: Candidate, splitting: Splitting) -> None:
        self.iterations.append(
            Iteration(
                iteration=self._round,
                primal=float(splitting.residuals.primal.max()),
                dual=float(splitting.residuals.dual.max()),
                rho=splitting.rho,
                cost_chf=candidate.cost_chf,
                bound_chf=candidate.bounds.restricted_chf if candidate.bounds else None,
                gap_rel=candidate.gap_rel,
                violation_pu=candidate.avoidable_pu,
                linearisation_pu=candidate.linearisation_pu,
                wall_ms=1e3 * (self._clock.monotonic_s() - self._began_s),
            )
        )

    def _outcome(self, status: CoordinationStatus, best: Candidate, splitting: Splitting) -> StarOutcome:
        best = best.with_later(self._bounds, splitting.rows)
        return StarOutcome(
            status=status,
            gap_rel=best.gap_rel,
            relaxation_gap_rel=best.relaxation_gap_rel,
            best=best,
            uncoordinated=self._uncoordinated,
            lower_bound_chf=best.bounds.relaxed_chf if best.bounds else None,
            iterations=tuple(self.iterations),
            relinearisations=self._relinearisations,
            splitting=splitting,
        )
