"""The records of one run, read back: frames at the devices, audit trails, telemetry and tables. All times are UTC.

A killed process may leave an incomplete last line, which is skipped. Everything else that cannot be read is an error,
so that a missing history is not mistaken for an uneventful one.
"""

import csv
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from controller.guardian.trail import DIRECT_TRAIL, STOP_TRAIL
from controller.process.failures import RecordError
from controller.record.audit_check import check_run
from controller.record.audit_lines import AuditNote, AuditWrite, read_audit
from core.errors import Fault, InputError

FRAMES, STATES, AUDIT, GUARDIAN, TELEMETRY, DECISIONS, PLANS = (
    "frames.jsonl", "states.jsonl", "audit.jsonl", "guardian.jsonl", "telemetry.sqlite", "realtime.csv", "mpc.csv",
)  # fmt: skip
COMMANDS = "commands.jsonl"
"""What the clock master of a run under faults has commanded."""
STOP_ORDER = "stop"
"""In that file: an emergency stop, or an order to end."""
TWIN = "twin"
"""Folder of a second service on the same plant."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POINTS: Mapping[str, tuple[str, ...]] = {
    "prosumer": ("prosumer",),
    "node": ("node", "v_pu"),
    "mpc": (),
    "device": ("device", "latency_ms", "quality", "age_s", "state"),
    "service": ("mode", "cycle_ms", "dropped", "dead_letters"),
    "alarm": ("alarm", "standing", "text"),
}


@dataclass(frozen=True)
class ReceivedFrame:
    """A setpoint as a converter received it; ``enable`` False is a release, ``violations`` are found by the referee."""

    time: datetime
    device: str
    s_kva: complex
    lease_s: float
    epoch: int
    enable: bool
    refusal: str | None
    violations: tuple[str, ...]

    @property
    def accepted(self) -> bool:
        """Whether the device followed it."""
        return self.refusal is None


@dataclass(frozen=True)
class StateChange:
    """A converter's change to ``state`` (off, safe, remote, local, fault), as the plant recorded it."""

    time: datetime
    device: str
    state: str


@dataclass(frozen=True)
class DevicePoint:
    """A device in telemetry; ``age_s`` is the age of its last good reading."""

    time: datetime
    device: str
    latency_ms: float | None
    quality: str
    age_s: float | None
    state: str | None


@dataclass(frozen=True)
class NodePoint:
    """A measured voltage; None is unknown."""

    time: datetime
    node: str
    v_pu: float | None


@dataclass(frozen=True)
class ServicePoint:
    """The service at the end of a cycle; ``dropped`` counts points since its start, dead letters included."""

    time: datetime
    mode: str
    cycle_ms: float
    dropped: float


@dataclass(frozen=True)
class AlarmPoint:
    """An alarm that is standing, or has just ended."""

    time: datetime
    alarm: str
    standing: bool
    text: str


@dataclass(frozen=True)
class ProsumerCycle:
    """A prosumer in one cycle, from realtime.csv; None is unknown."""

    time: datetime
    prosumer: str
    p_target_kw: float | None
    q_target_kvar: float | None
    p_measured_kw: float | None
    battery_kw: float | None
    soc: float | None
    rung: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class GivenCommand:
    """A mode, or :data:`STOP_ORDER`, that the clock master has commanded; ``error`` is why it was refused."""

    time: datetime
    order: str
    error: str | None

    @property
    def obeyed(self) -> bool:
        """Whether it was not refused; one that a death has cut off was given."""
        return self.error is None


@dataclass(frozen=True)
class PlanRun:
    """An MPC run, from mpc.csv."""

    time: datetime
    status: str
    gap_rel: float | None
    violation_pu: float | None
    adopted: bool


Trail = tuple[AuditWrite | AuditNote, ...]
Key = tuple[datetime, str]


@dataclass(frozen=True)
class Histories:
    """Everything that a run recorded, each in order of time, audit trails in order of their files.

    ``twin`` is the audit trail of a second service on the same plant. ``stored_prosumers`` and ``stored_plans`` are the
    keys of those points in telemetry. If ``states`` is empty, the safe state is inferred from leases. ``trail_faults``:
    what the hash chains of the audit trails show to be wrong. ``stops`` are the trails of emergency stops: by the
    service's stop thread, and by ``gridlab stop`` itself. ``commands`` are those of the clock master.
    """

    frames: tuple[ReceivedFrame, ...] = ()
    states: tuple[StateChange, ...] = ()
    audit: Trail = ()
    guardian: Trail = ()
    twin: Trail = ()
    stops: tuple[Trail, ...] = ()
    commands: tuple[GivenCommand, ...] = ()
    devices: tuple[DevicePoint, ...] = ()
    nodes: tuple[NodePoint, ...] = ()
    service: tuple[ServicePoint, ...] = ()
    alarms: tuple[AlarmPoint, ...] = ()
    stored_prosumers: frozenset[Key] = frozenset()
    stored_plans: frozenset[datetime] = frozenset()
    decisions: tuple[ProsumerCycle, ...] = ()
    plans: tuple[PlanRun, ...] = ()
    trail_faults: tuple[str, ...] = ()


