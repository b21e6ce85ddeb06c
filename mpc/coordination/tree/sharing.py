"""The paper's own iteration (paper B, 11–16), for comparison with the tree of :mod:`mpc.coordination.tree`.

    (5)  min e(Σ_i z_∅i) + Σ_i f_i(x_i)    s.t.  w_bi'x_i = z_bi for b ∈ A(i),   Σ_{i∈D_b} z_bi ∈ Z_b

A(i): all limits of all branches above leaf i; D_b: the N_b leaves under limit b. All leaves answer at once:

    (11) x_i ← argmin f_i(x) + ρ/2 Σ_{b∈A(i)} ‖w_bi'x − w_bi'x_i + x̄_b − z̄_b + u_b‖²        x̄_b = 1/N_b Σ_i w_bi'x_i
         = argmin f_i(x) + ρ/2 ‖Ω_i x − r_i‖²,   Ω_i = [w_bi'],  r_i = [w_bi'x_i − x̄_b + z̄_b − u_b]    (15, 16)
    (12) z̄_∅ ← Π( prox_{e(N·)/(Nρ)}(x̄_∅ + u_∅) )
    (13) z̄_b ← Π_{Z_b/N_b}(x̄_b + u_b)
    (14) u_b ← u_b + x̄_b − z̄_b

As a price signal, (11) is min f_i(x) + ½ x'H_i x + g_i'x with H_i = ρ Σ_b w_bi w_bi' and g_i = −ρ Σ_b w_bi r_bi.
Of the paper's silence, ours: over-relaxation, in which α w_bi'x_i + (1−α) z_bi stands for w_bi'x_i in all of this, with
z_bi = w_bi'x_i − x̄_b + z̄_b (α = 1: the paper); scaling of each limit to a largest coefficient of 1; a price at which a
limit may be violated; and ρ relative to its natural scale. It has no certificate and no rule to stop by.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.algorithms import TreeAlgorithm
from core.arrays import FloatArray
from core.config_coordination import TreeConfig
from core.hierarchy import TreeProblem
from core.plan import Agreement
from core.prices import PriceSignal
from core.time import Clock
from mpc.coordination.participants import PriceResponsive
from mpc.coordination.star.penalty import natural_penalty
from mpc.coordination.tree.outcome import TreeRound
from mpc.coordination.tree.shared_limit import SharedLimit, shared_limits
from mpc.price import violation_price_chf_per_kwh

RELAXATIONS = {TreeAlgorithm.SHARING: 1.0, TreeAlgorithm.RELAXED_SHARING: 1.6}
"""α of the paper, which over-relaxes nothing, and of the tree."""
RHO_REL = 1.0
"""Mean curvature that a leaf is asked for, relative to the natural one: mean tariff of a step over the RMS swing of a
leaf's power.
"""


@dataclass
class LimitState:
    """State of one limit: over-relaxed w_i'x_i [N_b, T], their mean x̄, the copy z̄, and the scaled price u, each [T]."""

    wx: FloatArray
    x_mean: FloatArray
    z_mean: FloatArray
    u: FloatArray


@dataclass(frozen=True)
class SharingOutcome:
    """Profiles of the last round by leaf, kW and kvar, [T, 2], and all rounds; ``ended`` if the caller said so."""

    x: dict[str, FloatArray]
    rounds: tuple[TreeRound, ...]
    ended: bool


