"""Wall clock of the 30 s cycles, which only the telemetry of a run knows: nothing repeatable depends on it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd

from core.errors import Fault, InputError

FILE = "telemetry.sqlite"
QUERY = "SELECT time, cycle_ms FROM service ORDER BY time"


def cycle_times(folder: Path) -> pd.Series | None:
    """``cycle_ms`` of every cycle, indexed by time (UTC); None for a run without telemetry.

    Raises:
        InputError: the file is none of ours.
    """
    path = folder / FILE
    if not path.exists():
        return None
    written = path.with_name(f"{FILE}-wal").exists()
    how = "mode=ro" if written else "immutable=1"  # of a finished run, without leaving files beside it
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)) as connection:
            rows = connection.execute(QUERY).fetchall()
    except sqlite3.Error as error:
        raise InputError(
            [Fault(str(path), "", "no readable telemetry", "a table service as gridlab writes it")]
        ) from error
    times_ns, cycle_ms = zip(*rows, strict=True) if rows else ((), ())
    return pd.Series(cycle_ms, pd.to_datetime(list(times_ns), utc=True), dtype=float)
