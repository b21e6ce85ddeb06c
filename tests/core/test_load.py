"""Scenarios from files: the numbers of good ones, and that every fault of bad ones is named."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.arrays import FloatArray
from core.errors import InputError
from core.load import fingerprint, load_config, load_scenario
from tests.support.paths import CONFIGS
from tests.support.user_data import cases

Write = Callable[[dict[str, Any]], Path]


@pytest.mark.parametrize("case", cases("series.yaml"))
def test_faulty_series(case: dict[str, Any], write: Write) -> None:
    path = write(case)
    config = load_config(path)
    if not case["faults"]:
        load_scenario(config, path, "realised")
        return
    with pytest.raises(InputError) as caught:
        load_scenario(config, path, "realised")
    faults = {fault.key: str(fault) for fault in caught.value.faults}
    assert faults.keys() == case["faults"].keys() or (case.get("more") and faults.keys() > case["faults"].keys())
    assert len(caught.value.faults) == len(faults)
    for key, words in case["faults"].items():
        assert faults[key].startswith(str(path.parent))
        assert "\n" not in faults[key]
        assert all(word in faults[key] for word in words), faults[key]


def test_faults_of_all_files_each_cause_once(write: Write) -> None:
    worse = {k: f"{k - 2:02d}:00:00,-1,0,-1,0.2,1" for k in range(2, 26)}
    path = write({"lines": worse, "set": {"tariff.file": "none.csv"}})
    with pytest.raises(InputError) as caught:
        load_scenario(load_config(path), path)
    assert [Path(fault.file).name for fault in caught.value.faults] == ["none.csv", "day.csv", "day.csv"]
    assert all("(and 23 more lines like it)" in str(fault) for fault in caught.value.faults[1:])


def test_no_more_than_twenty_causes_of_a_file(write: Write) -> None:
    sections = [
        {"name": f"X{k}", "node": "N2", "load": {"forecast": {"file": "day.csv", "p": f"x{k}"}}} for k in range(30)
    ]
    path = write({"set": {"prosumers": sections}})
    with pytest.raises(InputError) as caught:
        load_scenario(load_config(path), path)
    assert len(caught.value.faults) == 21
    assert str(caught.value.faults[-1]).endswith("got … and 10 more faults; allowed: none")


def test_forecast_and_realised(write: Write) -> None:
    path = write({})
    config = load_config(path)
    forecast, realised = load_scenario(config, path), load_scenario(config, path, "realised")
    hour = np.repeat(np.arange(24), 2)
    first, second = (site.outlook for site in forecast.sites)
    np.testing.assert_allclose(forecast.slack_voltage_pu, 1.0)
    np.testing.assert_allclose(realised.slack_voltage_pu, 1 + 0.001 * (hour % 4))
    np.testing.assert_allclose(first.load_kw, 2.5 * (0.2 + 0.02 * hour))
    np.testing.assert_allclose(first.load_kvar, 2.5 * (0.1 - 0.01 * hour), atol=1e-12)
    np.testing.assert_allclose(realised.sites[0].outlook.load_kw, 0.2 + 0.02 * hour)
    np.testing.assert_array_equal(realised.sites[0].outlook.load_kvar, 0.0)
    np.testing.assert_allclose(realised.sites[0].outlook.pv_available_kw, 0.9 * first.pv_available_kw)
    assert first.pv_available_kw.max() == pytest.approx(5 * 0.83)
    np.testing.assert_array_equal(second.pv_available_kw, 0.0)
    np.testing.assert_array_equal(second.load_kw, realised.sites[1].outlook.load_kw)
    np.testing.assert_allclose(forecast.tariff.buy_chf_per_kwh, 0.15 + 0.01 * (hour % 5))
    np.testing.assert_array_equal(forecast.tariff.sell_chf_per_kwh, 0.05)
    assert forecast.network.lines[0].r_ohm == 0.5
    assert forecast.limits.v_min_pu == 0.95
    assert [site.battery is None for site in forecast.sites] == [False, True]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    junk=st.text("0123456789.,;:-+eETZnaif \"'\r\n\0é", max_size=8), place=st.integers(0, 900), cut=st.integers(0, 30)
)
def test_whatever_is_wrong_is_an_input_error(write: Write, junk: str, place: int, cut: int) -> None:
    path = write({})
    series = path.parent / "day.csv"
    text = series.read_text()
    series.write_text(text[:place] + junk + text[place + cut :], encoding="utf-8", newline="")
    try:
        scenario = load_scenario(load_config(path), path, "realised")
    except InputError as error:
        assert str(error).count("\n") == len(error.faults) - 1
    else:
        assert np.all(np.isfinite([site.outlook.load_kw for site in scenario.sites]))


def test_without_feed_in_tariff_exports_earn_the_retail_price(write: Write) -> None:
    path = write({"set": {"tariff": {"constant": 0.2}}})
    tariff = load_scenario(load_config(path), path).tariff
    np.testing.assert_array_equal(tariff.buy_chf_per_kwh, 0.2)
    np.testing.assert_array_equal(tariff.export_spread_chf_per_kwh, 0.0)


def rows(begin: datetime, hours: int, form: str, minutes: int = 60) -> Iterator[str]:
    """CSV lines: times in ``form``, and the hours since ``begin`` as value."""
    yield "time,x"
    for k in range(hours * 60 // minutes):
        time = (begin.astimezone(UTC) + k * timedelta(minutes=minutes)).astimezone(begin.tzinfo)
        yield f"{time.strftime(form)},{k * minutes / 60}"


def loads(write: Write, lines: Iterator[str], day: str, **series: object) -> FloatArray:
    """Hourly load of the second prosumer from a file of its own."""
    load = {"file": "own.csv", "p": "x", **series}
    path = write({"set": {"prosumers[1].load.forecast": load, "horizon.date": day, "horizon.step_min": 60}})
    (path.parent / "own.csv").write_text("\r\n".join(lines), encoding="utf-8-sig")
    return load_scenario(load_config(path), path).sites[1].outlook.load_kw


ZURICH = ZoneInfo("Europe/Zurich")
WALL, ZONED = "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M%z"
SPRING, AUTUMN = "2018-03-25", "2018-10-28"
SKIPPED = [0, 1, *range(3, 24)]
TWICE = [0, 1, 2, *range(2, 24)]


@pytest.mark.parametrize(
    ("day", "hours", "expected"), [(SPRING, 23, SKIPPED), (AUTUMN, 25, TWICE), ("2018-06-21", 24, list(range(24)))]
)
def test_wall_time_on_short_and_long_days(write: Write, day: str, hours: int, expected: list[int]) -> None:
    begin = datetime.fromisoformat(day)
    for form in (WALL, "%H:%M:%S"):
        naive = loads(write, rows(begin.replace(tzinfo=UTC), 24, form), day)
        np.testing.assert_allclose(naive, expected)
    zoned = loads(write, rows(begin.replace(tzinfo=ZURICH), hours, ZONED), day)
    np.testing.assert_allclose(zoned, range(hours))
    elsewhere = loads(write, rows(begin.replace(tzinfo=ZURICH).astimezone(UTC), hours, ZONED), day)
    np.testing.assert_allclose(elsewhere, range(hours))


def test_wall_time_may_leave_out_the_skipped_hour(write: Write) -> None:
    lines = rows(datetime.fromisoformat(SPRING).replace(tzinfo=ZURICH), 23, WALL)
    np.testing.assert_allclose(loads(write, lines, SPRING), range(23))


@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize(("day", "hours"), [(SPRING, 23), (AUTUMN, 25)])
def test_ends_of_intervals_around_the_change_of_the_clock(write: Write, day: str, hours: int, minutes: int) -> None:
    begin = datetime.fromisoformat(day).replace(tzinfo=ZURICH) + timedelta(minutes=minutes)
    values = loads(write, rows(begin, hours, WALL, minutes), day, stamps="end")
    np.testing.assert_allclose(values, np.arange(hours) + (1 - minutes / 60) / 2)


def test_ends_of_intervals_on_a_clock_that_does_not_skip_the_hour(write: Write) -> None:
    begin = datetime.fromisoformat(SPRING).replace(tzinfo=UTC) + timedelta(hours=1)
    np.testing.assert_allclose(loads(write, rows(begin, 24, WALL), SPRING, stamps="end"), SKIPPED)


@pytest.mark.parametrize(("day", "expected"), [("2018-06-21", list(range(24))), (SPRING, SKIPPED), (AUTUMN, TWICE)])
@pytest.mark.parametrize("form", [WALL, ZONED])
def test_another_day_of_the_file(write: Write, form: str, day: str, expected: list[int]) -> None:
    begin = datetime(2016, 6, 6, tzinfo=ZURICH)
    values = loads(write, rows(begin, 72, form), day, date="2016-06-07")
    np.testing.assert_allclose(values, 24.0 + np.array(expected))


def test_long_day_of_the_file_counts_its_double_hour_once(write: Write) -> None:
    lines = rows(datetime.fromisoformat(AUTUMN).replace(tzinfo=ZURICH), 25, ZONED)
    values = loads(write, lines, "2018-06-21", date=AUTUMN)
    np.testing.assert_allclose(values, [0, 1, 2, *range(4, 25)])


@pytest.mark.parametrize("minutes", [1, 15, 120])
def test_any_resolution(write: Write, minutes: int) -> None:
    lines = rows(datetime(2018, 6, 21, tzinfo=UTC), 24, "%H:%M:%S", minutes)
    held = np.floor(np.arange(1440) / minutes) * minutes / 60
    np.testing.assert_allclose(loads(write, lines, "2018-06-21"), held.reshape(24, 60).mean(axis=1))


def test_day_that_the_file_does_not_have(write: Write) -> None:
    for form in (WALL, ZONED):
        with pytest.raises(InputError, match="column time: got .*all of 2018-06-21") as caught:
            loads(write, rows(datetime(2016, 6, 6, tzinfo=ZURICH), 72, form), "2018-06-21")
        assert len(caught.value.faults) == 1
    with pytest.raises(InputError, match="no time of that day; allowed: all of 2015-01-01"):
        loads(write, rows(datetime(2016, 6, 6, tzinfo=ZURICH), 72, ZONED), "2018-06-21", date="2015-01-01")


def test_missing_day_between_is_a_gap_only_for_who_reads_it(write: Write) -> None:
    lines = list(rows(datetime(2016, 6, 6, tzinfo=UTC), 72, WALL))
    del lines[25:49]
    assert len(loads(write, iter(lines), "2018-06-21", date="2016-06-08")) == 24
    with pytest.raises(InputError, match="2016-06-08 00:00:00 after 2016-06-06 23:00:00"):
        loads(write, iter(lines), "2018-06-21", date="2016-06-07")


def test_day_in_the_name_of_the_file(write: Write) -> None:
    path = write({"set": {"prosumers[1].load.forecast.file": "day_{date}.csv"}})
    (path.parent / "day.csv").rename(path.parent / "day_2018-06-21.csv")
    (path.parent / "day.csv").write_text((path.parent / "day_2018-06-21.csv").read_text())
    config = load_config(path)
    assert len(load_scenario(config, path).sites[1].outlook.load_kw) == 48
    assert fingerprint(path, config)


def test_binary_series(write: Write) -> None:
    path = write({})
    (path.parent / "day.csv").write_bytes(b"\xff\xfe\x00time")
    with pytest.raises(InputError, match="text in UTF-8") as caught:
        load_scenario(load_config(path), path)
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize("text", ["", "time,p\n", "time,p\n00:00:00,1\n"])
def test_series_without_rows(text: str, write: Write) -> None:
    path = write({})
    (path.parent / "day.csv").write_text(text)
    with pytest.raises(InputError, match="at least two rows"):
        load_scenario(load_config(path), path)


@pytest.mark.parametrize("name", ["config.yaml", "day.csv", "registers.yaml"])
def test_fingerprint_covers_every_file(name: str, write: Write) -> None:
    path = write({})
    config = load_config(path)
    before = fingerprint(path, config)
    assert before == fingerprint(path, config)
    (path.parent / name).write_bytes((path.parent / name).read_bytes() + b"\n")
    assert fingerprint(path, config) != before


def test_fingerprint_names_files_that_are_gone(write: Write) -> None:
    path = write({})
    config = load_config(path)
    (path.parent / "day.csv").unlink()
    with pytest.raises(InputError, match=r"day\.csv: got .*No such file"):
        fingerprint(path, config)


def test_default_scenario_has_the_numbers_of_its_description() -> None:
    path = CONFIGS / "gridlab9.yaml"
    config = load_config(path)
    forecast, realised = load_scenario(config, path), load_scenario(config, path, "realised")
    assert forecast.axis.n_steps == 144
    assert (forecast.cautions, realised.cautions) == ((), ())
    assert np.all(forecast.slack_voltage_pu == 1.0)
    assert 0.002 < np.std(realised.slack_voltage_pu) < 0.004
    assert np.abs(realised.slack_voltage_pu - 1).max() <= 0.01
    assert realised.slack_voltage_pu.mean() == pytest.approx(1, abs=1e-6)
    assert forecast.tariff.buy_chf_per_kwh[0] == pytest.approx(42.06 * 1.15 / 1000 + 0.10)
    for expected, met in zip(forecast.sites, realised.sites, strict=True):
        assert expected.outlook.load_kw.max() <= 2.5
        assert expected.outlook.pv_available_kw.sum() / 6 == pytest.approx(37.3, abs=0.05)
        np.testing.assert_allclose(met.outlook.pv_available_kw, 0.9 * expected.outlook.pv_available_kw)
        assert not np.array_equal(met.outlook.load_kw, expected.outlook.load_kw)
    profile = np.loadtxt(CONFIGS / "profiles" / "load_commercial_15min.csv", delimiter=",", skiprows=1, usecols=3)
    quarter = 96 + 12 * 4  # 2016-06-07, noon
    assert forecast.sites[1].outlook.load_kw[72] == pytest.approx(2.5 * profile[quarter])


@pytest.mark.parametrize("variant", ["forecast", "realised"])
def test_household_scenario_loads(variant: Any) -> None:
    path = CONFIGS / "gridlab9-household.yaml"
    scenario = load_scenario(load_config(path), path, variant)
    for site in scenario.sites:
        assert 3 < site.outlook.pv_available_kw.sum() / 6 < 20
        assert 0.1 < site.outlook.load_kw.mean() < 2
