"""Read access to the telemetry of a run, and to the journal of a service."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from core.errors import Fault, InputError

JOURNAL = "journal.sqlite"


@contextmanager
def reading(database: Path) -> Iterator[sqlite3.Connection]:
    """A database, live or of a finished run, opened read-only; no extra file is left in its folder.

    Raises:
        InputError: there is no readable database, or a query of the block fails.
    """
    live = database.with_name(f"{database.name}-wal").exists()
    address = f"{database.resolve().as_uri()}?{'mode=ro' if live else 'immutable=1'}"
    try:
        with closing(sqlite3.connect(address, uri=True)) as connection:
            yield connection
    except sqlite3.Error as error:
        what = "journal" if database.name == JOURNAL else "telemetry"
        raise InputError(
            [Fault(str(database), "", f"no readable {what} ({error})", f"{what} as gridlab writes it")]
        ) from error
