"""The lines of an audit trail and how to read them; :mod:`controller.record.audit` writes them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from controller.process.failures import DamagedError, recording
from controller.record.audit_parts import trail_parts
from core.codec import CodecError, decode
from core.devices import Outcome

SCHEMA_VERSION = 1
ATTEMPTED = "attempted"
TRAIL_NOTE = "trail"
"""Event of a note about the trail itself: what somebody did to its file, and which part it continues."""
CHAIN_KEYS = ("line", "hash")
"""Keys of a line that are no part of its record, see :mod:`controller.record.audit_chain`."""
_OUTCOMES = {ATTEMPTED, *Outcome}


@dataclass(frozen=True)
class AuditWrite:
    """One of the two lines of an attempt; ``outcome`` is :data:`ATTEMPTED` or one of :class:`core.devices.Outcome`."""

    seq: int
    time: datetime
    device: str
    p_kw: float | None
    q_kvar: float | None
    reason: str
    plan_id: str
    outcome: str
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class AuditNote:
    """Another traceable event: a change of mode, a refused command."""

    seq: int
    time: datetime
    event: str
    detail: str
    schema_version: int = SCHEMA_VERSION


def read_audit(path: Path) -> Iterator[AuditWrite | AuditNote]:
    """All records of all parts in file order, without incomplete lines; none if there is no file.

    Raises:
        RecordError: the file cannot be read, or a complete line is not one that this version writes.
    """
    for part in trail_parts(path):
        with recording(part), part.open("rb") as file:
            for number, line in enumerate(file, 1):
                if values := complete_line(line):
                    try:
                        yield _record(values)
                    except CodecError as error:
                        raise DamagedError(f"{part}: line {number}: {error}") from error


def unfinished(path: Path) -> tuple[AuditWrite, ...]:
    """Attempts without an outcome: the process died between the two lines."""
    begun: dict[int, AuditWrite] = {}
    for record in read_audit(path):
        if isinstance(record, AuditWrite):
            if record.outcome == ATTEMPTED:
                begun[record.seq] = record
            else:
                begun.pop(record.seq, None)
    return tuple(begun.values())


def json_object(record: AuditWrite | AuditNote, line: int) -> bytes:
    """A record as JSON, with the number of its line in the chain.

    Raises:
        ValueError: the time has no zone.
    """
    if record.time.tzinfo is None:
        raise ValueError(f"audit: asked {record.time}, allowed a time with its zone")
    values = {**vars(record), "time": record.time.isoformat(), "line": line}
    return json.dumps(values, ensure_ascii=False).encode()


def _record(values: dict[str, Any]) -> AuditWrite | AuditNote:
    """The record of a complete line.

    Raises:
        CodecError: it is not one that this version writes.
    """
    values = {key: value for key, value in values.items() if key not in CHAIN_KEYS}
    record = decode(AuditNote, values) if "event" in values else decode(AuditWrite, values)
    if record.schema_version != SCHEMA_VERSION:
        raise CodecError(f"schema_version: got {record.schema_version}, allowed {SCHEMA_VERSION}")
    if isinstance(record, AuditWrite):
        if record.outcome not in _OUTCOMES:
            raise CodecError(f"outcome: got {record.outcome}, allowed {', '.join(sorted(_OUTCOMES))}")
        if not all(isfinite(power) for power in (record.p_kw, record.q_kvar) if power is not None):
            raise CodecError(f"powers: got {record.p_kw} kW, {record.q_kvar} kvar, allowed finite numbers or none")
    return record


def complete_line(line: bytes) -> dict[str, Any] | None:
    """The values of a line; None if it is incomplete, as no part of a JSON object is itself an object."""
    try:
        values = json.loads(line.decode())
    except (ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
