"""The coordinator's iteration: sharing ADMM, a proven bound in every round, and mixing.

Each round asks two questions: a priced one, with the penalty ρ of the ADMM, and a plain one, at a price alone. Round 1
has the plain one only. With the sums of the answers, N resources, and q = ρ/N:

    bound(λ) = Σ min(0, η'(λ + S)) capacity + min_y g(y) − λ'y              at the price of the plain question
    gap      = (objective − bound) / max(|bound|, g(0)), absolute where both are 0
    mixture of all answers in memory: the best result so far, and the price λ̂ to ask next (mixing, price_search)

    λ  = the best proven price                                               the ADMM goes on from there
    W  = Σ η a + N (1 − α) b + N λ/ρ         the relaxed outputs r = α x + (1 − α) Z, summed, and the price
    λ⁺ = q (W − y), y = prox of g
    b  = (1 − α) b + (λ − λ⁺)/ρ              the copies are Z = η a + b: a is the resource's own, b common to all
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from mpc.coordination.dispatch.mixing import best_mix
from mpc.coordination.dispatch.price_search import PriceSearch
from mpc.coordination.dispatch.signals import MEMORY, Column, DispatchAnswer, DispatchSignal, Mixture
from mpc.coordination.dispatch.target import Norm, SectorTarget
from mpc.coordination.solving import SolveRound

NOTHING = 1e-9
"""An objective up to this is 0."""


@dataclass(frozen=True)
class DispatchSettings:
    """Settings of the iteration.

    Attributes:
        gap_tol, gap_abs: relative and absolute gap, of which one is enough to have converged.
        max_rounds: the last round.
        relaxation: α.
        rho: penalty ρ; None: its natural value.
    """

    gap_tol: float = 1e-3
    gap_abs: float = 0.0
    max_rounds: int = 1000
    relaxation: float = 1.6
    rho: float | None = None


@dataclass(frozen=True)
class Incumbent:
    """The best result so far: its aggregate, kW, its own cost, and its objective."""

    aggregate: FloatArray
    cost: float
    objective: float


@dataclass(frozen=True)
class _Answered:
    key: tuple[int, Column]
    output: FloatArray
    cost: float


class DispatchIteration:
    """The state of the coordinator: :meth:`signal` asks, :meth:`update` takes up the answers.

    ``rounds`` are the rounds so far; ``best`` is the best result, and ``bound`` the best bound, which ``price`` proves:
    None and −∞ before the first round. ``adopt``: what the resources have to adopt to reach the best result, None if
    they know it.
    """

    def __init__(self, target: SectorTarget, settings: DispatchSettings) -> None:
        self.rounds: list[SolveRound] = []
        self.round = 1
        self.adopt: Mixture | None = None
        self._settings = settings
        self._rho = 0.0
        self._price = self._common = self._asked = np.zeros(len(target.kw))
        self.hold(target, 0.0)

    def hold(self, target: SectorTarget, cost: float) -> None:
        """Go on with another target and a constant own cost, such as without resources that are held."""
        self.best: Incumbent | None = None
        self.bound = -np.inf
        self._target, self._constant = target, cost
        self._search = PriceSearch(self._asked)
        self._columns = {kind: deque[_Answered](maxlen=MEMORY[kind]) for kind in Column}

    @property
    def price(self) -> FloatArray:
        """The price that proves the bound, per kW, [M]."""
        return self._search.proven

    @property
    def gap_rel(self) -> float | None:
        """Certified relative gap of the best result; None before the first."""
        if self.best is None:
            return None
        scale = max(abs(self.bound), self._target.distance(np.zeros_like(self._price)))
        return (self.best.objective - self.bound) / (scale if scale > NOTHING else 1.0)

    @property
    def converged(self) -> bool:
        """Whether the gap is within one of its tolerances."""
        if self.best is None or self.gap_rel is None:
            return False
        tolerable = self.best.objective - self.bound <= self._settings.gap_abs
        return tolerable or self.gap_rel <= self._settings.gap_tol

    @property
    def done(self) -> bool:
        """Whether it has converged, or the last round is over."""
        return self.converged or self.round > self._settings.max_rounds

    def signal(self) -> DispatchSignal:
        """The questions of this round."""
        pull = self._price - self._rho * self._common
        return DispatchSignal(self.round, self._rho, self._settings.relaxation, pull, self._asked, self.adopt)

    def update(self, answer: DispatchAnswer) -> None:
        """Evaluate the answers to the last signal, mix, and step."""
        self.adopt = None
        self._evaluate(answer)
        if not self.converged:
            self._mix()
        primal, dual = self._step(answer)
        self._record(primal, dual)
        self.round += 1

    def _evaluate(self, answer: DispatchAnswer) -> None:
        """Bound and objectives of the answers."""
        asked, share = self._asked, float(self._asked @ answer.plain_output) + answer.plain_cost
        self._search.learn(self._target.slope(answer.plain_output, asked))
        bound = share + self._target.bound_share(asked) + self._constant
        if bound > self.bound:
            self.bound, self._search.proven = bound, asked
        self._answered(Column.PLAIN, answer.plain_output, answer.plain_cost)
        if self._rho:
            self._answered(Column.PRICED, answer.output, answer.cost)

    def _answered(self, kind: Column, output: FloatArray, cost: float) -> None:
        key = (self.round, kind)
        self._columns[kind].append(_Answered(key, output, cost))
        self._offer(output, cost, Mixture({key: 1.0}))

    def _offer(self, aggregate: FloatArray, cost: float, mixture: Mixture) -> None:
        """Make it the best result if it is better."""
        objective = self._target.distance(aggregate) + cost + self._constant
        if self.best is None or objective < self.best.objective:
            self.best, self.adopt = Incumbent(aggregate, cost, objective), mixture

    def _mix(self) -> None:
        """Mix all answers in memory and the best result; between the mixture's price and the proven one, ask next."""
        assert self.best is not None, "a round has been evaluated"
        answers = [each for kind in Column for each in self._columns[kind]]
        outputs = np.array([*(each.output for each in answers), self.best.aggregate])
        costs = np.array([*(each.cost for each in answers), self.best.cost])
        mix = best_mix(self._target, outputs, costs)
        self._asked = self._search.next(mix.price)
        *weights, of_best = mix.weights
        chosen = {each.key: w for each, w in zip(answers, weights, strict=True) if w > 0}
        mixture = Mixture(chosen, of_best)
        if self.adopt is not None:
            mixture = mixture.with_adopted(self.adopt)
        self._offer(mix.weights @ outputs, float(mix.weights @ costs), mixture)

    def _step(self, answer: DispatchAnswer) -> tuple[float, float]:
        """The step of the ADMM; returns its primal (kW) and dual residual (per kW)."""
        before = self._price
        if not self._rho:
            self._rho = self._settings.rho or self._natural_penalty(answer)
        alpha, rho, count = self._settings.relaxation, self._rho, max(answer.count, 1)
        common = (1 - alpha) * self._common
        wanted = answer.relaxed + count * (common + self.price / rho)
        self._price = self._target.price(wanted, rho / count)
        self._common = common + (self.price - self._price) / rho
        primal = answer.output - answer.relaxed - count * self._common
        return float(np.linalg.norm(primal)), float(np.linalg.norm(self._price - before))

    def _natural_penalty(self, answer: DispatchAnswer) -> float:
        """ρ⁰ = w̄ / (rms η · rms capacity) √(3/N), for L2 times a typical power."""
        target, count = self._target, max(answer.count, 1)
        swing = np.sqrt(answer.swing_square / count / len(target.kw)) or 1.0
        natural = (float(target.weights.mean()) or 1.0) / swing * np.sqrt(3 / count)
        if target.norm is Norm.L2:
            natural *= float(np.sqrt(np.mean(target.kw**2))) or swing
        return float(natural)

    def _record(self, primal: float, dual: float) -> None:
        assert self.best is not None, "a round has been evaluated"
        self.rounds.append(
            SolveRound(
                round=self.round,
                objective=self.best.objective,
                bound=self.bound,
                gap_rel=self.gap_rel,
                primal=primal,
                dual=dual,
                rho=self._rho,
            )
        )
