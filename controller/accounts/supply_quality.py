"""Compliance of the reactive power at the supply with its limit, by ten-minute means like voltages."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from controller.accounts.voltage_quality import ten_minute_means


@dataclass(frozen=True)
class ReactiveQuality:
    """Ten-minute means of |Q| against ``limit_kvar``; ``worst_kvar`` is the largest excess, ≥ 0.

    An interval in which nothing was measured is not counted.
    """

    limit_kvar: float
    means_10min: int
    outside_10min: int
    worst_kvar: float


def reactive_quality(q_kvar: pd.Series, limit_kvar: float) -> ReactiveQuality:
    """Counts and the worst excess of a measured series (kvar), indexed by time."""
    excess = ten_minute_means(q_kvar.to_frame()).iloc[:, 0].dropna().abs().to_numpy(float) - limit_kvar
    worst_kvar = float(np.max(excess, initial=0.0))
    return ReactiveQuality(limit_kvar, len(excess), int((excess > 0).sum()), worst_kvar)
