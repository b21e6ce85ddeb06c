"""Compliance of measured voltages with their limits: single samples, and ten-minute means as in EN 50160.

Voltages are tables [samples, nodes besides the slack] indexed by time; an empty cell was not measured and is not
counted. Every pair of a node and a sample, or of a node and an interval, counts once. A sample belongs to the interval
in which it was taken; one on the boundary belongs to the later interval.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

INTERVAL = "10min"
OUTSIDE_10MIN, OUTSIDE = 0.01, 0.05
"""Largest shares of the means and of the samples that may be outside."""
DECIMALS = 12
"""Digits of a mean (p.u.): twenty samples at a limit are not beyond it, in whichever order they are summed."""
WORST_MEAN_PU, WORST_PU = 0.005, 0.008
"""Largest excess over the limit of the worst mean and of the worst sample."""


@dataclass(frozen=True)
class VoltageQuality:
    """Counts of pairs, and the worst excess over a limit (≥ 0); extremes are None if nothing was measured.

    Attributes:
        unmeasured: pairs of node and sample without a value.
        any_node_10min: intervals in which the mean of at least one node is outside.
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


def voltage_quality(v_pu: pd.DataFrame, v_min_pu: float, v_max_pu: float) -> VoltageQuality:
    """Counts and extremes relative to the limits of the configuration, without any margin."""
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
    """Mean of the measured values in each interval, [intervals, nodes], indexed by the start of the interval."""
    return v_pu.groupby(pd.DatetimeIndex(v_pu.index).floor(INTERVAL)).mean().round(DECIMALS)


def beyond(v_pu: pd.DataFrame, v_min_pu: float, v_max_pu: float) -> pd.DataFrame:
    """Excess of each value over its nearer limit (p.u.): > 0 outside, ≤ 0 within, NaN where nothing was measured."""
    return (v_pu - v_max_pu).where(v_pu > (v_min_pu + v_max_pu) / 2, v_min_pu - v_pu).where(v_pu.notna())
