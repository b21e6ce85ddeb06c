"""SQLite files of a run, with a write-ahead log so that others can read while we write; damaged files are replaced."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from controller.process.failures import DamagedError, recording

SCHEMA_VERSION = 1
BUSY_S = 1.0
"""How long (s) to wait for the lock of another process."""
_SMALLEST_BYTES = 512
"""SQLite treats a file shorter than its smallest page as empty and silently overwrites it."""
_META = "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID"


def open_database(path: Path, tables: Iterable[str]) -> sqlite3.Connection:
    """Open a database with its tables (CREATE statements) and a table ``meta`` that holds ``schema_version``.

    Any thread may use the connection, one at a time. A commit survives the death of the process; whether it also
    survives a power loss is decided by :func:`transaction`.

    Raises:
        DamagedError: the file is no database, or of another schema version.
        RecordError: it cannot be opened.
    """
    with recording(path):
        if path.exists() and 0 < path.stat().st_size < _SMALLEST_BYTES:
            raise DamagedError(f"{path}: {path.stat().st_size} bytes, no database")
        connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            connection.text_factory = _text
            connection.execute("PRAGMA journal_mode=WAL")
            with transaction(connection, durable=True):
                for statement in (_META, *tables):
                    connection.execute(statement)
                connection.execute("INSERT OR IGNORE INTO meta VALUES ('schema_version', ?)", (SCHEMA_VERSION,))
            (version,) = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
            if version != SCHEMA_VERSION:
                raise DamagedError(f"{path}: schema_version {version}, allowed {SCHEMA_VERSION}")
        except BaseException:
            connection.close()
            raise
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, *, durable: bool) -> Iterator[None]:
    """One commit, or none if the block fails; ``durable`` syncs to the disk, so that the commit survives a power
    loss.
    """
    connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def set_aside(path: Path) -> Path | None:
    """Rename a database and its log to the first free ``<name>.aside-<number>``; None if nothing is there."""
    aside = next(p for k in count(1) if not (p := path.with_name(f"{path.name}.aside-{k}")).exists())
    there = [name for name in _files(path) if name.exists()]
    with recording(path):
        for file in there:
            file.rename(aside.with_name(aside.name + file.name.removeprefix(path.name)))
    return aside if there else None


class OpenedFiles:
    """The files of an open database as they were when it was opened, to notice what others do to them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files, self._bytes = _identities(path), _size(path)

    def touched(self) -> str | None:
        """What somebody has done to the files; None if nothing."""
        now, size, before = _identities(self._path), _size(self._path), self._bytes
        self._bytes = size
        for path, opened, there in zip(_files(self._path), self._files, now, strict=True):
            if opened != there:
                return f"{path.name} was {'removed' if there is None else 'replaced'}"
        return f"{self._path.name} was shortened from {before} to {size} bytes" if size < before else None


def _files(path: Path) -> tuple[Path, ...]:
    return tuple(path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm"))


def _identities(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Device and number of each file; None if it is not there."""
    return tuple((status.st_dev, status.st_ino) if (status := _status(file)) else None for file in _files(path))


def _size(path: Path) -> int:
    status = _status(path)
    return status.st_size if status else 0


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _text(raw: bytes) -> str:
    """Text of a damaged record need not be UTF-8; its checksum reveals that."""
    return raw.decode(errors="replace")
