"""Constraint splitting: the paper's algorithm (paper A, eq. 8–15), with two-sided, elastic rows.

Problem:    min Σ_i f_i(x_i) + φ(Σ_i z_i)   s.t.  A_i x_i = z_i     φ: elastic rows l ≤ Σ z_i ≤ u at the price κ

Iteration, with A_i x_i the contribution of prosumer i to every row and N prosumers:

    x_i ← argmin f_i(x) + λ'(A_i x − z_i) + ρ/2 ‖A_i x − z_i‖²         (10), by each prosumer
    r_i ← α A_i x_i + (1 − α) z_i
    z   ← argmin φ(Σ z_i) + Σ_i λ'(r_i − z_i) + ρ/2 ‖r_i − z_i‖²       (11)
    λ   ← λ + ρ (r_i − z_i)                                            (12), equal for all i

(11) and (12) have a closed form: with w_i = r_i + λ/ρ and W = Σ w_i,

    λ⁺ = clip(ρ/N (W − clip(W, l, u)), −κ, κ),      z_i = w_i − λ⁺/ρ

Price signal (13):   H_t = ρ A_it'A_it,  g_t = A_it'(λ_t − ρ z_it),  fee = Σ_t ρ/2 ‖z_it‖² − λ_t'z_it

z: [N, T, R], λ: [T, R]; rows in kW, λ in CHF/kW, ρ in CHF/kW².
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from core.arrays import FloatArray
from core.prices import PriceSignal
from mpc.coordination.star.splitting import Residuals, norm_per_prosumer
from mpc.grid.rows import Rows


@dataclass(frozen=True)
class ConstraintSplitting:
    """State of the constraint splitting: contributions ``z`` [N, T, R] in kW and row prices λ [T, R] in CHF/kW."""

    RHO_REL: ClassVar[float] = 2.0

    rows: Rows
    rho: float
    z: FloatArray
    row_prices: FloatArray
    residuals: Residuals

    @classmethod
    def start(cls, x: FloatArray, rows: Rows, rho: float) -> Self:
        """Cold start: the contributions of the uncoordinated profiles, no grid prices."""
        return cls(rows, rho, rows.contributions(x), np.zeros_like(rows.lower), Residuals.at_start(len(x)))

    @property
    def unheld(self) -> FloatArray:
        """Excess of the rows at Σ z_i, [T, R], kW."""
        return self.rows.excess(self.z.sum(axis=0))

    def update(self, x: FloatArray, rows: Rows, alpha: float) -> Self:
        """(11), (12) and (17) for the answers x [N, T, 2]; contributions are first moved to new ``rows``."""
        ax = rows.contributions(x)
        z_before = self.z if rows is self.rows else self.z + ax - self.rows.contributions(x)
        r = alpha * ax + (1 - alpha) * z_before
        w = r + self.row_prices / self.rho
        total = w.sum(axis=0)
        beyond = total - np.clip(total, rows.lower, rows.upper)
        row_prices = np.clip(self.rho / len(x) * beyond, -rows.kappa, rows.kappa)  # (12)
        z = w - row_prices / self.rho  # (11)
        residuals = Residuals(  # (17)
            primal=norm_per_prosumer(ax - z),
            dual=self.rho * norm_per_prosumer(z_before - z + (alpha - 1) * (ax - z_before)),
            moved=self.rho * norm_per_prosumer(z_before - z),
            primal_scale=np.maximum(norm_per_prosumer(ax), norm_per_prosumer(z)),
            dual_scale=np.full(len(x), np.linalg.norm(row_prices)),
            size=row_prices.size,
        )
        return replace(self, rows=rows, z=z, row_prices=row_prices, residuals=residuals)

    def with_rho(self, rho: float) -> Self:
        """The same state under another penalty."""
        return replace(self, rho=rho)

    def after(self, steps: int) -> Self:
        """The state without its first ``steps`` steps."""
        return replace(self, rows=self.rows.after(steps), z=self.z[:, steps:], row_prices=self.row_prices[steps:])

    def signals(self) -> list[PriceSignal]:
        """(13) and (15) of each prosumer, without the tariff."""
        signals = []
        for z, a in zip(self.z, self.rows.per_prosumer(), strict=True):
            h = self.rho * np.einsum("tra,trb->tab", a, a)
            g = np.einsum("tra,tr->ta", a, self.row_prices - self.rho * z)
            fee = np.sum((0.5 * self.rho * z - self.row_prices) * z)  # (15)
            signals.append(PriceSignal(h, g, float(fee)))
        return signals
