"""Failures to write or read a record, as one type of error: the loop continues without the record or refuses to act."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import GridlabError

_NOT_THE_FILE = {
    sqlite3.SQLITE_AUTH, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL,
}  # fmt: skip
"""Failures of the disk, of the machine or by another process; any other one means that the file's content is
invalid.
"""


class RecordError(GridlabError):
    """A record could not be written or read."""


class DamagedError(RecordError):
    """The file is incomplete, not ours, or of another schema version."""


@contextmanager
def recording(path: Path) -> Iterator[None]:
    """Turn errors of disk and database into :class:`RecordError`, or :class:`DamagedError` if the file's content is
    invalid.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code: int | None = getattr(error, "sqlite_errorcode", None)
        if code is None:
            raise
        kind = RecordError if code & 0xFF in _NOT_THE_FILE else DamagedError
        raise kind(f"{path}: {error}") from error
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}") from error
