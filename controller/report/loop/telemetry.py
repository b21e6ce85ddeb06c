"""Wall clock of the 30 s cycles, read from the telemetry of a run, as no repeatable table contains it."""

from pathlib import Path

import pandas as pd

from controller.record.reading import reading

QUERY = "SELECT time, cycle_ms FROM service ORDER BY time"


def cycle_times(database: Path) -> pd.Series | None:
    """``cycle_ms`` of every cycle, indexed by time (UTC); None for a run without telemetry.

    Raises:
        InputError: the file is no telemetry of gridlab.
    """
    if not database.exists():
        return None
    with reading(database) as connection:
        rows = connection.execute(QUERY).fetchall()
    times_ns, cycle_ms = zip(*rows, strict=True) if rows else ((), ())
    return pd.Series(cycle_ms, pd.to_datetime(list(times_ns), utc=True), dtype=float)