class Sharing:
    """The iteration; ``scaled``: limits have a largest coefficient of 1, otherwise their own unit, as in the paper.

    ``agreements`` are the last signals with their answers, ``uncoordinated`` the answers to the tariff alone.
    """

    def __init__(
        self, problem: TreeProblem, participants: Sequence[PriceResponsive], settings: TreeConfig, scaled: bool = True
    ) -> None:
        by_name = {each.name: each for each in participants}
        self._leaves = [by_name[name] for name in problem.hierarchy.leaves]
        self._problem, self._alpha = problem, settings.relaxation
        self._tariff = problem.tariff.signal(problem.axis.dt_h)
        kappa = violation_price_chf_per_kwh(settings, problem.tariff) * problem.axis.dt_h
        self._limits = shared_limits(problem, kappa, scaled)
        self.x, self.cost_chf = self._answers([self._tariff] * len(self._leaves))
        self.uncoordinated = {name: each.profile for name, each in self.agreements.items()}
        squares = self._squares()
        self.rho = settings.rho if settings.rho != "auto" else self._start_rho(squares)
        self._h = self.rho * squares
        self._shared = [self._start(limit) for limit in self._limits]
        self.primal = self.dual = 0.0

    def step(self) -> None:
        """One iteration."""
        self.x, self.cost_chf = self._answers(self._signals())  # (11)
        residuals = [self._update(limit, state) for limit, state in zip(self._limits, self._shared, strict=True)]
        self.primal, self.dual = np.mean(residuals, axis=0)

    def judged(self, number: int, wall_ms: float) -> TreeRound:
        """The present iterate, judged by the answers of the leaves."""
        excesses = [limit.excess(self.x) for limit in self._limits]
        unheld_chf = sum(float(limit.kappa @ e) for limit, e in zip(self._limits, excesses, strict=True))
        relative = (float((e / limit.scale).max()) for limit, e in zip(self._limits, excesses, strict=True))
        off_target = self.x[:, :, 0].sum(axis=0) - self._problem.target
        objective_chf = self.cost_chf + self._problem.peak_weight_per_kw2 / 2 * float(off_target @ off_target)
        return TreeRound(
            number, self.primal, self.dual, self.rho, objective_chf, unheld_chf, None, None, max(relative), wall_ms
        )

    @property
    def profiles(self) -> dict[str, FloatArray]:
        """The leaves' last answers, kW and kvar, each [T, 2]."""
        return dict(zip(self._problem.hierarchy.leaves, self.x, strict=True))

    def _signals(self) -> list[PriceSignal]:
        """(15, 16): what each leaf is asked by all limits above it, and the tariff."""
        g = np.repeat(self._tariff.g[None], len(self._leaves), axis=0)
        for limit, state in zip(self._limits, self._shared, strict=True):
            r = state.wx - state.x_mean + state.z_mean - state.u
            g[list(limit.leaves)] -= self.rho * limit.w * r[:, :, None]
        return [PriceSignal(h_i, g_i, 0.0) for h_i, g_i in zip(self._h, g, strict=True)]

    def _update(self, limit: SharedLimit, state: LimitState) -> tuple[float, float]:
        """(12–14) for one limit; returns ‖x̄ − z̄‖ of the leaves' answers, and ρ times the movement of z̄."""
        alpha, z_before = self._alpha, state.z_mean
        z = state.wx - state.x_mean + state.z_mean
        wx = limit.weighted(self.x)
        state.wx = alpha * wx + (1 - alpha) * z
        state.x_mean = state.wx.mean(axis=0)
        state.z_mean = limit.mean_copy(state.x_mean + state.u, self.rho)  # (12, 13)
        state.u = state.u + state.x_mean - state.z_mean  # (14)
        primal = float(np.linalg.norm(wx.mean(axis=0) - state.z_mean))
        return primal, self.rho * float(np.linalg.norm(state.z_mean - z_before))

    def _start(self, limit: SharedLimit) -> LimitState:
        """From the uncoordinated answers and u = 0."""
        wx = limit.weighted(self.x)
        x_mean = wx.mean(axis=0)
        z_mean = limit.mean_copy(x_mean, self.rho)
        return LimitState(wx, x_mean, z_mean, x_mean - z_mean)

    def _squares(self) -> FloatArray:
        """Σ_b w_bi w_bi', [N, T, 2, 2]."""
        squares = np.zeros((*self.x.shape, 2))
        for limit in self._limits:
            squares[list(limit.leaves)] += np.einsum("ita,itb->itab", limit.w, limit.w)
        return squares

    def _start_rho(self, squares: FloatArray) -> float:
        return RHO_REL * natural_penalty(self._tariff.g[:, 0], self.x) / float(squares[:, :, 0, 0].mean())

    def _answers(self, signals: Sequence[PriceSignal]) -> tuple[FloatArray, float]:
        """Profiles of all leaves [N, T, 2], and what they cost: bills, losses and wear."""
        answers = [leaf.respond(signal) for leaf, signal in zip(self._leaves, signals, strict=True)]
        agreed = map(Agreement, signals, answers)
        self.agreements = dict(zip(self._problem.hierarchy.leaves, agreed, strict=True))
        advertised = [signal.cost_chf(each.x) for signal, each in zip(signals, answers, strict=True)]
        plain = [self._tariff.cost_chf(each.x) for each in answers]
        costs = [each.cost_chf - a + p for each, a, p in zip(answers, advertised, plain, strict=True)]
        return np.stack([each.x for each in answers]), float(sum(costs))


def coordinate_by_sharing(
    sharing: Sharing, max_rounds: int, clock: Clock, ended: Callable[[TreeRound], bool]
) -> SharingOutcome:
    """Iterate until ``ended`` says so of a round, or for ``max_rounds`` rounds."""
    rounds: list[TreeRound] = []
    while len(rounds) < max_rounds and not (rounds and ended(rounds[-1])):
        began_s = clock.monotonic_s()
        sharing.step()
        rounds.append(sharing.judged(len(rounds) + 1, 1e3 * (clock.monotonic_s() - began_s)))
    return SharingOutcome(sharing.profiles, tuple(rounds), bool(rounds) and ended(rounds[-1]))
