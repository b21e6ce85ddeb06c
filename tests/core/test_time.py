"""The time axis on days of 23, 24 and 25 hours."""

from datetime import UTC, date, datetime, timedelta

import pytest

from core.time import TimeAxis


@pytest.mark.parametrize(
    ("day", "hours", "start"),
    [
        (date(2018, 6, 21), 24, datetime(2018, 6, 20, 22, tzinfo=UTC)),
        (date(2018, 3, 25), 23, datetime(2018, 3, 24, 23, tzinfo=UTC)),
        (date(2018, 10, 28), 25, datetime(2018, 10, 27, 22, tzinfo=UTC)),
    ],
)
def test_length_of_days(day: date, hours: int, start: datetime) -> None:
    axis = TimeAxis.day(day, "Europe/Zurich", 10)
    assert axis.n_steps == hours * 6
    assert axis.start == start
    assert axis.end == start + timedelta(hours=hours)
    assert axis.dt_h * axis.n_steps == pytest.approx(hours)
    assert {time.date() for time in axis.times} == {day}


def test_hour_that_is_skipped() -> None:
    times = TimeAxis.day(date(2018, 3, 25), "Europe/Zurich", 60).times
    assert [time.isoformat()[11:] for time in times[:4]] == [
        "00:00:00+01:00",
        "01:00:00+01:00",
        "03:00:00+02:00",
        "04:00:00+02:00",
    ]


def test_hour_that_comes_twice() -> None:
    times = TimeAxis.day(date(2018, 10, 28), "Europe/Zurich", 60).times
    assert [time.isoformat()[11:] for time in times[2:5]] == ["02:00:00+02:00", "02:00:00+01:00", "03:00:00+01:00"]
    assert len({time.astimezone(UTC) for time in times}) == 25


@pytest.mark.parametrize(
    ("day", "step_min"), [(date(2018, 6, 21), 7), (date(2018, 3, 25), 120), (date(2018, 6, 21), 2880)]
)
def test_step_must_divide_the_day(day: date, step_min: int) -> None:
    with pytest.raises(ValueError, match=f"{step_min} min does not divide"):
        TimeAxis.day(day, "Europe/Zurich", step_min)
