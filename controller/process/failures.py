"""What can go wrong with a record, in one type, so that the loop can go on without it or refuse to act."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import GridlabError

_ELSEWHERE = {
    sqlite3.SQLITE_AUTH, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL, sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_PROTOCOL,
}  # fmt: skip
"""Failures of the disk, the machine or by another process. Any other one means that the file is not what we wrote."""


class RecordError(GridlabError):
    """A record could not be kept or read."""


class DamagedError(RecordError):
    """The file is torn, foreign, or of another schema."""


@contextmanager
def recording(path: Path) -> Iterator[None]:
    """Errors of disk and database as :class:`RecordError`, or :class:`DamagedError` where the file itself is bad."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code: int | None = getattr(error, "sqlite_errorcode", None)
        if code is None:
            raise
        kind = RecordError if code & 0xFF in _ELSEWHERE else DamagedError
        raise kind(f"{path}: {error}") from error
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}") from error
