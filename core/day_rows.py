"""The rows of a file for one day: the interval of each on the axis, and the parts of the day without a value."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from core.arrays import FloatArray
from core.config_fields import Stamps
from core.csv_times import ANY_DAY, Form
from core.errors import Fault, shown
from core.series import Pass, wall_passes
from core.table import Table
from core.time import TimeAxis

TimeArray = NDArray[np.datetime64]
LONG = 1.5
"""A value that is valid for longer than this multiple of the usual step leaves a gap; less is jitter of the logger."""
EDGE = 0.25
"""Share of the usual step that may be missing where the file begins or ends."""
HOLD_HINT = "`gaps: hold` if a value holds until the next one, as in curve type A03, `gaps: zero` if it is 0"
FEWEST_ROWS = 6
"""A day with fewer rows is judged by the usual step of the whole file."""


class Hole(NamedTuple):
    """A part of the day without a value (s on the axis), and the rows around it; None where the file ends."""

    begin_s: float
    end_s: float
    before: int | None
    after: int | None
    fault: Fault


@dataclass(frozen=True)
class DayRows:
    """The rows of a table for one day.

    Attributes:
        rows: [M]; a row may occur twice, on the day of 25 hours.
        begins_s: [M], ascending, s on the axis, at which each value begins; not positive for the first.
        gaps: parts of the day that no row covers.
        faults: of rows that cannot be placed; ``gaps`` is then empty.
    """

    rows: list[int]
    begins_s: FloatArray
    gaps: tuple[Hole, ...]
    faults: tuple[Fault, ...]


class _Clock(NamedTuple):
    """Rows of a table, their time in s (NaN if unknown) on a clock that passes the day in ``passes``."""

    rows: NDArray[np.intp]
    times_s: FloatArray
    passes: tuple[Pass, ...]

    @property
    def span_s(self) -> tuple[float, float]:
        return min(p.begin_s for p in self.passes), max(p.end_s for p in self.passes)


class _Rows(NamedTuple):
    """Positions of the rows that begin in a span, from the first to the last one in the file, and their neighbours."""

    inside: range
    before: int | None
    after: int | None

    def known(self, clock: _Clock) -> list[int]:
        """Positions inside whose time is known."""
        return [k for k in self.inside if not np.isnan(clock.times_s[k])]


class _Spans(NamedTuple):
    """Position, begin and end (s on the axis) of each value in the day, and the usual step."""

    parts: list[tuple[int, float, float]]
    step_s: float


class RowsOfDays:
    """Finds the rows of days for an axis, which covers the day ``day``."""

    def __init__(self, axis: TimeAxis, day: date) -> None:
        self._axis, self._day, self._zone = axis, day, ZoneInfo(axis.timezone)
        self._passes = wall_passes(axis)
        self._length_s = 60.0 * axis.step_min * axis.n_steps

    def read(self, table: Table, day: date, stamps: Stamps) -> DayRows:
        """The rows of ``day``; ``stamps``: whether times are the begins or the ends of their intervals."""
        clock = self._clock(table, day)
        window = _window(clock)
        step_s = _usual_step_s(table, clock, window)
        if stamps == "end" or (stamps == "auto" and table.times.to_midnight):
            clock = clock._replace(times_s=_begins_s(clock, step_s))
            window = _window(clock)
        spans = _spans(clock, window, step_s)
        gaps = list(self._gaps(table, day, clock, window, spans))
        faults = list(_row_faults(table, clock, window, bool(gaps)))
        begins_s = np.array([begin for _, begin, _ in spans.parts])
        if len(begins_s) and begins_s[0] <= EDGE * step_s:
            begins_s[0] = min(begins_s[0], 0.0)
        rows = [int(clock.rows[k]) for k, _, _ in spans.parts]
        return DayRows(rows, begins_s, () if faults else tuple(gaps), tuple(faults))

    def _clock(self, table: Table, day: date) -> _Clock:
        """The clock of the file, wall or elapsed; of an hour that occurs twice on another day the first one counts."""
        stamps, form, origin = table.times.stamps, table.times.form, np.datetime64(day)
        rows = np.arange(len(stamps))
        if form is Form.ZONED and day == self._day:
            whole = (Pass(0.0, self._length_s, 0.0),)
            return _Clock(rows, _seconds(stamps, np.datetime64(self._axis.start.replace(tzinfo=None))), whole)
        if form is Form.ZONED:
            rows, stamps = _wall_clock(stamps, day, self._zone)
            return _Clock(rows, _seconds(stamps, origin), self._passes)
        if form is Form.OF_DAY:
            stamps = stamps + (origin - np.datetime64(ANY_DAY))
        again, times_s = _second_pass(stamps, self._zone), _seconds(stamps, origin)
        today = (times_s >= 0) & (times_s < 86400)
        if day != self._day or len(self._passes) < 2 or not np.any(again & today):
            return _Clock(rows[~again], times_s[~again], self._passes)
        first, second = self._passes
        late = again | (times_s >= first.end_s)
        times_s = times_s + np.where(late, second.elapsed_s - second.begin_s, 0.0)
        return _Clock(rows, times_s, (Pass(first.begin_s, self._length_s + first.begin_s, 0.0),))

    def _gaps(self, table: Table, day: date, clock: _Clock, window: _Rows, spans: _Spans) -> Iterator[Hole]:
        ends = [(window.before, 0.0, 0.0), *spans.parts, (window.after, self._length_s, self._length_s)]
        for (k, _, end_s), (j, begin_s, _) in pairwise(ends):
            if begin_s - end_s > EDGE * spans.step_s or (begin_s > end_s and not spans.parts):
                before, after = (None if place is None else int(clock.rows[place]) for place in (k, j))
                inner = before is not None and after is not None
                hint = HOLD_HINT if inner else _edge_hint(clock, window, spans.step_s)
                allowed = f"all of {day}, a value every {spans.step_s / 60:.4g} min ({hint})"
                yield Hole(end_s, begin_s, before, after, self._fault(table, before, after, allowed))

    def _fault(self, table: Table, before: int | None, after: int | None, allowed: str) -> Fault:
        """The fault for values missing between two rows."""
        if after is None and before is None:
            return Fault(table.file, f"column {table.time}", "no time of that day", allowed)
        if after is None or before is None:
            row, which = (after, "first") if before is None else (before, "last")
            return table.fault(row or 0, table.time, f"{self._shown(table, row or 0)} as the {which} time", allowed)
        got = f"{self._shown(table, after)} after {self._shown(table, before)}"
        return table.fault(after, table.time, got, allowed)

    def _shown(self, table: Table, row: int) -> str:
        """The cell of a time, with the local time where it is an instant."""
        cell = table.cells[table.time][row]
        if table.times.form is not Form.ZONED:
            return cell
        local = table.times.stamps[row].item().replace(tzinfo=UTC).astimezone(self._zone)
        return f"{cell} ({local:%H:%M} in {self._axis.timezone})"


def _seconds(stamps: TimeArray, origin: np.datetime64) -> FloatArray:
    """Distance from ``origin``; NaN for NaT."""
    return np.asarray((stamps - origin) / np.timedelta64(1, "s"))


def _wall_clock(instants: TimeArray, day: date, zone: ZoneInfo) -> tuple[NDArray[np.intp], TimeArray]:
    """Rows near ``day`` and their wall time; of an hour that occurs twice the first one counts."""
    near = np.flatnonzero(np.abs(instants - np.datetime64(day)) < np.timedelta64(2, "D"))
    local = [(row, instants[row].item().replace(tzinfo=UTC).astimezone(zone)) for row in near]
    first = [(row, time.replace(tzinfo=None)) for row, time in local if not time.fold]
    return np.array([row for row, _ in first], np.intp), np.array([time for _, time in first], "datetime64[us]")


def _second_pass(stamps: TimeArray, zone: ZoneInfo) -> NDArray[np.bool_]:
    """Which rows of a wall clock lie in an hour that comes twice, behind the first one: times go back by just as much
    as the clock was put back.
    """
    again = np.zeros(len(stamps), bool)
    for k in (np.flatnonzero(np.diff(stamps) <= np.timedelta64(0)) + 1).tolist():
        back = _put_back(stamps[k].item(), zone)
        if not back or stamps[k] + np.timedelta64(back) <= stamps[k - 1]:
            continue
        while k < len(stamps) and _put_back(stamps[k].item(), zone) and (not again[k - 1] or stamps[k] > stamps[k - 1]):
            again[k] = True
            k += 1
    return again


def _put_back(wall: datetime | None, zone: ZoneInfo) -> timedelta:
    """By how much the clock is put back after a wall time that comes twice; zero for any other."""
    if wall is None:
        return timedelta()
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    return max(first - second, timedelta())


def _begins_s(clock: _Clock, step_s: float) -> FloatArray:
    """Begins of the intervals that end at the times of a clock. The hour that it skips counts for nothing, if the file
    skips it too.
    """
    times_s = clock.times_s
    begins_s = times_s - step_s
    for earlier, later in pairwise(clock.passes):
        skipped_s = later.begin_s - earlier.end_s
        if skipped_s > 0 and not np.any((times_s >= earlier.end_s) & (times_s < later.begin_s)):
            across = (times_s >= later.begin_s) & (begins_s < later.begin_s)
            begins_s = np.where(across, begins_s - skipped_s, begins_s)
    return begins_s


def _window(clock: _Clock) -> _Rows:
    times_s, (low, high) = clock.times_s, clock.span_s
    known = np.flatnonzero(~np.isnan(times_s))
    inside = known[(times_s[known] >= low) & (times_s[known] < high)]
    if len(inside):
        earlier, later = known[known < inside[0]], known[known > inside[-1]]
        before = int(earlier[-1]) if len(earlier) and times_s[earlier[-1]] < low else None
        after = int(later[0]) if len(later) and times_s[later[0]] >= high else None
        return _Rows(range(int(inside[0]), int(inside[-1]) + 1), before, after)
    earlier, later = known[times_s[known] < low], known[times_s[known] >= high]
    before = int(earlier[-1]) if len(earlier) else None
    after = next((int(k) for k in later if before is None or k > before), None)
    return _Rows(range(0), before, after)


def _usual_step_s(table: Table, clock: _Clock, window: _Rows) -> float:
    """The usual step of the day (s), which a few missing rows or a logger's jitter do not change."""
    known = window.known(clock)
    if len(known) < FEWEST_ROWS:
        return table.usual_step_s
    steps = np.diff(clock.times_s[known])
    steps = steps[steps > 0]
    return float(np.quantile(steps, 0.5, method="lower")) if len(steps) else table.usual_step_s


