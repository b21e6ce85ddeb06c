"""Counting voltages outside their limits: by hand, and against a plain loop."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.accounts.voltage_quality import beyond, ten_minute_means, voltage_quality

BEGIN = pd.Timestamp("2018-06-21T10:00:00Z")
V_MIN, V_MAX = 0.95, 1.05


def table(columns: dict[str, list[float]], begin: pd.Timestamp = BEGIN, every: str = "30s") -> pd.DataFrame:
    length = len(next(iter(columns.values())))
    return pd.DataFrame(columns, index=pd.date_range(begin, periods=length, freq=every))


def test_by_hand() -> None:
    """Two intervals of two nodes: A leaves the band in single samples only, B in the mean of the second interval."""
    a = [1.0] * 19 + [1.06] + [1.0] * 19 + [0.94]
    b = [1.0] * 20 + [1.052] * 20
    quality = voltage_quality(table({"A": a, "B": b}), V_MIN, V_MAX)
    assert (quality.samples, quality.outside, quality.unmeasured) == (80, 22, 0)
    assert (quality.means_10min, quality.outside_10min, quality.any_node_10min) == (4, 1, 1)
    assert (quality.v_min_pu, quality.v_max_pu) == (0.94, 1.06)
    assert quality.worst_pu == pytest.approx(0.01)
    assert quality.worst_mean_pu == pytest.approx(0.002)


def test_a_value_on_the_limit_is_within() -> None:
    quality = voltage_quality(table({"A": [V_MIN, V_MAX]}), V_MIN, V_MAX)
    assert (quality.outside, quality.outside_10min, quality.worst_pu) == (0, 0, 0)


def test_the_sample_on_the_boundary_belongs_to_the_later_interval() -> None:
    means = ten_minute_means(table({"A": [1.0, 2.0]}, BEGIN - timedelta(seconds=30)))
    assert list(means["A"]) == [1.0, 2.0]
    assert list(means.index) == [BEGIN - timedelta(minutes=10), BEGIN]


def test_what_was_not_measured_counts_nowhere() -> None:
    gaps = [np.nan] * 20 + [1.06] + [np.nan] * 19
    quality = voltage_quality(table({"A": gaps, "B": [np.nan] * 40}), V_MIN, V_MAX)
    assert (quality.samples, quality.unmeasured, quality.outside) == (1, 79, 1)
    assert (quality.means_10min, quality.outside_10min) == (1, 1)
    nothing = voltage_quality(table({"A": [np.nan] * 3}), V_MIN, V_MAX)
    assert (nothing.v_min_pu, nothing.v_max_pu, nothing.worst_pu, nothing.means_10min) == (None, None, 0, 0)


voltages = st.lists(
    st.lists(st.one_of(st.floats(0.8, 1.2), st.just(float("nan"))), min_size=45, max_size=45), min_size=1, max_size=3
)


@settings(max_examples=50, deadline=None)
@given(columns=voltages, offset_s=st.integers(0, 600))
def test_against_a_plain_loop(columns: list[list[float]], offset_s: int) -> None:
    begin = BEGIN + timedelta(seconds=offset_s)
    named = table({f"N{k}": values for k, values in enumerate(columns)}, begin)
    outside = 0
    intervals: dict[tuple[int, int], list[float]] = {}
    for node, values in enumerate(columns):
        for k, v_pu in enumerate(values):
            if not np.isnan(v_pu):
                outside += v_pu > V_MAX or v_pu < V_MIN
                intervals.setdefault((node, (offset_s + 30 * k) // 600), []).append(v_pu)
    means = {key: float(np.mean(values)) for key, values in intervals.items()}
    left = {key for key, mean in means.items() if mean > V_MAX or mean < V_MIN}
    quality = voltage_quality(named, V_MIN, V_MAX)
    assert (quality.outside, quality.means_10min) == (outside, len(means))
    assert (quality.outside_10min, quality.any_node_10min) == (len(left), len({k for _, k in left}))
    worst = max((max(mean - V_MAX, V_MIN - mean) for mean in means.values()), default=0)
    assert quality.worst_mean_pu == pytest.approx(max(worst, 0))


@given(v_pu=st.floats(0.5, 1.5))
def test_beyond_is_the_distance_to_the_band(v_pu: float) -> None:
    distance = float(beyond(table({"A": [v_pu]}), V_MIN, V_MAX).iloc[0, 0])
    assert distance == pytest.approx(max(v_pu - V_MAX, V_MIN - v_pu))
