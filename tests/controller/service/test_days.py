"""Days of a service: values at an instant, days of 23 and 25 hours, files that come and go."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.service.days import Day, DayLoader
from core.config import Config
from core.errors import InputError
from core.load import load_config, load_scenario
from realtime.plane import Power
from tests.support.paths import CONFIG, CONFIGS

ZURICH = ZoneInfo("Europe/Zurich")
SPRING, AUTUMN = date(2018, 3, 25), date(2018, 10, 28)
LAB = """
schema_version: 1
name: days
horizon: {date: 2018-03-24, timezone: Europe/Zurich, step_min: 60}
grid: {voltage_v: 400, slack: N1, lines: [{from: N1, to: N2, r_mohm: 100, x_mohm: 100}]}
limits: {v_min_pu: 0.95, v_max_pu: 1.05, slack_s_max_kva: 25, slack_pf_min: 0.99}
tariff: {file: "price_{date}.csv", column: x, feed_in: {constant: 0.0}}
prosumers:
  - name: A
    node: N2
    converter: a
    load: {forecast: {file: "load_{date}.csv", p: x}, realised: {file: measured.csv, p: x, q: x}}
    pv: {peak_kw: 2.0, forecast: {file: sun.csv, column: x}, realised: {file: sun.csv, column: x, date: 2016-06-06}}
  - name: B
    node: N2
    converter: b
    load: {forecast: {file: "load_{date}.csv", p: x}}
devices:
  - {name: a, kind: sunspec_converter, port: 1, s_max_kva: 500, ramp_kva_per_s: 1}
  - {name: b, kind: sunspec_converter, port: 2, s_max_kva: 500, ramp_kva_per_s: 1}
"""


def hours(first: date, days: int) -> str:
    """CSV of local date-times; the value is the hour of the day, and 100 more on every date."""
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    times = (begin + timedelta(hours=k) for k in range(24 * days))
    return "time,x\n" + "\n".join(f"{t:%Y-%m-%d %H:%M},{t.hour + 100 * (t.date() - first).days}" for t in times)


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A configuration with ``{date}`` in names, and files of its horizon's date, 24 March 2018."""
    path = tmp_path / "lab.yaml"
    path.write_text(LAB)
    for name in ("price", "load"):
        (tmp_path / f"{name}_2018-03-24.csv").write_text(hours(date(2018, 3, 24), 1))
    (tmp_path / "measured.csv").write_text(hours(date(2018, 3, 24), 1))
    (tmp_path / "sun.csv").write_text(hours(date(2016, 6, 6), 1).replace("2016-06-06 ", ""))
    return path


@pytest.fixture
def loader(lab: Path) -> DayLoader:
    return DayLoader(load_config(lab), lab)


def add(lab: Path, day: date) -> None:
    """All files that one more date needs."""
    for name in ("price", "load"):
        (lab.parent / f"{name}_{day}.csv").write_text(hours(day, 1))
    (lab.parent / "measured.csv").write_text(hours(date(2018, 3, 24), (day - date(2018, 3, 24)).days + 1))


def at(day: date, hour: int, minute: int = 30, fold: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, fold=fold, tzinfo=ZURICH).astimezone(UTC)


def loads_kw(day: Day) -> list[float]:
    """Of the first prosumer: realised, in the middle of every step."""
    axis = day.forecast.axis
    middles = [axis.start + (k + 0.5) * timedelta(minutes=axis.step_min) for k in range(axis.n_steps)]
    return [day.amounts(middle)["A"].load_kw for middle in middles]


