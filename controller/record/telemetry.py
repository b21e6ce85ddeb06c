"""Telemetry in SQLite: one table per measurement, time in nanoseconds since 1970 (UTC), one commit per record.

Writing a point again replaces it, so forwarding or repeating twice is harmless.
"""

import sqlite3
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from controller.process.failures import DamagedError, RecordError, recording
from controller.record.database import OpenedFiles, open_database, set_aside, transaction
from controller.record.measurements import MEASUREMENTS, MeasurementSchema, Record, columns, points
from controller.record.outbox import DROPPED, ENQUEUE, OUTBOX, count
from controller.record.retention import HOUR_NS, HOURS, STAMP_HOUR, adopt_hours

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Telemetry:
    """Open while the service runs, one thread at a time; other processes may read meanwhile.

    A file that is no valid database is renamed and a new one is created; ``damaged`` reports it.

    Args:
        outbox: also queue every record for the forwarder, see :mod:`controller.record.outbox`.
    """

    def __init__(self, path: Path, *, outbox: bool = False) -> None:
        self._path, self._outbox = path, outbox
        self._connection: sqlite3.Connection | None = None
        self._lost, self._counting = 0, Lock()
        self.damaged: str | None = None
        self._opened_files: OpenedFiles | None = None
        self._unusable = False

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            RecordError: the disk or another process prevents it.
        """
        with recording(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._open()
        except DamagedError as error:
            self.damaged = self._recreate(str(error))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def write(self, record: Record) -> None:
        """Store all points of a record, or none; points that could not be stored are counted at the next successful
        write.

        Raises:
            RecordError: the disk or another process prevents it.
        """
        if self._connection is None:
            raise RecordError(f"{self._path}: the telemetry is not open")
        time_ns = nanoseconds(record.time)
        rows: dict[str, list[tuple[object, ...]]] = {}
        for point in points(record):
            tag = () if point.tag is None else (point.tag,)
            rows.setdefault(point.measurement, []).append((time_ns, *tag, *map(_sql_value, point.values)))
        lost = self._lost
        try:
            with recording(self._path), transaction(self._connection, durable=False):
                for name, rows_of_table in rows.items():
                    self._connection.executemany(_INSERTS[name], rows_of_table)
                if self._outbox:
                    self._connection.executemany(ENQUEUE, [(name, time_ns, len(rows[name])) for name in rows])
                self._connection.execute(STAMP_HOUR, (time_ns // HOUR_NS,))
                count(self._connection, [(DROPPED, lost)])
        except RecordError as error:
            self._unusable = isinstance(error, DamagedError)
            self.lose(record)
            raise
        with self._counting:
            self._lost -= lost

    def check(self) -> str | None:
        """Look whether somebody has removed, replaced or damaged the file, and begin a new one; says so.

        Counters go on; points that still waited to be sent count as dropped.

        Raises:
            RecordError: the disk or another process prevents it.
        """
        touched = self._opened_files.touched() if self._opened_files else None
        if self._unusable and not touched:
            touched = f"{self._path.name} was damaged"
        return self._recreate(touched) if touched else None

    def _open(self) -> None:
        self._connection = open_database(self._path, TABLES)
        _widen(self._path, self._connection)
        adopt_hours(self._path, self._connection)
        self._opened_files, self._unusable = OpenedFiles(self._path), False

    def _recreate(self, why: str) -> str:
        """Set aside what is there and begin a new file; what was done."""
        counters = _counters(self._connection) if self._connection else {}
        aside = set_aside(self._path)
        self._close()
        with recording(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._open()
        assert self._connection is not None
        with recording(self._path), transaction(self._connection, durable=False):
            count(self._connection, counters.items())
        return f"{why}; {f'set aside as {aside.name}' if aside else 'begun anew'}"

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def lose(self, record: Record) -> None:
        """Count the points of a record that is not stored as dropped; any thread may call this, also during a write."""
        with self._counting:
            self._lost += sum(1 for _ in points(record))


def _counters(connection: sqlite3.Connection) -> dict[str, int]:
    """Counters of a file that is given up, with what waits as dropped; none if it cannot be read any more."""
    with suppress(sqlite3.Error):
        kept = dict(connection.execute("SELECT key, value FROM meta WHERE key <> 'schema_version'").fetchall())
        (waiting,) = connection.execute("SELECT coalesce(sum(points), 0) FROM outbox").fetchone()
        return {**kept, DROPPED: kept.get(DROPPED, 0) + waiting}
    return {}


def nanoseconds(instant: datetime) -> int:
    """Nanoseconds since 1970, exact."""
    return (instant - _EPOCH) // timedelta(microseconds=1) * 1000


def _sql_value(value: float | str | None) -> object:
    if value is None or isinstance(value, str):
        return None if value is None else str(value)
    return float(value) if isfinite(value) else None


def _table(measurement: MeasurementSchema) -> str:
    fields = ", ".join(f"{name} {kind}" for name, kind in columns(measurement).items())
    key = "time" if measurement.tag is None else f"time, {measurement.tag}"
    return f"CREATE TABLE IF NOT EXISTS {measurement.name} (time INTEGER, {fields}, PRIMARY KEY ({key})) WITHOUT ROWID"


def _insert(measurement: MeasurementSchema) -> str:
    names = ("time", *columns(measurement))
    places = ", ".join("?" * len(names))
    return f"INSERT OR REPLACE INTO {measurement.name} ({', '.join(names)}) VALUES ({places})"


def _widen(path: Path, connection: sqlite3.Connection) -> None:
    """Give the tables of a file of an older version the columns that they lack.

    Raises:
        RecordError: the disk or another process prevents it.
    """
    for name, measurement in MEASUREMENTS.items():
        there = {row[1] for row in connection.execute(f"PRAGMA table_info({name})")}
        for column, kind in columns(measurement).items():
            if column not in there:
                with recording(path), transaction(connection, durable=False):
                    connection.execute(f"ALTER TABLE {name} ADD COLUMN {column} {kind}")


TABLES = [*(_table(measurement) for measurement in MEASUREMENTS.values()), OUTBOX, HOURS]
_INSERTS = {name: _insert(measurement) for name, measurement in MEASUREMENTS.items()}
