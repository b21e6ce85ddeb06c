"""When a run sampled, against the steps of a day."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from controller.accounts.span import Span
from core.time import TimeAxis

DAY = TimeAxis.day(date(2018, 6, 21), "Europe/Zurich", 10)


def span(begin_min: float, cycles: int, axis: TimeAxis = DAY, end_min: float | None = None) -> Span:
    begin = axis.start + timedelta(minutes=begin_min)
    end = begin + timedelta(seconds=30 * cycles) if end_min is None else axis.start + timedelta(minutes=end_min)
    return Span(pd.date_range(begin, periods=cycles, freq="30s"), end)


def test_every_sample_stands_until_the_next() -> None:
    assert span(0, 3).hours == pytest.approx([30 / 3600] * 3)
    assert span(0, 3, end_min=1.25).hours == pytest.approx([30 / 3600, 30 / 3600, 15 / 3600])
    assert span(0, 3, end_min=1).hours == pytest.approx([30 / 3600, 30 / 3600, 0])


@pytest.mark.parametrize(("day", "hours"), [(date(2018, 3, 25), 23), (date(2018, 6, 21), 24), (date(2018, 10, 28), 25)])
def test_whole_days(day: date, hours: int) -> None:
    axis = TimeAxis.day(day, "Europe/Zurich", 10)
    whole = span(0, 120 * hours, axis)
    assert whole.steps(axis) == (0, 6 * hours)
    assert whole.hours.sum() == pytest.approx(hours)
    assert whole.hours_in(axis) == pytest.approx(np.full(6 * hours, 1 / 6))
    assert (np.bincount(whole.step_of(axis)) == 20).all()


def test_parts_of_steps() -> None:
    part = span(65, 20)
    assert part.steps(DAY) == (6, 8)
    assert part.hours_in(DAY)[5:9] == pytest.approx([0, 5 / 60, 5 / 60, 0])
    assert list(part.step_of(DAY)) == [6] * 10 + [7] * 10


def test_a_run_beyond_the_day() -> None:
    with pytest.raises(ValueError, match="is not within"):
        span(1435, 20).steps(DAY)
