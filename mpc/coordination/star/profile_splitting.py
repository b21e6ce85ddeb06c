"""Profile splitting: the operator keeps a copy x̂_i of every prosumer's profile (method.md, section 3; paper C).

Problem:    min Σ_i f_i(x_i) + φ(x̂)   s.t.  x_i = x̂_i        φ: elastic rows l ≤ A x̂ ≤ u at the price κ

Iteration, with D = ρ diag(1, ω) over (p, q) and over-relaxed answers r:

    x_i ← argmin f_i(x) + μ_i'x + ½ ‖x − x̂_i‖²_D                      (10), by each prosumer
    r   ← α x + (1 − α) x̂
    x̂   ← argmin φ(x̂) + ½ ‖x̂ − (r + D⁻¹μ)‖²_D                        (11), a projection per step
    μ   ← μ + D (r − x̂)                                               (12)

Price signal (13):   H = D,  g = μ − D x̂,  fee = ½ x̂'D x̂ − μ'x̂

x, x̂, μ: [N, T, 2], kW and CHF/kW. ω < 1 because reactive power costs a prosumer nothing: its copy may move further
in one round (docs/algorithms/profile_splitting.md has the measurement).
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from core.arrays import FloatArray
from core.prices import PriceSignal
from mpc.coordination.star.splitting import Residuals, norm_per_prosumer
from mpc.grid.projection import project
from mpc.grid.rows import Rows, by_prosumer, by_step

REACTIVE_WEIGHT = 0.5
"""ω: penalty of reactive relative to active deviations."""


@dataclass(frozen=True)
class ProfileSplitting:
    """State of the profile splitting: copies ``x_hat`` (kW, kvar) and multipliers ``mu`` (CHF/kW), each [N, T, 2]."""

    RHO_REL: ClassVar[float] = 1.0

    rows: Rows
    rho: float
    x_hat: FloatArray
    mu: FloatArray
    row_prices: FloatArray
    residuals: Residuals

    @classmethod
    def start(cls, x: FloatArray, rows: Rows, rho: float) -> Self:
        """Cold start: copies of the uncoordinated profiles, no grid prices."""
        return cls(rows, rho, x, np.zeros_like(x), np.zeros_like(rows.lower), Residuals.at_start(len(x)))

    @property
    def d(self) -> FloatArray:
        """Diagonal of D for (p, q), CHF/kW²."""
        return self.rho * np.array([1.0, REACTIVE_WEIGHT])

    @property
    def unheld(self) -> FloatArray:
        """Excess of the rows at the copies x̂, [T, R], kW."""
        return self.rows.excess(self.rows.value(self.x_hat))

    def update(self, x: FloatArray, rows: Rows, alpha: float) -> Self:
        """(11), (12) and (17) for the answers x [N, T, 2]."""
        d = self.d
        r = alpha * x + (1 - alpha) * self.x_hat
        projection = project(by_step(r + self.mu / d), np.tile(d, len(x)), rows)  # (11)
        x_hat = by_prosumer(projection.x)
        mu = self.mu + d * (r - x_hat)  # (12)
        residuals = Residuals(  # (17)
            primal=norm_per_prosumer(x - x_hat),
            dual=norm_per_prosumer(d * (self.x_hat - x_hat + (alpha - 1) * (x - self.x_hat))),
            moved=norm_per_prosumer(d * (self.x_hat - x_hat)),
            primal_scale=np.maximum(norm_per_prosumer(x), norm_per_prosumer(x_hat)),
            dual_scale=norm_per_prosumer(mu),
            size=x[0].size,
        )
        return replace(self, rows=rows, x_hat=x_hat, mu=mu, row_prices=projection.row_prices, residuals=residuals)

    def with_rho(self, rho: float) -> Self:
        """The same state under another penalty."""
        return replace(self, rho=rho)

    def after(self, steps: int) -> Self:
        """The state without its first ``steps`` steps."""
        return replace(
            self,
            rows=self.rows.after(steps),
            x_hat=self.x_hat[:, steps:],
            mu=self.mu[:, steps:],
            row_prices=self.row_prices[steps:],
        )

    def signals(self) -> list[PriceSignal]:
        """(13) and (15) of each prosumer, without the tariff."""
        d = self.d
        h = np.broadcast_to(np.diag(d), (self.x_hat.shape[1], 2, 2))
        fee = np.sum((0.5 * d * self.x_hat - self.mu) * self.x_hat, axis=(1, 2))  # (15)
        return [PriceSignal(h, g, float(fee_i)) for g, fee_i in zip(self.mu - d * self.x_hat, fee, strict=True)]
