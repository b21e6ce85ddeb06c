"""The series of a configuration as means over the steps of a day. Faults of all files are collected, each once."""

from collections.abc import Callable
from datetime import UTC, date
from functools import cache
from math import inf
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from core.config_fields import Constant, SeriesFile
from core.errors import Fault
from core.series import Pass, step_means, wall_passes
from core.table import ANY_DAY, Form, Table
from core.time import TimeAxis

IntArray = NDArray[np.intp]
TimeArray = NDArray[np.datetime64]
MAX_FAULTS = 20
"""Faults that are listed per file; further ones are only counted."""


class Range(NamedTuple):
    """Allowed values of a series after scale and offset; ``words`` describe them in messages."""

    low: float
    high: float
    words: str


class _DayRows(NamedTuple):
    """The rows of a table for one day, and the time (s after the start of the axis) at which each begins."""

    rows: IntArray
    begins_s: FloatArray


class Profiles:
    """Reads series over ``axis``, which covers the day ``day``; each file, and each day in it, is parsed once.

    If a series has faults its means are NaN or wrong; check ``faults`` after reading all series.
    """

    def __init__(self, axis: TimeAxis, day: date, read: Callable[[Path], Table | Fault]) -> None:
        self._axis, self._day = axis, day
        self._passes = wall_passes(axis)
        self._edges_s: FloatArray = 60.0 * axis.step_min * np.arange(axis.n_steps + 1.0)
        self._faults: dict[tuple[str, str, str], Fault] = {}
        self._table = cache(read)
        self._column = cache(Table.column)
        self._reading = cache(self._read_day)

    @property
    def faults(self) -> list[Fault]:
        """All faults so far, file by file."""
        by_file: dict[str, list[Fault]] = {}
        for fault in self._faults.values():
            by_file.setdefault(fault.file, []).append(fault)
        return [fault for file, faults in by_file.items() for fault in _shortened(file, faults)]

    def means(self, series: SeriesFile | Constant | float, allowed: Range) -> FloatArray:
        """Mean of the series over each step, [T]; constants have been checked already."""
        match series:
            case SeriesFile():
                return self._file_means(series, allowed)
            case Constant():
                return np.full(self._axis.n_steps, series.constant)
            case _:
                return np.full(self._axis.n_steps, series)

    def _file_means(self, series: SeriesFile, allowed: Range) -> FloatArray:
        unknown = np.full(self._axis.n_steps, np.nan)
        table = self._table(series.on(self._day))
        if isinstance(table, Fault):
            self._note(table)
            return unknown
        raw, faults = self._column(table, series.column)
        self._note(*table.faults, *faults)
        values = series.offset + series.scale * raw
        for row in np.flatnonzero((values < allowed.low) | (values > allowed.high)).tolist():
            cell = table.cells[series.column][row]
            got = cell if values[row] == raw[row] else f"{cell}, {values[row]:g} after scale and offset"
            self._note(table.fault(row, series.column, got, allowed.words))
        if table.faults or (reading := self._reading(table, series.date or self._day)) is None:
            return unknown
        return step_means(reading.begins_s, values[reading.rows], self._edges_s)

    def _read_day(self, table: Table, day: date) -> _DayRows | None:
        """The rows of ``day``; the last one is valid for the usual step. None, with faults, if values are missing."""
        rows, times_s, passes = self._day_times(table, day)
        ends_s = np.minimum(times_s + table.usual_step_s, np.append(times_s[1:], inf))
        gap_begins, gap_ends = np.append(-inf, ends_s), np.append(times_s, inf)
        gaps = [np.maximum(gap_begins, p.begin_s) < np.minimum(gap_ends, p.end_s) for p in passes]
        if np.any(gaps):
            self._note(*(_gap_fault(table, day, rows, k) for k in np.flatnonzero(np.any(gaps, axis=0)).tolist()))
            return None
        picked, begins_s = [], []
        for begin_s, end_s, elapsed_s in passes:
            first = np.searchsorted(times_s, begin_s, side="right") - 1
            here = np.arange(first, np.searchsorted(times_s, end_s))
            picked.append(rows[here])
            begins_s.append(np.maximum(times_s[here] - begin_s, 0) + elapsed_s)
        return _DayRows(np.concatenate(picked), np.concatenate(begins_s))

    def _day_times(self, table: Table, day: date) -> tuple[IntArray, FloatArray, tuple[Pass, ...]]:
        """Rows, their time in s on the clock of the file (wall or elapsed), and the passes of that clock over the
        day.
        """
        rows, times, origin, passes = np.arange(len(table.times)), table.times, np.datetime64(day), self._passes
        if table.form is Form.OF_DAY:
            origin = np.datetime64(ANY_DAY)
        elif table.form is Form.ZONED and day == self._day:
            origin = np.datetime64(self._axis.start.replace(tzinfo=None))
            passes = (Pass(0.0, float(self._edges_s[-1]), 0.0),)
        elif table.form is Form.ZONED:
            rows, times = _wall_clock(table.times, day, ZoneInfo(self._axis.timezone))
        return rows, (times - origin) / np.timedelta64(1, "s"), passes

    def _note(self, *faults: Fault) -> None:
        for fault in faults:
            self._faults.setdefault((fault.file, fault.key, fault.allowed), fault)


def _wall_clock(instants: TimeArray, day: date, zone: ZoneInfo) -> tuple[IntArray, TimeArray]:
    """Rows near ``day`` and their wall time; of an hour that occurs twice the first one counts."""
    near = np.flatnonzero(np.abs(instants - np.datetime64(day)) < np.timedelta64(2, "D"))
    local = [(row, instants[row].item().replace(tzinfo=UTC).astimezone(zone)) for row in near]
    first = [(row, time.replace(tzinfo=None)) for row, time in local if not time.fold]
    return np.array([row for row, _ in first], np.intp), np.array([time for _, time in first], "datetime64[us]")


def _gap_fault(table: Table, day: date, rows: IntArray, k: int) -> Fault:
    """The fault for values missing before the k-th of ``rows``, or after the last one."""
    times, step_min = table.cells["time"], table.usual_step_s / 60
    allowed = f"all of {day}, a value every {step_min:g} min (`date` takes another day of the file)"
    if not len(rows):
        return Fault(table.file, "column time", "no time of that day", allowed)
    row = rows[min(k, len(rows) - 1)]
    if k == 0:
        return table.fault(row, "time", f"{times[row]} as the first time", allowed)
    if k == len(rows):
        return table.fault(row, "time", f"{times[row]} as the last time", allowed)
    return table.fault(row, "time", f"{times[row]} after {times[rows[k - 1]]}", allowed)


def _shortened(file: str, faults: list[Fault]) -> list[Fault]:
    if (more := len(faults) - MAX_FAULTS) <= 0:
        return faults
    return [*faults[:MAX_FAULTS], Fault(file, "", f"… and {more} more faults", "none")]
