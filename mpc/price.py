"""Readings of a price signal: the price of a kWh, and the compensation of flexibility (paper A, eq. 13–16).

A signal advertises C(x) = Σ_t [½ x_t'H_t x_t + g_t'x_t] + fee. Of its two readings as a price, figures show the
marginal price: it equals tariff plus grid component, follows the tariff where no limit binds and does not depend on ρ.
The paper's consumption-dependent tariff (14) is the average price; it deviates from the former by ½ρp/Δt everywhere.
"""

import numpy as np

from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig, TreeConfig
from core.prices import SMALLEST_TARIFF, DemandProfile, PriceSignal, Tariff

VIOLATION_PRICE_REL = 10.0
"""Price of violating a limit relative to the mean tariff, if the configuration says ``auto``."""


def marginal_price_chf_per_kwh(signal: PriceSignal, x: FloatArray, dt_h: float) -> FloatArray:
    """(H_t x_t + g_t)_p / Δt at the profile x [T, 2]: the price of one more kWh, [T]."""
    return signal.gradient(x)[:, 0] / dt_h


def average_price_chf_per_kwh(signal: PriceSignal, x: FloatArray, dt_h: float) -> FloatArray:
    """(14): (½ H_t x_t + g_t)_p / Δt, [T]; times the energy it is the consumption-dependent cost."""
    return signal.gradient(x / 2)[:, 0] / dt_h


def compensation_chf(tariff: Tariff, x: FloatArray, x_own: FloatArray, dt_h: float) -> float:
    """(16): retail cost of the coordinated profile less that of the prosumer's own optimum; ≥ 0 by optimality where
    resources have no own costs.
    """
    return tariff.cost_chf(x[:, 0], dt_h) - tariff.cost_chf(x_own[:, 0], dt_h)


def own_cost_chf(tariff: Tariff, signal: PriceSignal, answer: DemandProfile, dt_h: float) -> float:
    """Own cost of the resources behind an answer, losses and wear: what it costs besides signal and feed-in."""
    p_kw = answer.x[:, 0]
    feed_in_chf = tariff.cost_chf(p_kw, dt_h) - float(tariff.buy_chf_per_kwh @ p_kw) * dt_h
    return answer.cost_chf - signal.cost_chf(answer.x) - feed_in_chf


def violation_price_chf_per_kwh(settings: CoordinationConfig | TreeConfig, tariff: Tariff) -> float:
    """Price of a kWh beyond a limit that cannot be held: configured, or in proportion to the tariff."""
    if settings.violation_price_chf_per_kwh != "auto":
        return settings.violation_price_chf_per_kwh
    return VIOLATION_PRICE_REL * max(float(np.abs(tariff.buy_chf_per_kwh).mean()), SMALLEST_TARIFF)
