"""Series as the field has them: each case is read with the right values, or refused by a line that names its cause."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from controller.service.named_files import check_all
from core.arrays import FloatArray
from core.config_fields import SeriesFile, Stamps
from core.config_resources import ANY
from core.csv_text import decoded
from core.errors import InputError
from core.load import load_config, load_scenario, load_yaml
from core.profiles import Profiles, Range
from core.scenario import Scenario
from core.table import parse_table
from core.time import TimeAxis
from tests.support.paths import USER_DATA
from tests.support.user_data import written

CASES: Any = load_yaml(USER_DATA / "cases.yaml")


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{k}-{case['name']}") for k, case in enumerate(CASES)])
def test_case(case: dict[str, Any], tmp_path: Path) -> None:
    path = written(case, tmp_path)
    if "faults" in case:
        with pytest.raises(InputError) as caught:
            read(case, path)
        assert_lines([str(fault) for fault in caught.value.faults], case["faults"], path)
        return
    scenario = read(case, path)
    assert_lines([str(caution) for caution in scenario.cautions], case.get("cautions", []), path)
    if case.get("values") is False:
        return
    expected = values(
        load_scenario(load_config(USER_DATA / "base" / "config.yaml"), USER_DATA / "base" / "config.yaml")
    )
    for name, found in values(scenario).items():
        if name in case.get("without", []):
            np.testing.assert_array_equal(found, 0.0)
        else:
            right = wanted(case, path, name, expected[name], len(found))
            np.testing.assert_allclose(found, right, atol=1e-3 if case.get("near") else 1e-9)


def read(case: dict[str, Any], path: Path) -> Scenario:
    config = load_config(path)
    if case.get("everything"):
        check_all(config, path)
    return load_scenario(config, path, case.get("variant", "forecast"))


def assert_lines(lines: list[str], expected: list[list[str]], path: Path) -> None:
    assert len(lines) == len(expected), lines
    for line, words in zip(lines, expected, strict=True):
        assert line.startswith(str(path.parent))
        assert "\n" not in line
        assert all(word in line for word in words), line


def values(scenario: Scenario) -> dict[str, FloatArray]:
    """Tariff, and load (kW) and PV (kW per kWp) of the first prosumer."""
    outlook = scenario.sites[0].outlook
    return {"tariff": scenario.tariff.buy_chf_per_kwh, "load": outlook.load_kw, "pv": outlook.pv_available_kw / 6}


def wanted(case: dict[str, Any], path: Path, name: str, base: FloatArray, steps: int) -> FloatArray:
    """The right values of a series, [steps]."""
    if column := case.get("rows", {}).get(name):
        rows = first_day(path.with_name(f"{name}.csv"), column)
        return np.repeat(rows, steps // len(rows))
    if name == "tariff" and case.get("quarters"):
        base = first_day(USER_DATA / "24-dst-at-midnight-beirut" / "tariff.csv", "price")
    if name == "pv" and case.get("night"):
        day = np.zeros(288)
        day[66:249] = first_day(path.with_name("pv.csv"), "pv")  # 05:30 to 20:40
        return day.reshape(96, 3).mean(axis=1)
    if "twice" in case:
        first, last = case["twice"]
        base = np.concatenate([base[:last], base[first:]])
    for hour in case.get("held", {}).get(name, []):
        base = base.copy()
        base[4 * hour : 4 * hour + 4] = base[4 * hour - 1]
    return base[case.get("from", 0) :]


def first_day(file: Path, column: str) -> FloatArray:
    """The numbers of the first day of a plain file, without the project's own reader."""
    header, *rows = (line.split(",") for line in file.read_text(encoding="utf-8-sig").splitlines())
    dated = "-" in rows[0][0]
    same_day = [row for row in rows if not dated or row[0][:10] == rows[0][0][:10]]
    return np.array([float(row[header.index(column)]) for row in same_day])


DAY = TimeAxis.day(date(2025, 6, 10), "Europe/Zurich", 60)
PRICES = np.round(0.2 + 0.05 * np.sin(np.arange(24)), 4)
HOURS = [datetime(2025, 6, 10) + timedelta(hours=k) for k in range(24)]


def means(text: str | bytes, column: str = "price", **options: Any) -> FloatArray:
    """The 24 values of the day in a file with this content."""
    content = text.encode() if isinstance(text, str) else text
    decoded_text = decoded(content, any_letters=True)
    profiles = Profiles(DAY, date(2025, 6, 10), lambda _: parse_table(decoded_text or "", "x.csv"))
    found = profiles.means(SeriesFile(file=Path("x.csv"), column=column, **options), ANY)
    if profiles.faults:
        raise InputError(profiles.faults)
    return found


