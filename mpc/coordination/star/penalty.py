"""The penalty ρ: a start value relative to its natural scale, and its adaptation (paper A, eq. 18).

Both use relative quantities, so that one set of numbers serves every grid, tariff and step length:

    ρ⁰ = ρ_rel · (mean |tariff| Δt) / (typical power swing)
    (18) on relative residuals r = ‖primal‖/‖x‖, s = ρ‖movement of the copies‖/‖μ‖:   r > ν s → ρ τ,   s > ν r → ρ/τ
ρ_rel belongs to the splitting (docs/benchmarks.md has the measurement).
"""

import numpy as np

from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig
from mpc.coordination.star.splitting import Residuals

NU, TAU = 20.0, 1.2
SMALLEST = 1e-3
"""Floor of price (CHF/kW) and swing (kW), so that free energy or constant loads do not make ρ zero or infinite."""


def natural_penalty(tariff_chf_per_kw: FloatArray, x: FloatArray) -> float:
    """Mean tariff [T] of a step over the RMS swing of the power of uncoordinated profiles x [N, T, 2], CHF/kW²."""
    price = float(np.abs(tariff_chf_per_kw).mean())
    swing = float(np.sqrt(np.mean(np.var(x[:, :, 0], axis=1))))
    return max(price, SMALLEST) / max(swing, SMALLEST)


def start_penalty(settings: CoordinationConfig, rho_rel: float, tariff_chf_per_kw: FloatArray, x: FloatArray) -> float:
    """ρ⁰ of a cold start, CHF/kW²: the configured one, or ρ_rel times the natural one."""
    if settings.rho != "auto":
        return settings.rho
    return rho_rel * natural_penalty(tariff_chf_per_kw, x)


def adapted(rho: float, residuals: Residuals, behind: bool = False) -> float:
    """(18) on relative residuals; ρ stays unchanged while no limit binds, since then the multipliers are 0.

    Args:
        behind: the limits are all that is missing, and have been for long: prices rise too slowly, whatever (18) says.
    """
    primal_scale, dual_scale = residuals.primal_scale.max(), residuals.dual_scale.max()
    if primal_scale == 0 or dual_scale == 0:
        return rho
    primal, dual = residuals.primal.max() / primal_scale, residuals.moved.max() / dual_scale
    if behind or primal > NU * dual:
        return rho * TAU
    if dual > NU * primal:
        return rho / TAU
    return rho
