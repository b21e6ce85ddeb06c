"""The tariff, and the two messages of a coordination. Nothing else passes between the parties."""

from dataclasses import dataclass, replace
from math import inf

import numpy as np

from core.arrays import FloatArray

SMALLEST_TARIFF = 0.01
"""CHF/kWh; a floor for prices of losses and violations and for the denominator of the gap, if energy is free."""


@dataclass(frozen=True)
class Tariff:
    """Retail tariff: price of consumption and the remuneration of feed-in, CHF/kWh, each [T].

    ``day_chf_per_kwh`` is the value of energy over the whole day if these steps are only the rest of it.
    """

    buy_chf_per_kwh: FloatArray
    sell_chf_per_kwh: FloatArray
    day_chf_per_kwh: float | None = None

    @property
    def value_chf_per_kwh(self) -> float:
        """c̄, the price of energy that is lost in converters: the mean over the whole day of max(tariff, 0), at least
        :data:`SMALLEST_TARIFF`.
        """
        if self.day_chf_per_kwh is not None:
            return self.day_chf_per_kwh
        return max(float(np.maximum(self.buy_chf_per_kwh, 0).mean()), SMALLEST_TARIFF)

    @property
    def export_spread_chf_per_kwh(self) -> FloatArray:
        """Loss per exported kWh against the purchase price, ≥ 0, [T]."""
        return np.maximum(self.buy_chf_per_kwh - self.sell_chf_per_kwh, 0)

    def premium_chf_per_kwh(self, net_kw: FloatArray) -> FloatArray:
        """What feed-in earns above the purchase price, for a prosumer on the side of feed-in, ≥ 0, [T].

        Where feed-in earns more than consumption costs, the bill is not convex: it is the lesser of two linear ones. A
        prosumer plans such a step at the price of the side on which it is without flexibility (ours).

        Args:
            net_kw: load less available PV, [T]; the side is that of feed-in where it is negative.
        """
        return np.where(net_kw < 0, np.maximum(self.sell_chf_per_kwh - self.buy_chf_per_kwh, 0), 0.0)

    def cost_chf(self, p_kw: FloatArray, dt_h: float) -> float:
        """Retail cost of a demand profile p [T]: c⁺' max(p, 0) Δt − c⁻' max(−p, 0) Δt."""
        buy = self.buy_chf_per_kwh @ np.maximum(p_kw, 0)
        sell = self.sell_chf_per_kwh @ np.maximum(-p_kw, 0)
        return float(buy - sell) * dt_h

    def after(self, steps: int) -> "Tariff":
        """The tariff without its first ``steps`` steps; the value of energy stays that of the whole day."""
        return Tariff(self.buy_chf_per_kwh[steps:], self.sell_chf_per_kwh[steps:], self.value_chf_per_kwh)

    def signal(self, dt_h: float) -> "PriceSignal":
        """The purchase price as a price signal: the one of a prosumer without coordination."""
        g = np.column_stack([self.buy_chf_per_kwh * dt_h, np.zeros(len(self.buy_chf_per_kwh))])
        return PriceSignal(np.zeros((len(g), 2, 2)), g, 0.0)


@dataclass(frozen=True)
class VoltageSlope:
    """What a prosumer is to do between two plans when the voltage at its node leaves a band: one rule for all steps.

    To lower the voltage by one p.u. it raises its demand by ``kvar_per_pu`` or by ``kw_per_pu``, to raise the voltage
    it lowers its demand.

    Attributes:
        v_low_pu, v_high_pu: the band within which nothing is asked, p.u.
        kw_per_pu, kvar_per_pu: slopes of active and of reactive demand, ≥ 0; 0: such power is of no use.
    """

    v_low_pu: float
    v_high_pu: float
    kw_per_pu: float
    kvar_per_pu: float

    @property
    def valid(self) -> bool:
        """Whether the band is one, and the slopes are finite and not negative."""
        slopes = (self.kw_per_pu, self.kvar_per_pu)
        return 0 < self.v_low_pu < self.v_high_pu < inf and all(0 <= k < inf for k in slopes)

    def scaled(self, share: float) -> "VoltageSlope":
        """The part of one of several converters."""
        return replace(self, kw_per_pu=share * self.kw_per_pu, kvar_per_pu=share * self.kvar_per_pu)


@dataclass(frozen=True)
class PriceSignal:
    """Non-linear price of a demand profile (paper A, eq. 13): C(x) = Σ_t [½ x_t'H_t x_t + g_t'x_t] + fee.

    Attributes:
        h: [T, 2, 2], CHF/kW², symmetric positive semidefinite; zero for a plain price.
        g: [T, 2], CHF/kW and CHF/kvar per step; contains the retail tariff.
        fee_chf: independent of the demand (15).
        slope: for the time between two plans; it has no part in the answer. None: nothing is asked.
    """

    h: FloatArray
    g: FloatArray
    fee_chf: float
    slope: VoltageSlope | None = None

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
        cost_chf: smallest attainable advertised cost.
        above_restricted_chf: excess of it over the least cost of the program in which only those steps are restricted
            to one direction of a battery that were so in the last answer to a price with curvature.
        above_relaxed_chf: excess of it over the least cost of the program without these restrictions. Both are 0 where
            nothing had to be restricted. Under a plain price (H = 0) the two least costs are the prosumer's part of the
            lower bounds that certify the coordination.
    """

    x: FloatArray
    cost_chf: float
    above_restricted_chf: float = 0.0
    above_relaxed_chf: float = 0.0
