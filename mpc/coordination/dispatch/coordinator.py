"""The coordinator's iteration: sharing ADMM, a proven bound in every round, and mixing.

Round 1 asks without penalty. Then, each round, with the sums of the answers, N resources, and q = ρ/N:

    W  = Σ η a + N (1 − α) b + N λ/ρ          the relaxed outputs r = α x + (1 − α) Z, summed, and the price
    λ⁺ = q (W − y),  y = prox of g            (:meth:`SectorTarget.price`)
    b  = (1 − α) b + (λ − λ⁺)/ρ               the copies are Z = η a + b: a is the resource's own, b common to all

    bound(λ) = Σ min(0, η'(λ + S)) capacity + min_y g(y) − λ'y          at the price of the plain question
    gap      = (objective − bound) / max(|bound|, g(0)), absolute where both are 0
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from mpc.coordination.dispatch.mixing import best_mix
from mpc.coordination.dispatch.signals import Column, DispatchAnswer, DispatchSignal, Mixture
from mpc.coordination.dispatch.target import Norm, SectorTarget
from mpc.coordination.solving import SolveRound


@dataclass(frozen=True)
class DispatchSettings:
    """Settings of the iteration.

    Attributes:
        gap_tol: relative gap at which it has converged.
        max_rounds: the last round.
        relaxation: α.
        rho: penalty ρ; None: its natural value.
        window: rounds whose answers are mixed.
    """

    gap_tol: float = 1e-3
    max_rounds: int = 1000
    relaxation: float = 1.6
    rho: float | None = None
    window: int = 30


@dataclass(frozen=True)
class Incumbent:
    """The best result so far: its aggregate, kW, its own cost, and its objective."""

    aggregate: FloatArray
    cost: float
    objective: float


@dataclass(frozen=True)
class _Aggregate:
    key: tuple[int, Column]
    output: FloatArray
    cost: float


class DispatchIteration:
    """The state of the coordinator between two rounds: :meth:`signal` asks, :meth:`update` takes up the answers.

    ``rounds`` are the rounds so far; ``best`` is the best result, and ``bound`` the best bound, which ``best_price``
    proves: None and −∞ before the first round.
    """

    def __init__(self, target: SectorTarget, settings: DispatchSettings) -> None:
        self.rounds: list[SolveRound] = []
        self.best: Incumbent | None = None
        self.bound = -np.inf
        self.price = np.zeros(len(target.kw))
        self.best_price = self.price
        self._target, self._settings = target, settings
        self._rho = 0.0
        self._common = np.zeros(len(target.kw))
        self._asked: FloatArray = self.price
        self._columns: deque[_Aggregate] = deque(maxlen=2 * settings.window)
        self._adopt: Mixture | None = None
        self._round = 1

    @property
    def gap_rel(self) -> float | None:
        """Certified relative gap of the best result; None before the first."""
        if self.best is None:
            return None
        scale = max(abs(self.bound), self._target.distance(np.zeros_like(self.price)))
        return (self.best.objective - self.bound) / (scale or 1.0)

    @property
    def converged(self) -> bool:
        """Whether the gap is within its tolerance."""
        return self.gap_rel is not None and self.gap_rel <= self._settings.gap_tol

    @property
    def done(self) -> bool:
        """Whether it has converged, or the last round is over."""
        return self.converged or self._round > self._settings.max_rounds

    def signal(self) -> DispatchSignal:
        """The question of this round."""
        pull = self.price - self._rho * self._common
        return DispatchSignal(self._round, self._rho, self._settings.relaxation, pull, self._asked, self._adopt)

    def adoption(self) -> Mixture | None:
        """What the resources have to adopt to reach the best result, if they have not yet been told."""
        return self._adopt

    def update(self, answer: DispatchAnswer) -> None:
        """Evaluate the answers to the last signal, mix, and step."""
        self._adopt = None
        self._evaluate(answer)
        if not self.converged:
            self._mix()
        primal, dual = self._step(answer)
        self._record(primal, dual)
        self._round += 1

    def _evaluate(self, answer: DispatchAnswer) -> None:
        """Bound and objective of the answers, and their columns."""
        share = float(self._asked @ answer.plain_output) + answer.plain_cost
        bound = share + self._target.bound_share(self._asked)
        if bound > self.bound:
            self.bound, self.best_price = bound, self._asked
        for kind, output, cost in (
            (Column.PRICED, answer.output, answer.cost),
            (Column.PLAIN, answer.plain_output, answer.plain_cost),
        ):
            key = (self._round, kind)
            self._columns.append(_Aggregate(key, output, cost))
            self._offer(output, cost, Mixture({key: 1.0}))

    def _offer(self, aggregate: FloatArray, cost: float, mixture: Mixture) -> None:
        """Make it the best result if it is better."""
        objective = self._target.distance(aggregate) + cost
        if self.best is None or objective < self.best.objective:
            self.best, self._adopt = Incumbent(aggregate, cost, objective), mixture

    def _mix(self) -> None:
        """Mix the columns and the best result; the price of the mixture is asked next."""
        assert self.best is not None, "a round has been evaluated"
        before = self._adopt
        outputs = np.array([*(each.output for each in self._columns), self.best.aggregate])
        costs = np.array([*(each.cost for each in self._columns), self.best.cost])
        mix = best_mix(self._target, outputs, costs)
        self._asked = mix.price
        *weights, of_best = mix.weights
        chosen = {each.key: w for each, w in zip(self._columns, weights, strict=True) if w > 0}
        mixture = Mixture(chosen, of_best)
        if before is not None:
            mixture = _substituted(mixture, before)
        self._offer(mix.weights @ outputs, float(mix.weights @ costs), mixture)

    def _step(self, answer: DispatchAnswer) -> tuple[float, float]:
        """The step of the ADMM; returns its primal (kW) and dual residual (per kW)."""
        if not self._rho:
            self._rho = self._settings.rho or self._natural_penalty(answer)
        alpha, rho, count = self._settings.relaxation, self._rho, max(answer.count, 1)
        common = (1 - alpha) * self._common
        wanted = answer.relaxed + count * (common + self.price / rho)
        price = self._target.price(wanted, rho / count)
        self._common = common + (self.price - price) / rho
        moved, self.price = float(np.linalg.norm(price - self.price)), price
        return float(np.linalg.norm(answer.output - answer.relaxed - count * self._common)), moved

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
                round=self._round,
                objective=self.best.objective,
                bound=self.bound,
                gap_rel=self.gap_rel,
                primal=primal,
                dual=dual,
                rho=self._rho,
            )
        )


def _substituted(mixture: Mixture, best: Mixture) -> Mixture:
    """The mixture with the weight of a best result that was not adopted yet spread over what that consists of."""
    weights = dict(mixture.weights)
    for key, weight in best.weights.items():
        weights[key] = weights.get(key, 0.0) + mixture.adopted * weight
    return Mixture(weights, mixture.adopted * best.adopted)
