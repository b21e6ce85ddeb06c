"""A CSV file of series: its columns, times and numbers, and its faults by line and column."""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from math import nan

import numpy as np

from core.arrays import FloatArray
from core.csv_numbers import NUMBER, decimal_mark, number
from core.csv_text import TIME, CsvRow, CsvRows, csv_rows
from core.csv_times import Times, looks_like_instant, looks_like_time, parse_times
from core.errors import Fault, shown

_ALLOWED = f"a column `{TIME}` and one column per series, each name once, in a line above the values"
_SAMPLE_ROWS = 20
_UTC = re.compile(r"(?<![a-z])(utc|gmt)(?![a-z])")
_COMMA_HINT = " (a decimal comma? then put numbers in quotes, or separate columns by semicolons)"
_CLOCK = re.compile(r"\d{1,2}:\d\d")
_ENDS = {"bis", "to", "until", "end", "ende", "stop"}


@dataclass(frozen=True, eq=False)
class Table:
    """The rows of a file.

    Attributes:
        header_line: line of the column names.
        lines: [N], line of each row in the file.
        names: of the columns; ``cells``: column → text of its N cells, of the first column if several share a name.
        time: name of the column of times.
        ragged: row → its number of cells, where that is not the number of columns.
    """

    file: str
    header_line: int
    lines: list[int]
    names: tuple[str, ...]
    cells: dict[str, list[str]]
    time: str
    times: Times
    ragged: dict[int, int]

    @cached_property
    def usual_step_s(self) -> float:
        """The most frequent step between two rows (s); a day if there is none."""
        steps = np.diff(self.times.stamps)
        steps, counts = np.unique(steps[steps > np.timedelta64(0)], return_counts=True)
        return float(steps[np.argmax(counts)] / np.timedelta64(1, "s")) if len(steps) else 86400.0

    @property
    def newest_first(self) -> bool:
        """Whether most times lie before those of the row above."""
        return bool(np.mean(np.diff(self.times.stamps) < np.timedelta64(0)) > 0.5)

    def column_fault(self, name: str) -> Fault | None:
        """Why a column cannot be read."""
        key = f"line {self.header_line}, column {name}"
        if (found := self.names.count(name)) > 1:
            return Fault(self.file, key, f"{found} columns of that name", "each name once")
        if found:
            return None
        close = get_close_matches(name, self.names, 1)
        hint = f" (did you mean {shown(close[0])}?)" if close else ""
        names = ", ".join(map(shown, self.names))
        return Fault(self.file, key, "no such column", f"a column of the file: {names}{hint}")

    def numbers(self, name: str, rows: Sequence[int]) -> tuple[FloatArray, list[Fault]]:
        """Numbers of a column in some rows, NaN where a cell is invalid, and faults."""
        mark = self._decimal_mark(name)
        cells = self.cells[name]
        values = np.array([nan if row in self.ragged else number(cells[row], mark) for row in rows], float)
        allowed = NUMBER if mark else f"{NUMBER}; 1,234 may be 1.234 or 1234 (write it without comma)"
        bad = [rows[k] for k in np.flatnonzero(np.isnan(values)).tolist() if rows[k] not in self.ragged]
        return values, [self.fault(row, name, shown(cells[row]), allowed) for row in bad]

    def row_fault(self, row: int) -> Fault | None:
        """What is wrong with the cells of a row, or with its time."""
        if row in self.ragged:
            hint = _COMMA_HINT if self.ragged[row] > len(self.names) else ""
            allowed = f"{len(self.names)}, one per column{hint}"
            return Fault(self.file, f"line {self.lines[row]}", f"{self.ragged[row]} cells", allowed)
        if row in self.times.faults:
            return self.fault(row, self.time, shown(self.cells[self.time][row]), self.times.faults[row])
        return None

    def fault(self, row: int, column: str, got: str, allowed: str) -> Fault:
        """The fault of one cell."""
        return Fault(self.file, f"line {self.lines[row]}, column {column}", got, allowed)

    def _decimal_mark(self, name: str) -> str:
        cells = self.cells[name]
        mark = decimal_mark(cells)
        others = (column[:_SAMPLE_ROWS] for other, column in self.cells.items() if other not in (name, self.time))
        if mark == "." and any(decimal_mark(column) == "," for column in others):
            grouped = decimal_mark([cell.replace(".", ",") for cell in cells if "." in cell])
            return "," if not grouped else "."
        return mark


