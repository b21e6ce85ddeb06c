"""The series of a configuration as means over the steps of a day. Faults of all files are collected, each once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from core.arrays import FloatArray
from core.config_fields import Constant, Filling, SeriesFile
from core.day_rows import DayRows, Hole, RowsOfDays
from core.errors import Caution, Fault
from core.series import step_means
from core.table import Table
from core.time import TimeAxis

MAX_FAULTS = 20
"""Faults that are listed per file; further ones are only counted."""
DARK_KW_PER_KWP = 0.01
"""Less than this is no sunshine."""


@dataclass(frozen=True)
class Range:
    """Allowed values of a series after scale and offset.

    Attributes:
        words: describe them in messages.
        noise: values below ``low`` by at most this are read as ``low``.
        dark: a part of the day without values, between values near zero and without noon, is night.
    """

    low: float
    high: float
    words: str
    noise: float = 0.0
    dark: bool = False


class Profiles:
    """Reads series over ``axis``, which covers the day ``day``; each file, and each day in it, is parsed once.

    If a series has faults its means are NaN or wrong; check ``faults`` after reading all series.
    """

    def __init__(self, axis: TimeAxis, day: date, read: Callable[[Path], Table | Fault]) -> None:
        self._axis, self._day = axis, day
        self._edges_s: FloatArray = 60.0 * axis.step_min * np.arange(axis.n_steps + 1.0)
        self._faults: dict[tuple[str, str, str], Fault] = {}
        self._cautions: dict[tuple[str, str], Caution] = {}
        self._table = cache(read)
        self._rows = cache(RowsOfDays(axis, day).read)

    @property
    def faults(self) -> list[Fault]:
        """All faults so far, file by file."""
        by_file: dict[str, list[Fault]] = {}
        for fault in self._faults.values():
            by_file.setdefault(fault.file, []).append(fault)
        return [fault for faults in by_file.values() for fault in _shortened(faults)]

    @property
    def cautions(self) -> list[Caution]:
        """What was read in a way that the user should know, each once."""
        return list(self._cautions.values())

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
        fault = table if isinstance(table, Fault) else table.column_fault(series.column)
        if isinstance(table, Fault) or fault:
            self._note(*filter(None, [fault]))
            return unknown
        rows = self._rows(table, series.date or self._day, series.stamps)
        self._note(*rows.faults)
        zeros, held = self._filled(table, series, rows, allowed.dark)
        begins_s = np.concatenate([rows.begins_s, [hole.begin_s for hole, _ in held], [hole.begin_s for hole in zeros]])
        values = self._values(table, series, [*rows.rows, *(row for _, row in held)], allowed)
        values = np.append(values, np.zeros(len(zeros)))
        if not len(begins_s) or begins_s.min() > 0:
            return unknown
        order = np.argsort(begins_s, kind="stable")
        return step_means(begins_s[order], values[order], self._edges_s)

    def _filled(
        self, table: Table, series: SeriesFile, rows: DayRows, dark: bool
    ) -> tuple[list[Hole], list[tuple[Hole, int]]]:
        """Gaps that are zero, and gaps in which the value of a row holds on; others are faults."""
        zeros: list[Hole] = []
        held: list[tuple[Hole, int]] = []
        for hole in rows.gaps:
            if series.gaps is Filling.ZERO or (dark and self._is_night(table, series, hole)):
                zeros.append(hole)
            elif series.gaps is Filling.HOLD and hole.before is not None:
                held.append((hole, hole.before))
            elif dark and (hole.before is None or hole.after is None):
                self._note(
                    replace(hole.fault, allowed=f"{hole.fault.allowed}; `gaps: zero` if nothing is generated then")
                )
            else:
                self._note(hole.fault)
        return zeros, held

    def _is_night(self, table: Table, series: SeriesFile, hole: Hole) -> bool:
        """Whether a gap lies between values near zero, without the noon between them."""
        beside = [row for row in (hole.before, hole.after) if row is not None]
        values = series.offset + series.scale * table.numbers(series.column, beside)[0]
        return bool(beside) and not hole.begin_s < self._noon_s < hole.end_s and bool(np.all(values <= DARK_KW_PER_KWP))

    def _values(self, table: Table, series: SeriesFile, rows: list[int], allowed: Range) -> FloatArray:
        """Values of rows, with their faults noted."""
        raw, faults = table.numbers(series.column, rows)
        self._note(*faults)
        values = series.offset + series.scale * raw
        noise = (values < allowed.low) & (values >= allowed.low - allowed.noise)
        if np.any(noise):
            got = f"{values[noise].min():g} and {np.count_nonzero(noise) - 1} more below {allowed.low:g}"
            self._caution(Caution(table.file, f"column {series.column}", got, f"read as {allowed.low:g}"))
        values[noise] = allowed.low
        for k in np.flatnonzero((values < allowed.low) | (values > allowed.high)).tolist():
            cell = table.cells[series.column][rows[k]]
            got = cell if values[k] == raw[k] else f"{cell}, {values[k]:g} after scale and offset"
            self._note(table.fault(rows[k], series.column, got, allowed.words))
        return values

    @property
    def _noon_s(self) -> float:
        """Noon of the wall clock, s on the axis."""
        noon = datetime.combine(self._day, time(12), ZoneInfo(self._axis.timezone))
        return (noon - self._axis.start).total_seconds()

    def _note(self, *faults: Fault) -> None:
        for fault in faults:
            self._faults.setdefault((fault.file, fault.key, fault.allowed), fault)

    def _caution(self, caution: Caution) -> None:
        self._cautions.setdefault((caution.file, caution.key), caution)


def _shortened(faults: list[Fault]) -> list[Fault]:
    """One fault for each cause in a file, with the number of further lines; at most ``MAX_FAULTS``, others counted."""
    causes: dict[tuple[str, str], list[Fault]] = {}
    for fault in faults:
        causes.setdefault((fault.key.partition(", ")[2], fault.allowed), []).append(fault)
    found = [_counted(alike) for alike in causes.values()]
    if (more := len(found) - MAX_FAULTS) <= 0:
        return found
    return [*found[:MAX_FAULTS], Fault(faults[0].file, "", f"… and {more} more faults", "none")]


def _counted(alike: list[Fault]) -> Fault:
    more = len(alike) - 1
    got = f"{alike[0].value} (and {more} more line{'s' if more > 1 else ''} like it)" if more else alike[0].value
    return replace(alike[0], value=got)