def _spans(clock: _Clock, window: _Rows, step_s: float) -> _Spans:
    around = [k for k in (window.before, *window.known(clock), window.after) if k is not None]
    times_s = clock.times_s[around]
    following = np.append(times_s[1:], np.inf)
    ends_s = np.where(following - times_s < LONG * step_s, following, times_s + step_s)
    parts = [
        (k, float(first) - begin_s + elapsed_s, float(last) - begin_s + elapsed_s)
        for begin_s, end_s, elapsed_s in clock.passes
        for k, first, last in zip(around, np.maximum(times_s, begin_s), np.minimum(ends_s, end_s), strict=True)
        if first < last
    ]
    return _Spans(parts, step_s)


def _edge_hint(clock: _Clock, window: _Rows, step_s: float) -> str:
    """What may help where the file begins or ends within the day."""
    if window.inside and window.after is not None:
        low, high = clock.span_s
        late_s = clock.times_s[window.inside.start] - low - step_s, clock.times_s[window.after] - high
        if max(map(abs, late_s)) < EDGE * step_s:
            return "`stamps: end` if times are the ends of their intervals"
    return "`date` takes another day of the file"


def _row_faults(table: Table, clock: _Clock, window: _Rows, incomplete: bool) -> Iterator[Fault]:
    """Faults of rows in the day: of times and cells, and of the order. Rows beside the day without a time count if the
    day is incomplete.
    """
    first = window.inside.start if window.inside else (window.before or 0)
    stop = window.inside.stop if window.inside else first
    if incomplete:
        first = 0 if window.before is None else window.before + 1
        stop = len(clock.rows) if window.after is None else window.after
    for k in range(first, stop):
        if fault := table.row_fault(int(clock.rows[k])):
            yield fault
    known = window.known(clock)
    cells = table.cells[table.time]
    for k, j in pairwise(known):
        if clock.times_s[j] <= clock.times_s[k]:
            row, last = int(clock.rows[j]), int(clock.rows[k])
            allowed = "each time once" if clock.times_s[j] == clock.times_s[k] else f"a time after {cells[last]}"
            yield table.fault(row, table.time, shown(cells[row]), allowed)