def table(form: str, separator: str = ",", decimal: str = ".", header: str = "time{}price") -> str:
    """A file of hourly prices; ``form`` of strftime."""
    cells = [f"{t.strftime(form)}{separator}{x:.4f}" for t, x in zip(HOURS, PRICES, strict=True)]
    rows = [cell[:-6] + cell[-6:].replace(".", decimal) for cell in cells]
    return "\n".join([header.format(separator), *rows])


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M", "%d.%m.%y %H:%M",
        "%Y%m%d:%H%M", "%Y%m%dT%H%M%S", "%Y-%m-%d %I:%M %p", "%Y-%m-%dT%H:%M:%S.000+02:00", "%Y-%m-%d %H:%M CEST",
        "%Y-%m-%d %H:%M:%S+0200", "%Y-%m-%dT%H:%M+02:00[Europe/Zurich]", "%H:%M", "%d.%m.%Y %H:%M - %d.%m.%Y %H:59",
    ],
)  # fmt: skip
def test_forms_of_times(form: str) -> None:
    np.testing.assert_allclose(means(table(form)), PRICES, rtol=1e-12)


@pytest.mark.parametrize(("separator", "decimal"), [(",", "."), (";", "."), (";", ","), ("\t", ","), ("|", ".")])
@pytest.mark.parametrize(
    "header", ["time{}price", "Timestamp{}price", "# time{}price", "made by x\n\nZeit{}price", "a{}price"]
)
def test_dialects(separator: str, decimal: str, header: str) -> None:
    text = table("%d.%m.%Y %H:%M", separator, decimal, header)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"):
        np.testing.assert_allclose(means(text.encode(encoding)), PRICES, rtol=1e-12)
    np.testing.assert_allclose(means(text.replace("\n", "\r\n")), PRICES, rtol=1e-12)


def test_a_file_with_the_newest_row_first() -> None:
    header, *rows = table("%Y-%m-%d %H:%M").split("\n")
    np.testing.assert_allclose(means("\n".join([header, *reversed(rows)])), PRICES, rtol=1e-12)


@pytest.mark.parametrize("fraction", ["", ".0"])
@pytest.mark.parametrize("factor", [1, 1000, 10**6, 10**9])
def test_numbers_since_1970(factor: int, fraction: str) -> None:
    rows = [f"{int(DAY.times[k].timestamp()) * factor}{fraction},{x}" for k, x in enumerate(PRICES)]
    np.testing.assert_allclose(means("\n".join(["ts,price", *rows])), PRICES, rtol=1e-12)


def test_times_in_utc_by_the_name_of_their_column() -> None:
    rows = [f"{t.astimezone(UTC):%Y-%m-%d %H:%M},{x}" for t, x in zip(DAY.times, PRICES, strict=True)]
    np.testing.assert_allclose(means("\n".join(["time (UTC),price", *rows])), PRICES, rtol=1e-12)