def test_amounts_of_the_default_scenario_by_hand(gridlab9_config: Config) -> None:
    """G1-B is 0.75431, 1.53775 at 12:00 of 2016-06-14 and 0.71121, 1.14514 at 12:15; the clear sky 0.8756 at 12:14."""
    loaded = DayLoader(gridlab9_config, CONFIG).load(date(2018, 6, 21))
    assert loaded.alarms == ()
    day, quarter = loaded.day, datetime(2018, 6, 21, 10, 15, tzinfo=UTC)
    seen = day.amounts(quarter - timedelta(seconds=30))["N4"]
    assert (seen.load_kw, seen.load_kvar) == pytest.approx((2.5 * 0.75431, 2.5 * 1.53775))
    assert seen.pv_available_kw == pytest.approx(0.9 * 5 * 0.8756)
    seen = day.amounts(quarter)["N4"]
    assert (seen.load_kw, seen.load_kvar) == pytest.approx((1.8319, 3.3536125))
    assert seen.pv_available_kw == pytest.approx(0.9 * 5 * (0.8756 + 0.87689) / 2)
    assert set(day.amounts(quarter)) == {"N3", "N4", "N5", "N7", "N9"}
    assert day.step_of(quarter) == 73


def test_forecast_is_that_of_the_steps(lab: Path, loader: DayLoader) -> None:
    day = loader.load(date(2018, 3, 24)).day
    expected = load_scenario(load_config(lab), lab)
    assert day.forecast.axis == expected.axis
    np.testing.assert_array_equal(day.forecast.sites[0].outlook.load_kw, expected.sites[0].outlook.load_kw)
    np.testing.assert_array_equal(day.forecast.tariff.buy_chf_per_kwh, np.arange(24))


def test_a_passive_house_is_a_load_and_nobody_knows_what_it_will_draw(lab: Path) -> None:
    """Its forecast is that of load less PV; what is realised of it is no matter of the service."""
    lab.write_text(lab.read_text().replace("    converter: a\n", "").replace("  - {name: a,", "  - {name: c,"))
    given = load_config(lab)
    day = DayLoader(given, lab).load(date(2018, 3, 24)).day
    noon = at(date(2018, 3, 24), 12)
    assert set(day.amounts(noon)) == {"B"}
    house = next(site for site in day.forecast.sites if site.name == "A")
    assert (list(house.resources), house.battery) == (["load"], None)
    np.testing.assert_array_equal(house.outlook.load_kw, np.arange(24) - 2.0 * np.arange(24))
    assert day.forecast_of(("A", "B"), noon) == {"A": Power(-12.0, 0.0), "B": Power(12.0, 0.0)}
    end = day.forecast.axis.end
    assert day.forecast_of(("A",), end + timedelta(seconds=30)) == {"A": Power(-23.0, 0.0)}, "of the last step"
    assert day.forecast_of(("A",), end + timedelta(minutes=2)) == {}


def test_the_forecast_serves_where_nothing_is_realised(loader: DayLoader) -> None:
    seen = loader.load(date(2018, 3, 24)).day.amounts(at(date(2018, 3, 24), 7))
    assert (seen["B"].load_kw, seen["B"].load_kvar, seen["B"].pv_available_kw) == (7.0, 0.0, 0.0)
    assert (seen["A"].load_kw, seen["A"].load_kvar, seen["A"].pv_available_kw) == (7.0, 7.0, 14.0)


def test_ends_of_the_day(loader: DayLoader) -> None:
    day = loader.load(date(2018, 3, 24)).day
    begin, end = day.forecast.axis.start, day.forecast.axis.end
    assert day.covers(begin)
    assert not day.covers(end)
    assert not day.covers(begin - timedelta(microseconds=1))
    assert (day.step_of(begin), day.step_of(end - timedelta(microseconds=1))) == (0, 23)
    for outside in (end, begin - timedelta(microseconds=1)):
        with pytest.raises(ValueError, match=r"day 2018-03-24: asked .*, allowed 2018-03-23T23"):
            day.step_of(outside)
    assert day.amounts(begin)["A"].load_kw == day.amounts(begin - timedelta(seconds=1))["A"].load_kw == 0.0
    assert day.amounts(end)["A"].load_kw == day.amounts(end + timedelta(seconds=1))["A"].load_kw == 23.0


