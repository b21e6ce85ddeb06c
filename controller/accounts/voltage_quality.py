"""How well measured voltages kept their limits: single samples, and their means of ten minutes as in EN 50160.

Voltages come as tables [samples, nodes besides the slack] indexed by time; an empty cell was not measured and counts
nowhere. Every pair of a node and a sample, or of a node and an interval, counts for itself. A sample belongs to the
interval in which it was taken, the one on the boundary to the later.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

INTERVAL = "10min"
OUTSIDE_10MIN, OUTSIDE = 0.01, 0.05
"""Shares of the means and of the samples that may lie outside."""
WORST_MEAN_PU, WORST_PU = 0.005, 0.008
"""How far beyond its limit the worst mean and the worst sample may lie."""


@dataclass(frozen=True)
class VoltageQuality:
    """Counts of pairs, and the worst excess beyond a limit (≥ 0); extremes are None where nothing was measured.

    Attributes:
        unmeasured: pairs of node and sample without a value.
        any_node_10min: intervals in which at least one node's mean is outside.
    """

    v_min_pu: float | None
    v_max_pu: float | None
    samples: int
    unmeasured: int
    outside: int
    means_10min: int
    outside_10min: int
    any_node_10min: int
    worst_pu: float
    worst_mean_pu: float


def judged(v_pu: pd.DataFrame, v_min_pu: float, v_max_pu: float) -> VoltageQuality:
    """Count and measure against the limits of the configuration, without any margin."""
    means = ten_minute_means(v_pu)
    samples_beyond, means_beyond = (beyond(table, v_min_pu, v_max_pu).to_numpy(float) for table in (v_pu, means))
    measured = v_pu.to_numpy(float)
    measured = measured[~np.isnan(measured)]
    return VoltageQuality(
        v_min_pu=float(measured.min()) if measured.size else None,
        v_max_pu=float(measured.max()) if measured.size else None,
        samples=measured.size,
        unmeasured=v_pu.size - measured.size,
        outside=int((samples_beyond > 0).sum()),
        means_10min=int((~np.isnan(means_beyond)).sum()),
        outside_10min=int((means_beyond > 0).sum()),
        any_node_10min=int((means_beyond > 0).any(axis=1).sum()),
        worst_pu=float(np.nanmax(samples_beyond, initial=0.0)),
        worst_mean_pu=float(np.nanmax(means_beyond, initial=0.0)),
    )


def ten_minute_means(v_pu: pd.DataFrame) -> pd.DataFrame:
    """Mean of what was measured in each interval, [intervals, nodes], indexed by their begins."""
    return v_pu.groupby(pd.DatetimeIndex(v_pu.index).floor(INTERVAL)).mean()


def beyond(v_pu: pd.DataFrame, v_min_pu: float, v_max_pu: float) -> pd.DataFrame:
    """How far each value lies beyond its nearer limit: > 0 outside, ≤ 0 within, empty where nothing was measured."""
    return (v_pu - v_max_pu).where(v_pu > (v_min_pu + v_max_pu) / 2, v_min_pu - v_pu).where(v_pu.notna())
