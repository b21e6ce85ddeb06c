"""State that a restart needs: a few records by name, the last two generations of each, in SQLite.

Each record has a checksum, so that a bad sector or an incomplete page costs one generation, not the plan. A commit
survives the death of the process at any moment; a durable one also survives a power loss, at the cost of one fsync.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self, TypeVar

from controller.process.failures import DamagedError, RecordError, recording
from controller.record.database import SCHEMA_VERSION, OpenedFiles, open_database, set_aside, transaction
from controller.record.reading import reading
from core.codec import CodecError, decode, encode

T = TypeVar("T")
GENERATIONS = 2
_TABLE = """CREATE TABLE IF NOT EXISTS record (
    key TEXT, slot INTEGER, generation INTEGER, value BLOB, sha256 BLOB, PRIMARY KEY (key, slot)
) WITHOUT ROWID"""
_SELECT = "SELECT key, generation, value, sha256 FROM record"
_INSERT = "INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?, ?)"
_DELETE = "DELETE FROM record WHERE key = ?"


@dataclass(frozen=True)
class _Row:
    """One generation of a record; ``value`` is JSON. It replaces the oldest generation."""

    key: str
    generation: int
    value: bytes

    @property
    def checksum(self) -> bytes:
        head = f"{SCHEMA_VERSION}\n{self.key}\n{self.generation}\n"
        return sha256(head.encode() + self.value).digest()

    @property
    def stored(self) -> tuple[object, ...]:
        return self.key, self.generation % GENERATIONS, self.generation, self.value, self.checksum


class Journal:
    """Open while the service runs; any thread may use it.

    A damaged file is renamed, its readable records are copied into a new one, and ``damaged`` reports it. One that
    somebody removes or replaces while it is open is written again from memory, see :meth:`check`.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._connection: sqlite3.Connection | None = None
        self._newest: dict[str, _Row] = {}
        self._opened_files: OpenedFiles | None = None
        self._damaged: dict[str, None] = {}

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            RecordError: the disk or another process prevents it.
        """
        with ExitStack() as undo:
            undo.callback(self._close)
            try:
                self._connect()
            except DamagedError as error:
                self._recreate(error)
            undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._close()

    @property
    def damaged(self) -> tuple[str, ...]:
        """One line for each damage found so far."""
        return tuple(self._damaged)

    def put(self, values: Mapping[str, object], *, durable: bool = True, forget: Iterable[str] = ()) -> None:
        """Store the values (any type of :func:`core.codec.encode`) in one commit: all or none.

        Args:
            forget: keys whose records are deleted in the same commit.

        Raises:
            RecordError: the disk or another process prevents it; the last records stay valid.
            CodecError: a value has no JSON form.
        """
        texts = {key: json.dumps(encode(value), allow_nan=False).encode() for key, value in values.items()}
        with self._lock:
            rows = [_Row(key, self._generation(key) + 1, text) for key, text in texts.items()]
            keys = tuple(forget)
            try:
                self._commit(rows, durable=durable, forget=keys)
            except DamagedError as error:
                self._recreate(error)
                self._commit(rows, durable=durable, forget=keys)

    def check(self) -> str | None:
        """Look whether somebody has removed or replaced the file, and write it again; says so, None if nobody has.

        Raises:
            RecordError: the disk or another process prevents it.
        """
        with self._lock:
            touched = self._opened_files.touched() if self._opened_files else None
            if touched:
                self._recreate(DamagedError(f"{self._path}: {touched}"))
                return f"{touched}; {len(self._newest)} records written again"
        return None

    def get(self, key: str) -> object | None:
        """The JSON value of the newest record with a correct checksum; None if there is none."""
        return next((json.loads(row.value) for row in self._newest_first(key)), None)

    def load(self, key: str, kind: type[T], of_today: Callable[[object], object] = lambda kept: kept) -> T | None:
        """The newest record with a correct checksum that decodes as ``kind``; None if there is none.

        ``of_today`` turns the JSON of an older version into that of today.
        """
        for row in self._newest_first(key):
            try:
                return decode(kind, of_today(json.loads(row.value)))
            except CodecError as error:
                self._report(f"{self._path}: {key}, generation {row.generation}: {error}")
        return None

    def _newest_first(self, key: str) -> list[_Row]:
        with self._lock:
            try:
                rows = self._rows()
            except DamagedError as error:
                self._recreate(error)
                rows = self._rows()
        return sorted((row for row in rows if row.key == key), key=lambda row: -row.generation)

    def _rows(self) -> list[_Row]:
        """All records with a correct checksum."""
        with recording(self._path):
            stored = self._opened().execute(_SELECT).fetchall()
        rows = [row for row in map(_row, stored) if row]
        if len(rows) < len(stored):
            self._report(f"{self._path}: {len(stored) - len(rows)} of {len(stored)} records fail their checksum")
        return rows

    def _commit(self, rows: Iterable[_Row], *, durable: bool, forget: Iterable[str] = ()) -> None:
        rows = tuple(rows)
        forget = tuple(forget)
        with recording(self._path), transaction(self._opened(), durable=durable):
            self._opened().executemany(_DELETE, [(key,) for key in forget])
            self._opened().executemany(_INSERT, [row.stored for row in rows])
        for key in forget:
            self._newest.pop(key, None)
        self._remember(rows)

    def _remember(self, rows: Iterable[_Row]) -> None:
        self._newest.update({row.key: row for row in rows if row.generation >= self._generation(row.key)})

    def _generation(self, key: str) -> int:
        return self._newest[key].generation if key in self._newest else 0

    def _connect(self) -> None:
        self._connection = open_database(self._path, [_TABLE])
        with recording(self._path):
            ((verdict, *_), *_) = self._connection.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise DamagedError(f"{self._path}: {verdict}")
        self._remember(self._rows())
        self._opened_files = OpenedFiles(self._path)

    def _recreate(self, error: DamagedError) -> None:
        """Begin a new file, with the records in memory; with those of the damaged file if it was just opened."""
        aside = set_aside(self._path)
        self._close()
        saved = list(self._newest.values()) or (_readable(aside) if aside else [])
        with recording(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._connect()
        self._commit(saved, durable=True)
        where = f"set aside as {aside.name}, " if aside else ""
        self._report(f"{error}; {where}{len(saved)} records saved")

    def _close(self) -> None:
        if self._connection:
            self._connection.close()
            self._connection = None

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise RecordError(f"{self._path}: the journal is not open")
        return self._connection

    def _report(self, line: str) -> None:
        self._damaged[" ".join(line.split())] = None


def read_records(path: Path) -> Mapping[str, object]:
    """The newest valid JSON value of every record, read-only; a service may be writing.

    Raises:
        InputError: it is no readable journal.
    """
    with reading(path) as connection:
        rows = [row for stored in connection.execute(_SELECT) if (row := _row(stored))]
    return {row.key: json.loads(row.value) for row in sorted(rows, key=lambda row: row.generation)}


def _row(stored: tuple[object, ...]) -> _Row | None:
    """The record, if its checksum is correct."""
    match stored:
        case (str(key), int(generation), bytes(value), bytes(checksum)):
            row = _Row(key, generation, value)
            return row if row.checksum == checksum else None
    return None


def _readable(path: Path) -> list[_Row]:
    """The readable records of a damaged file, up to the first bad page."""
    rows: list[_Row] = []
    with suppress(sqlite3.DatabaseError), closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lambda raw: raw.decode(errors="replace")
        rows.extend(row for stored in connection.execute(_SELECT) if (row := _row(stored)))
    return rows
