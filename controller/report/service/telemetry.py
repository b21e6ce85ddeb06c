"""The telemetry and the audit trail of a span, as the wide tables of a closed-loop run."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

from controller.record.audit_lines import ATTEMPTED, AuditNote, AuditWrite, read_audit
from controller.record.measurements import TEXT
from controller.record.reading import reading
from controller.record.telemetry import nanoseconds
from controller.runs.recording import POWERS, Recording
from core.errors import Fault, InputError
from mpc.coordination.outcome import CoordinationStatus

Wide = dict[str, pd.DataFrame]
PRICES = ("tariff_chf_per_kwh", "price_chf_per_kwh")
SERVICE_COLUMNS = ("mode", "cycle_ms", "missed", "slack_p_kw", "slack_q_kvar")
MONEY_COLUMNS = ("cost_chf", "compensation_chf")
MPC_COLUMNS = ("status", "iterations", "wall_ms", "gap_rel", "violation_pu")
ALARM_COLUMNS = ("standing", "severity", "text")


@dataclass(frozen=True)
class ServiceTables:
    """What a service recorded from ``begin`` to ``end``; times are UTC.

    Attributes:
        money: ``cost_chf`` since local midnight and ``compensation_chf`` promised, each [samples, prosumers].
        service: :data:`SERVICE_COLUMNS`, [samples].
        alarms: ``time``, ``alarm``, and :data:`ALARM_COLUMNS`.
    """

    recording: Recording
    i_a: pd.DataFrame
    money: Mapping[str, pd.DataFrame]
    service: pd.DataFrame
    alarms: pd.DataFrame


@dataclass(frozen=True)
class AuditedSpan:
    """The audit trail of a span: the two lines of every attempt, and notes."""

    writes: tuple[AuditWrite, ...]
    notes: tuple[AuditNote, ...]


def extent(database: Path) -> tuple[datetime, datetime]:
    """Times of the first and of the last cycle.

    Raises:
        InputError: there is no readable telemetry, or nothing in it.
    """
    with reading(database) as connection:
        first, last = connection.execute("SELECT min(time), max(time) FROM service").fetchone()
    if first is None:
        raise InputError([Fault(str(database), "", "no cycle", "the telemetry of a service that has run")])
    begin, end = (pd.Timestamp(ns, unit="ns", tz=UTC).to_pydatetime() for ns in (first, last))
    return begin, end


def audited(trail: Path, begin: datetime, end: datetime) -> AuditedSpan:
    """The records of the audit trail between two instants.

    Raises:
        RecordError: it cannot be read.
    """
    records = [record for record in read_audit(trail) if begin <= record.time <= end]
    return AuditedSpan(
        tuple(record for record in records if isinstance(record, AuditWrite)),
        tuple(record for record in records if isinstance(record, AuditNote)),
    )


def service_tables(
    database: Path,
    span: tuple[datetime, datetime],
    audit: AuditedSpan,
    converters: Mapping[str, tuple[str, ...]],
    zone: ZoneInfo,
) -> ServiceTables:
    """Read a span.

    Args:
        zone: by which plans are named.
        converters: prosumer → its converters, none for a passive house, in the order of the configuration.

    Raises:
        InputError: there is no readable telemetry, or no cycle in the span.
    """
    with reading(database) as connection:
        rows = _SpanRows(connection, *span)
        service = rows.of("service", None, SERVICE_COLUMNS).drop_duplicates("time").set_index("time")
        if service.empty:
            raise InputError([Fault(str(database), "", "no cycle in the span", "a span in which a service ran")])
        times = pd.DatetimeIndex(service.index)
        prosumer = rows.of("prosumer", "prosumer", ("rung", *(name for name in POWERS if name not in PRICES)))
        price = rows.of("price", "prosumer", (*PRICES, *MONEY_COLUMNS))
        nodes, lines = rows.of("node", "node", ("v_pu",)), rows.of("line", "line", ("i_a",))
        mpc, alarms = rows.of("mpc", None, MPC_COLUMNS), rows.of("alarm", "alarm", ALARM_COLUMNS)
    names, owner_of = list(converters), {device: name for name, devices in converters.items() for device in devices}
    realtime = _wide(prosumer, "prosumer", times, names) | _wide(price, "prosumer", times, names)
    realtime["rung"] = realtime["rung"].fillna("")
    realtime["reasons"] = _reasons(audit.writes, owner_of, realtime["rung"])
    runs = _adopted(mpc, {write.plan_id for write in audit.writes}, zone)
    recording = Recording(realtime, _wide(nodes, "node", times)["v_pu"], {}, runs)
    money = {name: realtime.pop(name) for name in MONEY_COLUMNS}
    return ServiceTables(recording, _wide(lines, "line", times)["i_a"], money, service, alarms)


class _SpanRows:
    """Rows of a measurement between two instants, in the order in which names first appear."""

    def __init__(self, connection: sqlite3.Connection, begin: datetime, end: datetime) -> None:
        self._connection, self._span = connection, (nanoseconds(begin), nanoseconds(end))

    def of(self, measurement: str, tag: str | None, columns: Iterable[str]) -> pd.DataFrame:
        """``time`` (UTC), the tag and the columns."""
        names = ["time", *([] if tag is None else [tag]), *columns]
        query = f"SELECT {', '.join(names)} FROM {measurement} WHERE time BETWEEN ? AND ? ORDER BY time"
        table = pd.DataFrame(self._connection.execute(query, self._span).fetchall(), columns=names)
        return table.assign(time=pd.to_datetime(table["time"], utc=True))


def _wide(table: pd.DataFrame, kind: str, times: pd.DatetimeIndex, names: list[str] | None = None) -> Wide:
    """Each column as [samples, names]; all names in order unless given."""
    chosen = sorted(table[kind].unique(), key=str) if names is None else names
    wide = {}
    for column in table.columns.drop(["time", kind]):
        values = table.pivot(index="time", columns=kind, values=column).reindex(index=times, columns=chosen)
        wide[column] = values if column in TEXT else values.astype(float)
    return wide


def _reasons(writes: Iterable[AuditWrite], owner_of: Mapping[str, str], rung: pd.DataFrame) -> pd.DataFrame:
    """The reasons of every setpoint, at the sample whose cycle has written it, [samples, prosumers]; text."""
    times = pd.DatetimeIndex(rung.index)
    reasons = {str(name): [""] * len(times) for name in rung}
    for write in writes:
        sample = int(times.searchsorted(pd.Timestamp(write.time), side="right")) - 1
        owner = owner_of.get(write.device)
        if write.outcome == ATTEMPTED and sample >= 0 and owner is not None:
            reasons[owner][sample] += f" {write.reason}"
    return pd.DataFrame(reasons, times)


def _adopted(mpc: pd.DataFrame, plan_ids: set[str], zone: ZoneInfo) -> pd.DataFrame:
    """Marks the runs whose plan came into force: they converged, or something was written by their plan."""
    names = [f"mpc {time.tz_convert(zone).isoformat(timespec='seconds')}" for time in mpc["time"]]
    written = pd.Series([name in plan_ids for name in names], mpc.index, dtype=bool)
    return mpc.assign(adopted=(mpc["status"] == CoordinationStatus.CONVERGED) | written)