def parse_table(text: str, file: str) -> Table | Fault:
    """The table in ``text``, or the fault that makes it unreadable; ``file`` is its name in faults."""
    try:
        found = csv_rows(text)
    except csv.Error as error:
        line, reason = error.args
        return Fault(file, f"line {line}", shown(reason), "comma-separated values")
    if isinstance(found, str):
        return Fault(file, "line 1", shown(found), _ALLOWED)
    if not found or len(found.body) < 2:
        got = f"{len(found.body) + 1 if found else 0} rows"
        return Fault(file, "", got, "a line of column names and at least two rows")
    table = _table(found, file)
    if isinstance(table, Table) and table.newest_first:
        return _table(found._replace(body=found.body[::-1]), file)
    return table


def _table(found: CsvRows, file: str) -> Table | Fault:
    header = f"line {found.header.line}"
    names, columns = _columns(found)
    time = _time_column(names, columns)
    if isinstance(time, str):
        return Fault(file, header, time, _ALLOWED)
    cells = dict(zip(reversed(names), reversed(columns), strict=True))
    cells[names[time]] = columns[time]
    ragged = _ragged(found.body, len(names))
    if len(ragged) == len(found.body):
        got, below = found.separator.join(found.header.cells), len(found.body[0].cells)
        hint = _COMMA_HINT if below > len(names) > 1 else ""
        return Fault(file, header, shown(got), f"{_ALLOWED}; the rows have {below} cells{hint}")
    times = parse_times(_with_dates(columns, time), utc=_UTC.search(names[time].lower()) is not None)
    lines = [row.line for row in found.body]
    return Table(file, found.header.line, lines, names, cells, names[time], times, ragged)


def _columns(found: CsvRows) -> tuple[tuple[str, ...], list[list[str]]]:
    """Names, and the cells of each column, empty where a row is too short."""
    names = tuple(found.header.cells)
    rows = [[*row.cells[: len(names)], *[""] * (len(names) - len(row.cells))] for row in found.body]
    return names, [list(column) for column in zip(*rows, strict=True)]


def _ragged(body: Sequence[CsvRow], width: int) -> dict[int, int]:
    """Row → its number of cells if that is not ``width``; empty cells behind the last name do not count."""
    return {k: len(row.cells) for k, row in enumerate(body) if len(row.cells) < width or any(row.cells[width:])}


def _time_column(names: tuple[str, ...], columns: list[list[str]]) -> int | str:
    """Index of the column of times, or what was found instead: the one named `time`, else the only one with times, or
    that of the begins where another one has the ends.
    """
    named = [k for k, name in enumerate(names) if name.lower() == TIME]
    if len(named) == 1:
        return named[0]
    timed = [k for k, cells in enumerate(columns) if _mostly(cells, looks_like_time)]
    timed = [k for k in timed if not _mostly(columns[k], _is_date)] or timed
    if not timed and _mostly(columns[0], looks_like_instant):
        return 0
    if len(timed) == 2 and not _ENDS.isdisjoint(names[timed[1]].lower().split()):
        return timed[0]
    if len(timed) == 1 and not named:
        return timed[0]
    return f"{len(named or timed)} columns of times in {shown(','.join(names))}"


def _with_dates(columns: list[list[str]], time: int) -> list[str]:
    """The cells of the times, each after the date of its row if that stands in a column of its own."""
    dates = [cells for cells in columns if _mostly(cells, _is_date)]
    if not dates or _mostly(columns[time], lambda cell: _CLOCK.match(cell) is None):
        return columns[time]
    return [f"{date} {clock}" for date, clock in zip(dates[0], columns[time], strict=True)]


def _mostly(cells: Sequence[str], what: Callable[[str], bool]) -> bool:
    sample = cells[:_SAMPLE_ROWS]
    return 2 * sum(map(what, sample)) > len(sample)


def _is_date(cell: str) -> bool:
    return looks_like_time(cell) and ":" not in cell
