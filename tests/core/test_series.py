"""Step means of piecewise constant series, and the wall clock of short and long days."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.series import Pass, step_means, wall_passes
from core.time import TimeAxis


@pytest.mark.parametrize(
    ("begins", "values", "edges", "means"),
    [
        ([0, 10, 20], [1, 2, 3], [0, 10, 20, 30], [1, 2, 3]),
        ([0, 5, 10, 15], [1, 3, 5, 7], [0, 10, 20], [2, 6]),
        ([0, 30], [1, 4], [0, 10, 20, 30, 40], [1, 1, 1, 4]),
        ([0, 15], [0, 6], [0, 10, 20, 30], [0, 3, 6]),
        ([-5, 0, 90], [9, 2, 5], [0, 10, 20], [2, 2]),
        ([0, 4, 7], [10, 20, 30], [0, 10], [(40 + 60 + 90) / 10]),
    ],
)
def test_means(begins: list[float], values: list[float], edges: list[float], means: list[float]) -> None:
    result = step_means(np.array(begins, float), np.array(values, float), np.array(edges, float))
    np.testing.assert_allclose(result, means, rtol=1e-15)


@given(
    samples=st.dictionaries(st.integers(1, 999), st.floats(-1e6, 1e6), max_size=30),
    inner=st.sets(st.integers(1, 999), max_size=20),
    first=st.floats(-1e6, 1e6),
)
def test_energy_is_conserved(samples: dict[int, float], inner: set[int], first: float) -> None:
    begins = np.array([0, *sorted(samples)], float)
    values = np.array([first, *(samples[k] for k in sorted(samples))])
    edges = np.array([0, *sorted(inner), 1000], float)
    means = step_means(begins, values, edges)
    energy = values @ np.diff([*begins, 1000.0])
    assert means @ np.diff(edges) == pytest.approx(energy, rel=1e-9, abs=1e-3)
    assert np.all(means <= values.max() + 1e-6)
    assert np.all(means >= values.min() - 1e-6)


@pytest.mark.parametrize(
    ("day", "timezone", "passes"),
    [
        (date(2018, 6, 21), "Europe/Zurich", [Pass(0, 86400, 0)]),
        (date(2018, 3, 25), "Europe/Zurich", [Pass(0, 7200, 0), Pass(10800, 86400, 7200)]),
        (date(2018, 10, 28), "Europe/Zurich", [Pass(0, 10800, 0), Pass(7200, 86400, 10800)]),
        (date(2018, 11, 4), "America/Sao_Paulo", [Pass(3600, 86400, 0)]),
    ],
)
def test_wall_clock_of_the_day(day: date, timezone: str, passes: list[Pass]) -> None:
    assert list(wall_passes(TimeAxis.day(day, timezone, 10))) == passes
