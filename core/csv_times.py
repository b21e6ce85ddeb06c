"""Times in a CSV file: the forms that loggers, markets and spreadsheets write, read where they have one meaning."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

ANY_DAY = "1970-01-01"
TIME_WORDS = (
    "a date-time such as 2018-06-21 10:00:00 or 21.06.2018 10:00, with or without a zone, or seconds since 1970, or "
    "HH:MM:SS, alike in all rows"
)
MONTH_WORDS = "a date that shows which number is the month, such as 2018-06-21"
_DATE = (
    r"(?:(?P<year>\d{4})(?P<s>[-/.])(?P<month>\d{1,2})(?P=s)(?P<day>\d{1,2})"
    r"|(?P<first>\d{1,2})(?P<t>[-/.])(?P<second>\d{1,2})(?P=t)(?P<last>\d{4}|\d\d)"
    r"|(?P<compact>\d{8})(?=[T: ]?\d{2}:?\d{2}))"
)
_CLOCK = (
    r"(?P<hour>\d{1,2})(?(compact):?|:)(?P<minute>\d\d)"
    r"(?:(?(compact):?|:)(?P<second_of>\d\d)(?:[.,](?P<fraction>\d{1,9}))?)?(?:\s?(?P<half>[AaPp][Mm]))?"
)
_ZONE = r"\s?(?P<zone>Z|[A-Z]{3,4}|[+-]\d\d(?::?\d\d)?)?(?:\[[\w/+-]+\])?"
_TIME = re.compile(rf"(?:{_DATE}(?:[T:,]?\s*(?=\d)|$))?(?:{_CLOCK})?{_ZONE}")
_LIKE_TIME = re.compile(
    r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ,][^;|\t]*)?|(\d{8}[T: ])?\d{1,2}:\d\d[^;|\t]*|\d{8}[T:]\d{4,6}Z?"
)
_EPOCH = re.compile(r"(\d{9,10}|\d{13}|\d{16}|\d{19})(\.\d+)?")
_INTERVAL = re.compile(r"\s+[-–]\s+")
_HOURS = {
    "Z": 0,
    "UTC": 0,
    "GMT": 0,
    "CET": 1,
    "MEZ": 1,
    "WET": 0,
    "WEST": 1,
    "CEST": 2,
    "MESZ": 2,
    "EET": 2,
    "EEST": 3,
}


class Form(StrEnum):
    """The kind of times in a column."""

    OF_DAY = "of_day"  # HH:MM:SS of any day
    LOCAL = "local"  # date-times of the wall clock
    ZONED = "zoned"  # instants


@dataclass(frozen=True, eq=False)
class Times:
    """A column of times.

    Attributes:
        form: of all times.
        stamps: [N], datetime64: on ``ANY_DAY``, wall clock, or UTC, depending on ``form``; NaT where there is a fault.
        faults: row → what is allowed in place of its cell.
        to_midnight: the column writes 24:00 and never 00:00, so its times are the ends of their intervals.
    """

    form: Form
    stamps: NDArray[np.datetime64]
    faults: dict[int, str]
    to_midnight: bool


def looks_like_time(text: str) -> bool:
    """Whether a cell is written like a date or a time of day."""
    return _LIKE_TIME.fullmatch(text) is not None


def looks_like_instant(text: str) -> bool:
    """Whether a cell is written like a time, or a number like seconds since 1970."""
    return looks_like_time(text) or _EPOCH.fullmatch(text) is not None


def parse_times(cells: Sequence[str], *, utc: bool = False) -> Times:
    """The times of a column.

    Args:
        cells: [N].
        utc: times without a zone are UTC.
    """
    texts = [_INTERVAL.split(cell, maxsplit=1)[0] for cell in cells]
    matches = [_TIME.fullmatch(text) for text in texts]
    day_first, unclear = _order(matches)
    parsed = [
        _epoch(text) if _EPOCH.fullmatch(text) else _time(match, day_first)
        for text, match in zip(texts, matches, strict=True)
    ]
    form = next((time[0] for time in parsed if time), Form.LOCAL)
    faults = {k: TIME_WORDS for k, time in enumerate(parsed) if time is None or time[0] is not form}
    if unclear:
        faults |= {k: MONTH_WORDS for k, match in enumerate(matches) if _numbered(match)}
    stamps = np.array([None if k in faults or not t else t[1] for k, t in enumerate(parsed)], "datetime64[us]")
    clocks = {match["hour"] + match["minute"] for match in matches if match and match["hour"]}
    known = Form.ZONED if utc and form is Form.LOCAL else form
    return Times(known, stamps, faults, "2400" in clocks and clocks.isdisjoint(("0000", "000")))


def _numbered(match: re.Match[str] | None) -> bool:
    """Whether the order of day and month depends on the country, as in 6/7/2018."""
    return match is not None and match["t"] in ("/", "-")


def _order(matches: Sequence[re.Match[str] | None]) -> tuple[bool, bool]:
    """Whether the day stands before the month in dates such as 13/6/2018, and whether that is unclear."""
    pairs = {(int(match["first"]), int(match["second"])) for match in matches if match and _numbered(match)}
    day_first, month_first = any(a > 12 for a, _ in pairs), any(b > 12 for _, b in pairs)
    return not month_first, day_first == month_first and any(a != b for a, b in pairs)


def _epoch(text: str) -> tuple[Form, datetime] | None:
    """Seconds since 1970; by their number of digits also ms, µs or ns."""
    whole = text.partition(".")[0]
    seconds = float(text) / 10 ** (len(whole) - 10) if len(whole) > 10 else float(text)
    return Form.ZONED, datetime(1970, 1, 1) + timedelta(seconds=seconds)


def _time(match: re.Match[str] | None, day_first: bool) -> tuple[Form, datetime] | None:
    """The form of a time, and the time without zone (in UTC if it had one); None if it is no time."""
    if not match or not (match["hour"] or match["day"] or match["last"]):
        return None
    try:
        date = _date(match, day_first)
        time = (date or datetime.fromisoformat(ANY_DAY)) + _clock(match)
        if match["zone"]:
            return (Form.ZONED, time - _offset(match["zone"])) if date else None
        return (Form.LOCAL if date else Form.OF_DAY), time
    except (ValueError, OverflowError, KeyError):
        return None


def _date(match: re.Match[str], day_first: bool) -> datetime | None:
    if match["compact"]:
        return datetime.strptime(match["compact"], "%Y%m%d")
    if match["year"]:
        return datetime(int(match["year"]), int(match["month"]), int(match["day"]))
    if not match["last"]:
        return None
    first, second, year = int(match["first"]), int(match["second"]), int(match["last"])
    day, month = (first, second) if day_first or match["t"] == "." else (second, first)
    return datetime(year if year > 99 else 2000 + year, month, day)


def _clock(match: re.Match[str]) -> timedelta:
    """The time of day; 24:00 is the end of the day.

    Raises:
        ValueError: there is no such time of day.
    """
    if not match["hour"]:
        return timedelta()
    hour, minute, second = int(match["hour"]), int(match["minute"]), int(match["second_of"] or 0)
    if match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError(hour)
        hour = hour % 12 + (12 if match["half"].lower() == "pm" else 0)
    micros = int((match["fraction"] or "0").ljust(6, "0")[:6])
    if minute > 59 or second > 59 or (hour, minute, second, micros) > (24, 0, 0, 0):
        raise ValueError(hour)
    return timedelta(hours=hour, minutes=minute, seconds=second, microseconds=micros)


def _offset(zone: str) -> timedelta:
    """Distance of a zone from UTC.

    Raises:
        KeyError: the name of the zone has no one meaning.
    """
    if zone[0] not in "+-":
        return timedelta(hours=_HOURS[zone])
    digits = zone[1:].replace(":", "").ljust(4, "0")
    minutes = 60 * int(digits[:2]) + int(digits[2:])
    if minutes >= 24 * 60 or int(digits[2:]) > 59:
        raise ValueError(zone)
    return timedelta(minutes=-minutes if zone[0] == "-" else minutes)
