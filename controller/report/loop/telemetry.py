"""What only the telemetry of a run contains: wall clock of the 30 s cycles, setpoint and power of every converter."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from controller.record.reading import reading

CONVERTERS = "SELECT time, device, p_setpoint_kw, p_kw FROM device ORDER BY time"
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


@dataclass(frozen=True)
class ConverterSamples:
    """Active power that converters were sent and have drawn, kW, [cycles, converters]; NaN where there is none."""

    sent_kw: pd.DataFrame
    drawn_kw: pd.DataFrame


def converter_samples(database: Path, names: Sequence[str], times: pd.DatetimeIndex) -> ConverterSamples | None:
    """Samples of these converters at the ``times`` of cycles (UTC); None for a run without telemetry.

    Raises:
        InputError: the file is no telemetry of gridlab.
    """
    if not database.exists():
        return None
    with reading(database) as connection:
        rows = connection.execute(CONVERTERS).fetchall()
    table = pd.DataFrame(rows, columns=["time", "device", "p_setpoint_kw", "p_kw"])
    table["time"] = pd.to_datetime(table["time"], utc=True)
    sent_kw, drawn_kw = (
        table.pivot(index="time", columns="device", values=column).astype(float).reindex(times)[list(names)]
        for column in ("p_setpoint_kw", "p_kw")
    )
    return ConverterSamples(sent_kw, drawn_kw)