def test_each_of_several_plants_has_its_own_share_of_the_sun() -> None:
    day = DayLoader(load_config(CONFIGS / "village12.yaml"), CONFIGS / "village12.yaml").load(date(2018, 6, 21)).day
    east, west = day.realised["farm"].plants_kw
    begin = day.forecast.axis.start
    splits = []
    for hour in (9, 18):
        seen = day.amounts(begin + timedelta(hours=hour, seconds=30))["farm"]
        minute = 60 * hour
        assert seen.pv_available_kw == pytest.approx(east[minute] + west[minute])
        assert seen.plants_kw == pytest.approx((east[minute], west[minute]))
        splits.append(seen.split[0])
    assert splits[0] > 0.6
    assert splits[1] < 0.4
    assert day.amounts(begin)["farm"].split == (0.5, 0.5), "at night"
    assert day.amounts(begin)["school"].split == (), "one plant"


@given(seconds=st.floats(0, 86_399.9))
def test_amounts_lie_between_the_minutes_around_them(gridlab9_day: Day, seconds: float) -> None:
    instant = gridlab9_day.forecast.axis.start + timedelta(seconds=seconds)
    minute = (instant - gridlab9_day.forecast.axis.start) / timedelta(minutes=1)
    around = np.clip([np.floor(minute - 0.5), np.ceil(minute - 0.5)], 0, 1439).astype(int)
    for name, seen in gridlab9_day.amounts(instant).items():
        for quantity in ("load_kw", "load_kvar", "pv_available_kw"):
            low, high = sorted(getattr(gridlab9_day.realised[name], quantity)[around])
            assert low - 1e-12 <= getattr(seen, quantity) <= high + 1e-12
    begin = gridlab9_day.forecast.axis.times[gridlab9_day.step_of(instant)]
    assert begin <= instant < begin + timedelta(minutes=10)


@pytest.fixture(scope="module")
def gridlab9_day(gridlab9_config: Config) -> Day:
    return DayLoader(gridlab9_config, CONFIG).load(gridlab9_config.horizon.date).day


def test_a_short_day_of_its_own_files(lab: Path, loader: DayLoader) -> None:
    add(lab, SPRING)
    loaded = loader.load(SPRING)
    assert loaded.alarms == ()
    assert loaded.day.forecast.axis.n_steps == 23
    assert loads_kw(loaded.day) == [100.0 + hour for hour in (0, 1, *range(3, 24))]
    assert loaded.day.step_of(at(SPRING, 3)) == 2


def test_a_short_day_on_the_data_of_a_long_one(loader: DayLoader) -> None:
    loaded = loader.load(SPRING)
    assert loaded.day.data_of == date(2018, 3, 24)
    assert loads_kw(loaded.day) == [0, 1, *range(3, 24)]
    np.testing.assert_array_equal(loaded.day.forecast.tariff.buy_chf_per_kwh, [0, 1, *range(3, 24)])
    (alarm,) = loaded.alarms
    assert alarm.startswith("2018-03-25: ")
    assert "price_2018-03-25.csv: got " in alarm
    assert alarm.endswith("; the data of 2018-03-24 serve")
    assert "\n" not in alarm


def test_a_day_of_25_hours_lives_one_hour_twice(loader: DayLoader) -> None:
    loaded = loader.load(AUTUMN)
    assert loaded.day.forecast.axis.n_steps == 25
    assert loads_kw(loaded.day) == [0, 1, 2, *range(2, 24)]
    assert [loaded.day.step_of(at(AUTUMN, 2, fold=fold)) for fold in (0, 1)] == [2, 3]
    assert len(loaded.alarms) == 1


def test_series_with_a_date_of_their_own_keep_it(lab: Path) -> None:
    (lab.parent / "sun.csv").write_text(hours(date(2016, 6, 6), 1))
    lab.write_text(LAB.replace("forecast: {file: sun.csv, column: x}", "forecast: 0.5"))
    loader = DayLoader(load_config(lab), lab)
    loaded = loader.load(SPRING)
    assert loaded.day.amounts(at(SPRING, 13))["A"].pv_available_kw == 26.0
    assert len(loaded.alarms) == 1


def test_files_are_read_again_each_time(lab: Path, loader: DayLoader) -> None:
    loader.load(date(2018, 3, 24))
    file = lab.parent / "measured.csv"
    file.write_text(file.read_text().replace("07:00,7", "07:00,7.5"))
    assert loader.load(date(2018, 3, 24)).day.amounts(at(date(2018, 3, 24), 7))["A"].load_kw == 7.5


