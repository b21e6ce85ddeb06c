"""A CSV file of series: its cells, times and numbers, and its faults by line and column."""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import StrEnum
from functools import cached_property
from io import StringIO
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from core.errors import Fault, shown

MAX_SIZE = 1e9
"""Larger numbers cannot be powers, voltages or prices."""

ANY_DAY = "1970-01-01"
_TIME = re.compile(r"(?:(\d{4}-\d\d-\d\d)[T ])?(\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d:?\d\d)?")
_TIME_WORDS = "a date-time such as 2018-06-21 10:00:00, with or without a zone, or HH:MM:SS, alike in all rows"


class Form(StrEnum):
    """The kind of times in the ``time`` column."""

    OF_DAY = "of_day"  # HH:MM:SS of any day
    LOCAL = "local"  # date-times of the wall clock
    ZONED = "zoned"  # instants


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a file. If ``faults`` is not empty the times are unusable, but columns can still be checked.

    Attributes:
        lines: [N], line of each row in the file.
        times: [N], ascending, datetime64: on ``ANY_DAY``, wall clock, or UTC, depending on ``form``.
        cells: column → text of its N cells.
    """

    file: str
    form: Form
    lines: list[int]
    times: NDArray[np.datetime64]
    cells: dict[str, list[str]]
    faults: tuple[Fault, ...]

    @cached_property
    def usual_step_s(self) -> float:
        """The most frequent step between two rows (s)."""
        steps, counts = np.unique(np.diff(self.times), return_counts=True)
        return float(steps[np.argmax(counts)] / np.timedelta64(1, "s"))

    def column(self, name: str) -> tuple[FloatArray, list[Fault]]:
        """Numbers of a column, [N], NaN where a cell is invalid, and its faults."""
        if name not in self.cells:
            close = get_close_matches(name, self.cells, 1)
            hint = f" (did you mean {shown(close[0])}?)" if close else ""
            allowed = f"a column of the file: {', '.join(map(shown, self.cells))}{hint}"
            fault = Fault(self.file, f"line 1, column {name}", "no such column", allowed)
            return np.full(len(self.lines), nan), [fault]
        values = np.array([_number(cell) for cell in self.cells[name]])
        bad = np.flatnonzero(np.isnan(values)).tolist()
        return values, [self.fault(k, name, shown(self.cells[name][k]), "a finite number") for k in bad]

    def fault(self, row: int, column: str, got: str, allowed: str) -> Fault:
        """The fault of one cell."""
        return Fault(self.file, f"line {self.lines[row]}, column {column}", got, allowed)


def parse_table(text: str, file: str) -> Table | Fault:
    """The table in ``text``, or the fault that makes it unreadable; ``file`` is its name in faults."""
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if row]
    except csv.Error as error:
        return Fault(file, f"line {reader.line_num}", shown(str(error)), "comma-separated values")
    if len(rows) < 3:
        return Fault(file, "", f"{len(rows)} rows", "a line of column names and at least two rows")
    (_, header), *body = rows
    if header.count("time") != 1 or len(set(header)) < len(header):
        allowed = "a column `time` and one column per series, each name once"
        return Fault(file, "line 1", shown(",".join(header)), allowed)
    ragged = [
        Fault(file, f"line {line}", f"{len(row)} cells", f"{len(header)}, one per column")
        for line, row in body
        if len(row) != len(header)
    ]
    body = [(line, row) for line, row in body if len(row) == len(header)]
    cells = {name: [row[k] for _, row in body] for k, name in enumerate(header)}
    times = [_time(cell) for cell in cells["time"]]
    form = next((time[0] for time in times if time), Form.LOCAL)
    stamps = np.array([time[1] if time and time[0] is form else None for time in times], "datetime64[us]")
    table = Table(file, form, [line for line, _ in body], stamps, cells, ())
    return replace(table, faults=(*ragged, *_time_faults(table)))


def _time_faults(table: Table) -> Iterator[Fault]:
    cells, step = table.cells["time"], np.diff(table.times)
    for k in np.flatnonzero(np.isnat(table.times)).tolist():
        yield table.fault(k, "time", shown(cells[k]), _TIME_WORDS)
    for k in (np.flatnonzero(step <= np.timedelta64(0)) + 1).tolist():
        allowed = "each time once" if table.times[k] == table.times[k - 1] else f"a time after {cells[k - 1]}"
        yield table.fault(k, "time", shown(cells[k]), allowed)


def _time(text: str) -> tuple[Form, datetime] | None:
    """The form of a time, and the time without zone (in UTC if it had one); None if it is no time."""
    if not (match := _TIME.fullmatch(text)):
        return None
    day, clock, zone = match.groups()
    try:
        time = datetime.fromisoformat(f"{day or ANY_DAY}T{clock}{zone or ''}")
        if not zone:
            return (Form.LOCAL if day else Form.OF_DAY), time
        return (Form.ZONED, time.astimezone(UTC).replace(tzinfo=None)) if day else None
    except (ValueError, OverflowError):
        return None


def _number(text: str) -> float:
    """The number, or NaN if the text is no allowed number."""
    try:
        value = float(text)
    except ValueError:
        return nan
    return value if isfinite(value) and abs(value) <= MAX_SIZE and "_" not in text else nan
