"""The queue of points to forward: a table in the telemetry's own file, filled in the same commit as the points.

An entry names a measurement and an instant; the points themselves are read when they are sent. Rewriting a point adds
another entry, so that its last version is always sent. Entries leave the queue, and the counters increase, in one
commit after sending: a crash in between sends points twice, never not at all.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from controller.process.failures import recording
from controller.record.database import transaction
from controller.record.line_protocol import Cell, LineError, stored_line
from controller.record.measurements import MEASUREMENTS, MeasurementSchema, columns

OUTBOX = """CREATE TABLE IF NOT EXISTS outbox (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    measurement TEXT NOT NULL, time INTEGER NOT NULL, points INTEGER NOT NULL
)"""
ENQUEUE = "INSERT INTO outbox (measurement, time, points) VALUES (?, ?, ?)"
DEAD_LETTERS = "dead_letters.jsonl"
SENT, DEAD, DROPPED, REMOVED = "sent", "dead_letters", "dropped", "removed"
"""Counters in the table ``meta``, in points since the file was created."""
_COUNT = "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = value + excluded.value"
_ROWS = {
    name: f"SELECT {', '.join(('time', *columns(measurement)))} FROM {name} WHERE time = ?"
    for name, measurement in MEASUREMENTS.items()
}


@dataclass(frozen=True)
class DeadLetter:
    """A point that no database accepts, as its line (or as the row, if it has no line), and the reason."""

    text: str
    error: str


@dataclass(frozen=True)
class Batch:
    """Lines of the entries ``first`` … ``last``, and their points without a line."""

    first: int
    last: int
    lines: tuple[str, ...]
    dead: tuple[DeadLetter, ...]


@dataclass(frozen=True)
class Counts:
    """Points since the file was created. Points without a known value count in ``backlog`` only, as they have no
    line. ``removed``: deleted by age or size, unsent or not.
    """

    sent: int = 0
    backlog: int = 0
    dropped: int = 0
    dead_letters: int = 0
    removed: int = 0


class Outbox:
    """The queue in an open telemetry database; every method may raise ``RecordError``."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path, self._connection = path, connection

    def next_batch(self, points: int) -> Batch | None:
        """The oldest entries, of about ``points`` points in total; None if there are none. They stay in the queue."""
        with recording(self._path):
            entries = list(self._oldest(points))
            rows = [
                (MEASUREMENTS[name], row)
                for _, name, time_ns in entries
                for row in self._connection.execute(_ROWS[name], (time_ns,))
            ]
        if not entries:
            return None
        lines, dead = to_lines(rows)
        return Batch(entries[0][0], entries[-1][0], lines, dead)

    def done(self, batch: Batch, sent: int, dead: int) -> None:
        """Remove the entries of the batch and count its points."""
        with recording(self._path), transaction(self._connection, durable=False):
            self._connection.execute("DELETE FROM outbox WHERE sequence BETWEEN ? AND ?", (batch.first, batch.last))
            count(self._connection, {SENT: sent, DEAD: dead}.items())

    def counts(self) -> Counts:
        """The current counts."""
        with recording(self._path):
            (backlog,) = self._connection.execute("SELECT coalesce(sum(points), 0) FROM outbox").fetchone()
            kept = dict(self._connection.execute("SELECT key, value FROM meta").fetchall())
        return Counts(kept.get(SENT, 0), backlog, kept.get(DROPPED, 0), kept.get(DEAD, 0), kept.get(REMOVED, 0))

    def _oldest(self, points: int) -> Iterator[tuple[int, str, int]]:
        entries = "SELECT sequence, measurement, time, points FROM outbox ORDER BY sequence LIMIT ?"
        for sequence, name, time_ns, size in self._connection.execute(entries, (points,)):
            yield sequence, name, time_ns
            points -= size
            if points <= 0:
                return


def to_lines(
    rows: Iterable[tuple[MeasurementSchema, Sequence[Cell]]],
) -> tuple[tuple[str, ...], tuple[DeadLetter, ...]]:
    """Lines of stored rows, and rows that have no form as a line; rows without a known value are in neither."""
    lines, dead = [], []
    for measurement, row in rows:
        try:
            if text := stored_line(measurement, row):
                lines.append(text)
        except LineError as error:
            dead.append(DeadLetter(f"{measurement.name} {row!r}", str(error)))
    return tuple(lines), tuple(dead)


def append_dead_letters(path: Path, time: datetime, letters: Collection[DeadLetter]) -> None:
    """Append dead letters to a file, one JSON line each.

    Raises:
        RecordError: the file cannot be written.
    """
    if not letters:
        return
    lines = (json.dumps({"time": time.isoformat(), **asdict(letter)}, ensure_ascii=False) for letter in letters)
    with recording(path), path.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)


def count(connection: sqlite3.Connection, points: Iterable[tuple[str, int]]) -> None:
    """Add to counters, within a transaction."""
    connection.executemany(_COUNT, [(key, number) for key, number in points if number])
