"""The tables of a closed-loop run, read back in wide form: a row per sample, a column per prosumer or node."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from pandas.api.types import is_numeric_dtype

from core.errors import Fault, InputError

TEXT_COLUMNS = ("rung", "reasons")
POWERS = (
    "p_target_kw", "q_target_kvar", "p_setpoint_kw", "q_setpoint_kvar", "p_measured_kw", "q_measured_kvar", "load_kw",
    "pv_kw", "battery_kw", "soc", "tariff_chf_per_kwh", "price_chf_per_kwh",
)  # fmt: skip
PLAN = ("p_kw", "battery_kw", "battery_kvar", "pv_kw", "pv_available_kw", "soc")
MPC = ("time", "status", "iterations", "wall_ms", "gap_rel", "violation_pu", "adopted")


@dataclass(frozen=True)
class Recording:
    """The tables of a run. Times are UTC; unknown values are NaN.

    Attributes:
        realtime: column of realtime.csv → [samples, prosumers].
        v_pu: [samples, nodes], the slack included.
        plan: the day-ahead plan, column of plan.csv → [steps, prosumers].
        mpc: mpc.csv.
    """

    realtime: Mapping[str, pd.DataFrame]
    v_pu: pd.DataFrame
    plan: Mapping[str, pd.DataFrame]
    mpc: pd.DataFrame

    @property
    def times(self) -> pd.DatetimeIndex:
        """Times of the samples, ascending."""
        return pd.DatetimeIndex(self.realtime["soc"].index)

    @property
    def prosumers(self) -> list[str]:
        """Names in the order of the configuration."""
        return list(self.realtime["soc"].columns)

    @classmethod
    def read(cls, folder: Path, *more: str) -> "Recording":
        """Read the run in ``folder``.

        Args:
            more: columns of realtime.csv and plan.csv to read besides, which a run of an older version may lack.

        Raises:
            InputError: a table is missing or invalid.
        """
        realtime = wide_tables(folder, "realtime.csv", "prosumer", (*POWERS, *more, *TEXT_COLUMNS))
        times = realtime["soc"].index
        if times.empty:
            raise InputError([Fault(f"{folder}/realtime.csv", "", "no rows", "at least one cycle")])
        return cls(
            realtime={name: table.fillna("") if name in TEXT_COLUMNS else table for name, table in realtime.items()},
            v_pu=wide_tables(folder, "nodes.csv", "node", ("v_pu",))["v_pu"].reindex(times),
            plan=wide_tables(folder, "plan.csv", "prosumer", (*PLAN, *more)),
            mpc=columns(folder, "mpc.csv", MPC),
        )


def wide_tables(folder: Path, file: str, kind: str, quantities: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """Each quantity as [times, names], names in the order of the file.

    Raises:
        InputError: the file is missing, has other columns, or repeats a row.
    """
    table = columns(folder, file, ("time", kind, *quantities))
    if table.duplicated(["time", kind]).any():
        raise InputError([Fault(f"{folder}/{file}", "time", "repeated rows", f"each {kind} once at a time")])
    names = list(dict.fromkeys(table[kind]))
    return {quantity: table.pivot(index="time", columns=kind, values=quantity)[names] for quantity in quantities}


def columns(folder: Path, file: str, names: tuple[str, ...]) -> pd.DataFrame:
    """Some columns of a table, ``time`` as UTC.

    Raises:
        InputError: the file is missing, has other columns, or has text where numbers belong.
    """
    types = {"prosumer": str, "node": str, "line": str, "status": str, **dict.fromkeys(TEXT_COLUMNS, str)}
    try:
        table = pd.read_csv(folder / file, dtype=types, keep_default_na=False, na_values=[""], usecols=list(names))
        table["time"] = pd.to_datetime(table["time"], utc=True, format="ISO8601")
    except (OSError, ValueError) as error:
        allowed = f"a table with columns {', '.join(names)}"
        raise InputError([Fault(f"{folder}/{file}", "", "no readable table", allowed)]) from error
    numbers = [name for name in names if name not in types and name != "time"]
    if texts := [name for name in numbers if len(table) and not is_numeric_dtype(table[name])]:
        raise InputError([Fault(f"{folder}/{file}", name, "text", "numbers") for name in texts])
    return table[list(names)]
