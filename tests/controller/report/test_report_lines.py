"""How long series, time axes, numbers and words are drawn."""

import numpy as np
import pandas as pd
import pytest

from controller.report.loop.trace import BUCKETS, envelope
from controller.report.primitives.amounts import magnitude, number, percent, significant
from controller.report.primitives.markup import row, tag
from controller.report.primitives.style import decimal, short
from controller.report.primitives.times import ticks
from core.time import TimeAxis


def test_thinning_keeps_extremes_order_and_gaps() -> None:
    rng = np.random.default_rng(1)
    hours, values = np.arange(20_000) / 120, rng.normal(size=20_000)
    values[5_000:5_100] = np.nan
    thin_hours, thin = envelope(hours, values)
    assert len(thin) <= 2 * BUCKETS + 10
    assert (np.diff(thin_hours) > 0).all()
    assert (np.nanmin(thin), np.nanmax(thin)) == (np.nanmin(values), np.nanmax(values))
    assert np.isnan(thin[(thin_hours >= hours[5_000]) & (thin_hours < hours[5_100])]).all()
    few = values[:100]
    assert envelope(hours[:100], few)[1] is few


@pytest.mark.parametrize(("minutes", "labels"), [(15, 8), (80, 9), (540, 10), (1440, 8)])
def test_ticks_of_short_runs(minutes: int, labels: int) -> None:
    axis = TimeAxis(pd.Timestamp("2018-06-21T10:00:00Z").to_pydatetime(), 1, minutes, "UTC")
    positions, shown = ticks(axis)
    assert len(positions) == len(shown) == labels


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (number(-0.0004, 3), "0.000"),
        (number(-1.5, 2), "−1.50"),
        (magnitude(0.00123), "0.0012"),
        (magnitude(-1.26e-5), "−1.3 × 10⁻⁵"),
        (magnitude(0), "0"),
        (percent(0.0059), "0.59 %"),
        (percent(-0.19), "−19 %"),
        (percent(1.5), "150 %"),
        (significant(12345.6), "12346"),
        (significant(3.52696), "3.527"),
        (percent(-2e-9), "< 0.0001 %"),
        (decimal(0.001), "10⁻³"),
        (decimal(0.02), "0.02"),
        (decimal(0.00002), "2 × 10⁻⁵"),
        (decimal(0), ""),
        (short("a" * 30), "a" * 21 + "…"),
        (tag("p", "a < b", tag("b", '"'), class_="x&y"), '<p class="x&amp;y">a &lt; b<b>&quot;</b></p>'),
        (row("td", "n", 1), '<tr><th scope="row">n</th><td>1</td></tr>'),
    ],
)
def test_words(shown: str, expected: str) -> None:
    assert shown == expected


def test_ticks_of_a_zone_that_is_half_an_hour_off() -> None:
    axis = TimeAxis.day(pd.Timestamp("2018-06-21").date(), "Asia/Kolkata", 60)
    assert ticks(axis) == ([0, 3, 6, 9, 12, 15, 18, 21, 24], [f"{h:02d}:00" for h in range(0, 25, 3)])
