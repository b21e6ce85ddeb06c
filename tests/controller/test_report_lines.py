"""How long series and time axes are drawn."""

import numpy as np
import pandas as pd
import pytest

from controller.report.loop.trace import BUCKETS, thinned
from controller.report.times import ticks
from core.time import TimeAxis


def test_thinning_keeps_extremes_order_and_gaps() -> None:
    rng = np.random.default_rng(1)
    hours, values = np.arange(20_000) / 120, rng.normal(size=20_000)
    values[5_000:5_100] = np.nan
    thin_hours, thin = thinned(hours, values)
    assert len(thin) <= 2 * BUCKETS + 10
    assert (np.diff(thin_hours) > 0).all()
    assert (np.nanmin(thin), np.nanmax(thin)) == (np.nanmin(values), np.nanmax(values))
    assert np.isnan(thin[(thin_hours >= hours[5_000]) & (thin_hours < hours[5_100])]).all()
    few = values[:100]
    assert thinned(hours[:100], few)[1] is few


@pytest.mark.parametrize(("minutes", "labels"), [(15, 4), (80, 9), (540, 10), (1440, 8)])
def test_ticks_of_short_runs(minutes: int, labels: int) -> None:
    axis = TimeAxis(pd.Timestamp("2018-06-21T10:00:00Z").to_pydatetime(), 1, minutes, "UTC")
    positions, shown = ticks(axis)
    assert len(positions) == len(shown) == labels