def test_date_and_time_in_columns_of_their_own() -> None:
    rows = [f"{t:%d.%m.%Y};{t:%H:%M};{x}" for t, x in zip(HOURS, PRICES, strict=True)]
    before = [f"09.06.2025;{t:%H:%M};9" for t in HOURS]
    np.testing.assert_allclose(means("\n".join(["Datum;Uhrzeit;price", *before, *rows])), PRICES, rtol=1e-12)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1.234,5", "2,25"], [1234.5, 2.25]),
        (["1,234.5", "2.25"], [1234.5, 2.25]),
        (["1'234.5", "2.25"], [1234.5, 2.25]),
        (["1\u00a0234,5", "2,25"], [1234.5, 2.25]),
        (["1,234", "0,250"], [1.234, 0.25]),
        (["-0,5", "1.000"], [-0.5, 1000.0]),
    ],
)
def test_decimal_marks(cells: list[str], expected: list[float]) -> None:
    rows = [f"{t:%H:%M};{cells[k % 2]}" for k, t in enumerate(HOURS)]
    np.testing.assert_allclose(means("\n".join(["time;price", *rows])), np.tile(expected, 12))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (table("%d/%m/%Y %H:%M").replace("10/06", "05/06"), "which number is the month"),
        (table("%Y-%m-%d %H:%M IST"), "a date-time such as"),
        (table("%H:%M").replace("0.", "1,"), "decimal comma"),
        ("\n".join(["time;price", *(f"{t:%H:%M};1,234" for t in HOURS)]), "1,234 may be 1.234 or 1234"),
        ("\n".join(["a,b,price", *(f"{t},{t},1" for t in HOURS)]), "2 columns of times"),
        ("\n".join(["time,price", *(f"{45818 + k / 24:.4f},1" for k in range(24))]), "a date-time such as"),
        (table("%H:%M", " "), "no such column"),
    ],
)
def test_what_has_two_meanings_is_one_line(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        means(text)
    assert len(caught.value.faults) == 1


def test_days_before_months_where_one_day_of_the_file_shows_it() -> None:
    days = [datetime(2025, 6, day, hour) for day in range(9, 15) for hour in range(24)]
    rows = [f"{t:%d/%m/%Y %H:%M},{PRICES[t.hour] if t.day == 10 else 9}" for t in days]
    np.testing.assert_allclose(means("\n".join(["time,price", *rows])), PRICES)
    american = [f"{t:%m/%d/%Y %H:%M},{PRICES[t.hour] if t.day == 10 else 9}" for t in days]
    np.testing.assert_allclose(means("\n".join(["time,price", *american])), PRICES)


@pytest.mark.parametrize(
    "extra",
    [
        "2025-06-12 00:00,x",
        "2025-06-12 99:00,1",
        "2025-06-12 00:00,1,2,3",
        "2025-06-11 12:00,1\n2025-06-11 11:00,1",
        "end of file",
    ],
)
def test_faults_outside_the_day_do_not_count(extra: str) -> None:
    tail = f"2025-06-11 00:00,1\n{extra}"
    np.testing.assert_allclose(means(f"{table('%Y-%m-%d %H:%M')}\n{tail}"), PRICES)
    with pytest.raises(InputError):
        means(
            f"{table('%Y-%m-%d %H:%M')}\n{tail.replace('2025-06-11', '2025-06-10').replace('06-12', '06-10')}".replace(
                "end of", "2025-06-10 23:30,x"
            )
        )


@pytest.mark.parametrize("lost", [[3], [3, 4], [0], [23], [11, 12, 13]])
def test_a_hole_is_never_bridged_unasked(lost: list[int]) -> None:
    lines = table("%Y-%m-%d %H:%M").split("\n")
    kept = [line for k, line in enumerate(lines) if k - 1 not in lost]
    with pytest.raises(InputError, match="a value every 60 min"):
        means("\n".join(kept))
    held, zero = (
        means("\n".join(kept), gaps=gaps) if lost != [0] or gaps == "zero" else PRICES for gaps in ("hold", "zero")
    )
    rest = [k for k in range(24) if k not in lost]
    np.testing.assert_allclose(zero[rest], PRICES[rest])
    np.testing.assert_array_equal(zero[lost], 0.0)
    if lost != [0]:
        np.testing.assert_allclose(held[lost], PRICES[lost[0] - 1])


@pytest.mark.parametrize("dark", [True, False])
def test_a_gap_with_noon_or_beside_sunshine_is_no_night(dark: bool) -> None:
    def rows(first: int, last: int, edge: float) -> str:
        sun = [f"{HOURS[k]},{edge if k in (first, last) else 0.5}" for k in range(first, last + 1)]
        return "\n".join(["time,price", *sun])

    sunny = Range(0, 9, "sun", dark=dark)
    for text, read_as_night in ((rows(6, 20, 0.004), dark), (rows(6, 20, 0.2), False), (rows(14, 20, 0.0), False)):
        profiles = Profiles(DAY, date(2025, 6, 10), lambda _, text=text: parse_table(text, "x.csv"))
        found = profiles.means(SeriesFile(file=Path("x.csv"), column="price"), sunny)
        assert bool(profiles.faults) is not read_as_night
        assert not read_as_night or found[[0, 5, 21, 23]].tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("day", "zone", "hours"),
    [
        (date(2025, 10, 26), "Europe/Zurich", 25),
        (date(2025, 10, 25), "Asia/Beirut", 25),
        (date(2025, 11, 2), "America/Havana", 25),
        (date(2025, 4, 6), "Australia/Lord_Howe", 24.5),
        (date(2025, 3, 30), "Europe/Zurich", 23),
        (date(2025, 3, 30), "Asia/Beirut", 23),
        (date(2025, 10, 5), "Australia/Lord_Howe", 23.5),
    ],
)
def test_every_hour_of_a_day_on_which_the_clock_changes(day: date, zone: str, hours: float) -> None:
    axis = TimeAxis.day(day, zone, 30)
    lines = [f"{t:%Y-%m-%d %H:%M},{k}" for k, t in enumerate(axis.times)]
    around = [f"{day - timedelta(days=1)} 23:30,9", *lines, f"{day + timedelta(days=1)} 00:00,9"]
    times = [(t.astimezone(UTC) + timedelta(minutes=30)).astimezone(ZoneInfo(zone)) for t in axis.times]
    ends = [f"{t:%Y-%m-%d %H:%M},{k}" for k, t in enumerate(times)]
    forms: list[tuple[list[str], Stamps]] = [
        (lines, "auto"), (around, "auto"), ([line[11:] for line in lines], "auto"), (ends, "end"),
    ]  # fmt: skip
    for rows, stamps in forms:
        profiles = Profiles(axis, day, lambda _, rows=rows: parse_table("\n".join(["time,x", *rows]), "x.csv"))
        found = profiles.means(SeriesFile(file=Path("x.csv"), column="x", stamps=stamps), ANY)
        assert profiles.faults == []
        np.testing.assert_array_equal(found, np.arange(int(2 * hours)))
