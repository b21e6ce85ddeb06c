"""The tariff, and the two messages of a coordination. Nothing else passes between the parties."""

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray


@dataclass(frozen=True)
class Tariff:
    """Retail tariff: price of consumption and, if lower, the remuneration of feed-in, CHF/kWh, each [T]."""

    buy_chf_per_kwh: FloatArray
    sell_chf_per_kwh: FloatArray

    @property
    def export_spread_chf_per_kwh(self) -> FloatArray:
        """Loss per exported kWh against the purchase price, ≥ 0, [T]."""
        return self.buy_chf_per_kwh - self.sell_chf_per_kwh

    def cost_chf(self, p_kw: FloatArray, dt_h: float) -> float:
        """Retail cost of a demand profile p [T]: c⁺' max(p, 0) Δt − c⁻' max(−p, 0) Δt."""
        buy = self.buy_chf_per_kwh @ np.maximum(p_kw, 0)
        sell = self.sell_chf_per_kwh @ np.maximum(-p_kw, 0)
        return float(buy - sell) * dt_h

    def after(self, steps: int) -> "Tariff":
        """The tariff without its first ``steps`` steps."""
        return Tariff(self.buy_chf_per_kwh[steps:], self.sell_chf_per_kwh[steps:])

    def signal(self, dt_h: float) -> "PriceSignal":
        """The purchase price as a price signal: the one of a prosumer without coordination."""
        g = np.column_stack([self.buy_chf_per_kwh * dt_h, np.zeros(len(self.buy_chf_per_kwh))])
        return PriceSignal(np.zeros((len(g), 2, 2)), g, 0.0)


@dataclass(frozen=True)
class PriceSignal:
    """Non-linear price of a demand profile (paper A, eq. 13): C(x) = Σ_t [½ x_t'H_t x_t + g_t'x_t] + fee.

    Attributes:
        h: [T, 2, 2], CHF/kW², symmetric positive semidefinite; zero for a plain price.
        g: [T, 2], CHF/kW and CHF/kvar per step; contains the retail tariff.
        fee_chf: independent of the demand (15).
    """

    h: FloatArray
    g: FloatArray
    fee_chf: float

    def cost_chf(self, x: FloatArray) -> float:
        """Advertised cost C of the profile x [T, 2]."""
        return float(0.5 * np.einsum("ta,tab,tb->", x, self.h, x) + np.sum(self.g * x)) + self.fee_chf

    def gradient(self, x: FloatArray) -> FloatArray:
        """H x + g, [T, 2], CHF/kW."""
        return np.asarray(np.einsum("tab,tb->ta", self.h, x) + self.g)


@dataclass(frozen=True)
class DemandProfile:
    """A prosumer's answer to one price signal.

    Attributes:
        x: demand (p kW, q kvar), [T, 2].
        cost_chf: smallest attainable advertised cost; under a plain price (H = 0) it is the prosumer's part of the
            lower bound that certifies the coordination.
    """

    x: FloatArray
    cost_chf: float
