"""The voltage slopes that an operator publishes with its prices: what each prosumer does between two plans.

Every prosumer measures the voltage v_i at its own node only. When it leaves the band [v_min + m, v_max − m], the
prosumer accumulates a correction w_i (p.u.) and changes its demand by k_i w_i, reactive or active
(:mod:`realtime.slope`). With S_ij = −∂|V_i|/∂x_j ≥ 0 all corrections together lower the voltages by

    S K w,   K = diag(k),        k_i = α / Σ_j |S_ij|    for p and for q apart

so a supply step, which all nodes see alike, is removed by the share α in one cycle. K S has the row sums α: the largest
eigenvalue of S K is α, and the loop is stable while α s < 2 where the true impedances are s times those of the model
(docs/algorithms/voltage_slope.md).

A slope is constant over the plan: the largest S of all steps, the cautious side. It tells a prosumer two sums over all
prosumers, and the limits of supply quality less a margin.
"""

import numpy as np

from core.arrays import FloatArray
from core.prices import VoltageSlope
from mpc.grid.rows import GridModel, Rows

ALPHA = 1.2
"""Share of a common voltage change that one cycle removes: stable up to impedances 1.6 times those of the model."""
DEAD_BAND_PU = 0.002
"""m: distance from the limits at which the slopes begin to act."""
SMALLEST_PU_PER_KVA = 1e-4
"""Where a demand of 10 kVA moves the voltage by less than 0.001 p.u. it is of no use: the slope is 0."""


def voltage_slopes(grid: GridModel, rows: Rows) -> list[VoltageSlope]:
    """The slope of each prosumer, from the linearisation ``rows`` of ``grid``."""
    limits = grid.problem.limits
    low_pu, high_pu = limits.v_min_pu + DEAD_BAND_PU, limits.v_max_pu - DEAD_BAND_PU
    return [VoltageSlope(low_pu, high_pu, *map(float, k)) for k in gains(-grid.voltage_per_demand(rows))]


def gains(drop: FloatArray) -> FloatArray:
    """Slopes k of each prosumer, kW/p.u. and kvar/p.u., [N, 2].

    Args:
        drop: S, by how much the voltage at each prosumer's node falls with the demand of each, [T, N, N, 2].
    """
    total = np.abs(drop).sum(axis=2).max(axis=0)
    useful = np.diagonal(drop, axis1=1, axis2=2).min(axis=0).T > SMALLEST_PU_PER_KVA
    return np.where(useful, ALPHA / np.where(useful, total, 1.0), 0.0)
