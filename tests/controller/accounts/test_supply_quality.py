"""Counting of the reactive power at the supply."""

import numpy as np
import pandas as pd
import pytest

from controller.accounts.supply_quality import ReactiveQuality, reactive_quality

LIMIT_KVAR = 2.0


def samples(*means: float) -> pd.Series:
    """Samples every 30 s, which fluctuate around the mean of each ten minutes."""
    times = pd.date_range("2018-06-21T10:00", periods=20 * len(means), freq="30s", tz="UTC")
    fluctuation = np.tile([0.5, -0.5], 10 * len(means))
    return pd.Series(np.repeat(means, 20) + fluctuation, times)


def test_means_of_either_sign_count_against_the_limit_itself() -> None:
    counted = reactive_quality(samples(2.0, 2.01, -2.3, 0.0, -1.99), LIMIT_KVAR)
    assert counted == ReactiveQuality(LIMIT_KVAR, 5, 2, pytest.approx(0.3))


def test_what_was_not_measured_is_not_counted() -> None:
    series = samples(1.0, 3.0, 1.0)
    series.iloc[20:40] = np.nan
    assert reactive_quality(series, LIMIT_KVAR) == ReactiveQuality(LIMIT_KVAR, 2, 0, 0.0)
    nothing = reactive_quality(series * np.nan, LIMIT_KVAR)
    assert (nothing.means_10min, nothing.outside_10min, nothing.worst_kvar) == (0, 0, 0.0)
