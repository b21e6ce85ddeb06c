"""Results of a run: its summary and its tables as data frames, just computed or read from its directory."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from controller.record.audit_lines import AuditNote, AuditWrite, read_audit
from controller.record.measurements import MEASUREMENTS, columns
from controller.record.reading import reading
from controller.runs.directory import Run
from core.errors import Fault, InputError

AUDIT, TELEMETRY = "audit", "telemetry."
Load = Callable[[], pd.DataFrame]


class Tables(Mapping[str, pd.DataFrame]):
    """Data frames by name; each is loaded when it is first used, and kept."""

    def __init__(self, loads: Mapping[str, Load]) -> None:
        self._loads = {name: cache(load) for name, load in loads.items()}

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._loads[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._loads)

    def __len__(self) -> int:
        return len(self._loads)

    def __contains__(self, name: object) -> bool:
        return name in self._loads

    def __repr__(self) -> str:
        return f"<Tables {', '.join(self)}>"


class Results:
    """A run.

    Attributes:
        summary: summary.json.
        tables: every table by the name of its file, ``audit``, and of telemetry ``telemetry.node`` and so on.
        path: the run directory, None where nothing was written.

    ``time`` has the zone of the configuration. A step has the time of its begin.
    """

    def __init__(self, summary: Mapping[str, Any], tables: Tables, path: Path | None = None) -> None:
        self.summary, self.tables, self.path = summary, tables, path

    def __repr__(self) -> str:
        run = f"{self.summary['command']} {self.summary['name']}"
        return f"<Results of {run}: {self.summary.get('status', '')}; tables {', '.join(self.tables)}>"

    @property
    def plan(self) -> pd.DataFrame:
        """Powers (kW, kvar), charge and prices of each prosumer and step."""
        return self._table("plan")

    @property
    def prices(self) -> pd.DataFrame:
        """Price signals: coefficients of H (CHF/kW²) and g (CHF/kW) of each prosumer and step."""
        return self._table("prices")

    @property
    def nodes(self) -> pd.DataFrame:
        """Voltage (p.u.) of each node: planned, or in a closed loop measured."""
        return self._table("nodes")

    @property
    def lines(self) -> pd.DataFrame:
        """Current (A) of each line."""
        return self._table("lines")

    @property
    def iterations(self) -> pd.DataFrame:
        """Rounds of the day-ahead coordination."""
        return self._table("iterations")

    @property
    def realtime(self) -> pd.DataFrame:
        """Targets, setpoints and measurements of each prosumer and cycle of a closed loop."""
        return self._table("realtime")

    @property
    def mpc(self) -> pd.DataFrame:
        """MPC runs of a closed loop."""
        return self._table("mpc")

    def _table(self, name: str) -> pd.DataFrame:
        if name not in self.tables:
            where = str(self.path or self.summary["name"])
            raise InputError([Fault(where, name, "no such table", f"one of {', '.join(self.tables)}")])
        return self.tables[name]


def open_run(path: str | Path) -> Results:
    """Read a recorded run of ``gridlab plan``, ``simulate`` or ``study``, also an old one.

    Raises:
        InputError: there is no summary of a known schema. A damaged table raises it when it is first used.
    """
    run = Run(Path(path))
    zone = zone_of(run.summary)
    loads: dict[str, Load] = {file.stem: _csv(run, file.name, zone) for file in sorted(run.path.glob("*.csv"))}
    if (trail := run.path / "audit.jsonl").exists():
        loads[AUDIT] = _audit(trail, zone)
    if (database := run.path / str(run.summary.get("scenario", {}).get("telemetry", "telemetry.sqlite"))).exists():
        loads |= {f"{TELEMETRY}{name}": _telemetry(database, name, zone) for name in MEASUREMENTS}
    return Results(run.summary, Tables(loads), run.path)


def zone_of(summary: Mapping[str, Any]) -> str:
    """The time zone of a run's configuration."""
    return str(summary.get("scenario", {}).get("timezone", "UTC"))


def in_zone(frame: pd.DataFrame, zone: str) -> pd.DataFrame:
    """The table with ``time`` in a zone, and without the version of its schema."""
    table = frame.drop(columns="schema_version", errors="ignore")
    if "time" in table:
        table["time"] = pd.to_datetime(table["time"], utc=True, format="ISO8601").dt.tz_convert(zone)
    return table


def _csv(run: Run, file: str, zone: str) -> Load:
    return lambda: in_zone(run.table(file), zone)


def _audit(trail: Path, zone: str) -> Load:
    names = list(dict.fromkeys(field.name for kind in (AuditNote, AuditWrite) for field in fields(kind)))
    return lambda: in_zone(pd.DataFrame([vars(record) for record in read_audit(trail)], columns=names), zone)


def _telemetry(database: Path, name: str, zone: str) -> Load:
    def load() -> pd.DataFrame:
        with reading(database) as connection:
            rows = connection.execute(f"SELECT * FROM {name} ORDER BY time")
            table = pd.DataFrame(rows.fetchall(), columns=[column for column, *_ in rows.description])
        numbers = [column for column, kind in columns(MEASUREMENTS[name]).items() if kind == "REAL"]
        table = table.astype(dict.fromkeys(numbers, float))
        return in_zone(table.assign(time=pd.to_datetime(table["time"], unit="ns", utc=True)), zone)

    return load