def read_histories(folder: Path) -> Histories:
    """Read the run in ``folder``, finished or not.

    Raises:
        InputError: a history is missing, or is not of this version; only those of guardian, stops and commands may be
            missing.
    """
    missing = [n for n in (FRAMES, STATES, AUDIT, TELEMETRY, DECISIONS, PLANS) if not (folder / n).is_file()]
    if missing:
        raise InputError([Fault(str(folder), name, "no such file", "the histories of a run") for name in missing])
    try:
        histories = _read(folder)
    except (OSError, RecordError, sqlite3.Error, KeyError, TypeError, ValueError) as error:
        raise InputError([Fault(str(folder), "", f"no readable histories ({error!r})", "those of a run")]) from error
    if not histories.decisions:
        raise InputError([Fault(str(folder), DECISIONS, "no cycle", "at least one")])
    return histories


def _read(folder: Path) -> Histories:
    points = _telemetry(folder / TELEMETRY)
    return Histories(
        frames=tuple(map(_frame, _lines(folder / FRAMES))),
        states=tuple(StateChange(_time(x["time"]), x["device"], x["state"]) for x in _lines(folder / STATES)),
        audit=tuple(read_audit(folder / AUDIT)),
        guardian=tuple(read_audit(folder / GUARDIAN)),
        twin=tuple(read_audit(folder / TWIN / AUDIT)),
        stops=tuple(tuple(read_audit(folder / name)) for name in (STOP_TRAIL, DIRECT_TRAIL)),
        commands=tuple(GivenCommand(_time(x["time"]), x["order"], x["error"]) for x in _commands(folder / COMMANDS)),
        devices=tuple(DevicePoint(**p) for p in points["device"]),
        nodes=tuple(NodePoint(**p) for p in points["node"]),
        service=tuple(_service(p) for p in points["service"]),
        alarms=tuple(AlarmPoint(p["time"], p["alarm"], bool(p["standing"]), p["text"]) for p in points["alarm"]),
        stored_prosumers=frozenset((p["time"], p["prosumer"]) for p in points["prosumer"]),
        stored_plans=frozenset(p["time"] for p in points["mpc"]),
        decisions=tuple(_decision(row) for row in _rows(folder / DECISIONS)),
        plans=tuple(_plan(row) for row in _rows(folder / PLANS)),
        trail_faults=tuple(f"{check.name}: {check.text}" for check in check_run(folder, folder) if not check.whole),
    )


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    for line in _complete_lines(path):
        yield json.loads(line)


def _commands(path: Path) -> Iterator[Mapping[str, Any]]:
    return _lines(path) if path.exists() else iter(())


def _rows(path: Path) -> Iterator[Mapping[str, str]]:
    yield from csv.DictReader(_complete_lines(path))


def _complete_lines(path: Path) -> Sequence[str]:
    """The lines of a file without an incomplete one at its end."""
    return [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("\n")]


def _telemetry(path: Path) -> Mapping[str, Sequence[dict[str, Any]]]:
    """Points by measurement; columns that an older version did not write are None."""
    live = path.with_name(f"{path.name}-wal").exists()
    with closing(
        sqlite3.connect(f"{path.resolve().as_uri()}?{'mode=ro' if live else 'immutable=1'}", uri=True)
    ) as file:
        return {name: _points(file, name, columns) for name, columns in _POINTS.items()}


def _points(file: sqlite3.Connection, table: str, columns: Sequence[str]) -> list[dict[str, Any]]:
    there = {row[1] for row in file.execute(f"PRAGMA table_info({table})")}
    if not there:
        return []
    wanted = ", ".join(("time", *(column if column in there else "NULL" for column in columns)))
    rows = file.execute(f"SELECT {wanted} FROM {table} ORDER BY time")
    return [
        {"time": _EPOCH + timedelta(microseconds=t // 1000), **dict(zip(columns, row, strict=True))} for t, *row in rows
    ]


def _frame(line: Mapping[str, Any]) -> ReceivedFrame:
    return ReceivedFrame(
        time=_time(line["time"]),
        device=line["device"],
        s_kva=complex(float(line["p_kw"]), float(line["q_kvar"])),
        lease_s=float(line["lease_s"]),
        epoch=int(line["epoch"]),
        enable=line["enable"],
        refusal=line["refusal"],
        violations=tuple(line["violations"]),
    )


def _service(point: Mapping[str, Any]) -> ServicePoint:
    dropped = (point["dropped"] or 0.0) + (point["dead_letters"] or 0.0)
    return ServicePoint(point["time"], point["mode"], point["cycle_ms"], dropped)


def _decision(row: Mapping[str, str]) -> ProsumerCycle:
    return ProsumerCycle(
        time=_time(row["time"]),
        prosumer=row["prosumer"],
        p_target_kw=_number(row["p_target_kw"]),
        q_target_kvar=_number(row["q_target_kvar"]),
        p_measured_kw=_number(row["p_measured_kw"]),
        battery_kw=_number(row["battery_kw"]),
        soc=_number(row["soc"]),
        rung=row["rung"],
        reasons=tuple(row["reasons"].split()),
    )


def _plan(row: Mapping[str, str]) -> PlanRun:
    gap, violation = _number(row["gap_rel"]), _number(row["violation_pu"])
    return PlanRun(_time(row["time"]), row["status"], gap, violation, row["adopted"] == "True")


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
