"""The lines of an audit trail and how to read them back; :mod:`controller.record.audit` writes them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.record.failures import DamagedError, recording

SCHEMA_VERSION = 1
ATTEMPTED = "attempted"


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
    """Something else that must be traceable: a change of mode, a refused command."""

    seq: int
    time: datetime
    event: str
    detail: str
    schema_version: int = SCHEMA_VERSION


def read_audit(path: Path) -> Iterator[AuditWrite | AuditNote]:
    """All records in the order of the file, without torn lines; none if there is no file.

    Raises:
        RecordError: the disk does not let us, or a whole line is not one that this version writes.
    """
    if not path.exists():
        return
    with recording(path), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if values := whole(line):
                kind = AuditNote if "event" in values else AuditWrite
                try:
                    record = kind(**{**values, "time": datetime.fromisoformat(values["time"])})
                except (KeyError, TypeError, ValueError) as error:
                    raise DamagedError(f"{path}: line {number}: {error}") from error
                yield record


def unfinished(path: Path) -> tuple[AuditWrite, ...]:
    """Attempts of which nobody said what became of them: the process died between the two lines."""
    begun: dict[int, AuditWrite] = {}
    for record in read_audit(path):
        if isinstance(record, AuditWrite):
            if record.outcome == ATTEMPTED:
                begun[record.seq] = record
            else:
                begun.pop(record.seq, None)
    return tuple(begun.values())


def line_of(record: AuditWrite | AuditNote) -> bytes:
    """One line of JSON.

    Raises:
        ValueError: the time has no zone.
    """
    if record.time.tzinfo is None:
        raise ValueError(f"audit: asked {record.time}, allowed a time with its zone")
    return json.dumps({**vars(record), "time": record.time.isoformat()}, ensure_ascii=False).encode() + b"\n"


def whole(line: bytes) -> dict[str, Any] | None:
    """The values of a line; None if it is torn, for no beginning or end of an object is an object."""
    try:
        values = json.loads(line.decode())
    except ValueError:
        return None
    return values if isinstance(values, dict) else None