def test_the_last_valid_date_serves_not_the_first(lab: Path, loader: DayLoader) -> None:
    add(lab, SPRING)
    assert loader.load(SPRING).alarms == ()
    for day in (date(2018, 3, 26), date(2018, 3, 27)):
        with_gap = loader.load(day)
        assert with_gap.day.data_of == SPRING
        assert loads_kw(with_gap.day) == [100.0 + hour for hour in range(24)]
        assert with_gap.day.date == day
    add(lab, date(2018, 3, 28))
    healed = loader.load(date(2018, 3, 28))
    assert (healed.alarms, healed.day.data_of) == ((), date(2018, 3, 28))


def test_a_faulty_value_is_as_bad_as_a_missing_file(lab: Path, loader: DayLoader) -> None:
    add(lab, SPRING)
    file = lab.parent / "price_2018-03-25.csv"
    file.write_text(file.read_text().replace(",7\n", ",x\n"))
    loaded = loader.load(SPRING)
    assert loaded.day.data_of == date(2018, 3, 24)
    assert 'line 9, column x: got "x"' in loaded.alarms[0]


Vanish = Callable[[], None]


@pytest.fixture
def vanish(lab: Path) -> Vanish:
    """Takes every series away."""

    def gone() -> None:
        for file in lab.parent.glob("*.csv"):
            file.unlink()

    return gone


def test_memory_serves_the_same_date_and_others_like_it(loader: DayLoader, vanish: Vanish) -> None:
    before = loader.load(date(2018, 3, 24)).day
    vanish()
    for day in (date(2018, 3, 24), date(2018, 3, 26)):
        loaded = loader.load(day)
        assert loaded.day.date == day
        assert loaded.day.data_of == date(2018, 3, 24)
        assert loads_kw(loaded.day) == loads_kw(before)
        assert loaded.day.forecast.axis.start == at(day, 0, 0)
        (alarm,) = loaded.alarms
        assert alarm.startswith(f"{day}: ")
        assert alarm.endswith("the data of 2018-03-24 serve as last read, as their files fail too")


@pytest.mark.parametrize("day", [SPRING, AUTUMN])
def test_memory_cannot_serve_a_day_with_another_clock(loader: DayLoader, vanish: Vanish, day: date) -> None:
    loader.load(date(2018, 3, 24))
    vanish()
    with pytest.raises(InputError, match=f"price_{day}.csv.*\n(.*\n)*.*price_2018-03-24.csv"):
        loader.load(day)


def test_what_was_read_in_place_of_a_date_serves_the_next_one(lab: Path, loader: DayLoader, vanish: Vanish) -> None:
    """A short day cannot serve a usual one, but its data as last read on a usual one can."""
    add(lab, SPRING)
    loader.load(SPRING)
    loader.load(date(2018, 3, 26))
    vanish()
    loaded = loader.load(date(2018, 3, 27))
    assert (loaded.day.data_of, loads_kw(loaded.day)) == (SPRING, [100.0 + hour for hour in range(24)])


def test_nothing_at_all(loader: DayLoader, vanish: Vanish) -> None:
    vanish()
    with pytest.raises(InputError, match=r"price_2018-03-24\.csv"):
        loader.load(date(2018, 3, 24))


def test_steps_that_do_not_divide_the_day(lab: Path) -> None:
    lab.write_text(LAB.replace("step_min: 60", "step_min: 120"))
    loader = DayLoader(load_config(lab), lab)
    assert loader.load(date(2018, 3, 24)).day.forecast.axis.n_steps == 12
    with pytest.raises(InputError, match=r"horizon\.step_min: got 120; allowed: a divisor of 1380, the minutes"):
        loader.load(SPRING)


def test_a_date_that_a_zone_left_out(lab: Path) -> None:
    lab.write_text(LAB.replace("Europe/Zurich", "Pacific/Apia"))
    with pytest.raises(InputError, match="a divisor of 0, the minutes of 2011-12-30"):
        DayLoader(load_config(lab), lab).load(date(2011, 12, 30))
