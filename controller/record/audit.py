"""The audit trail: every write attempt before and after, and what operators requested; JSON lines, append-only.

An attempt has two lines with the same ``seq``: one with outcome "attempted", on the disk before the device is written
to, and one with the outcome after the read-back. An attempt without the second line may have been executed. A line that
a power loss or a full disk cut off stays in the file: the next record starts on a new line, and readers skip the
incomplete one.

One process writes the file; its threads may share the trail.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from io import FileIO
from math import isfinite
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self

from controller.process.failures import RecordError, recording
from controller.record.audit_lines import ATTEMPTED, AuditNote, AuditWrite, complete_line, json_line
from core.devices import Outcome

_TAIL_BYTES = 1 << 20
"""The highest number in use is within this distance of the end, in the line that began a recent attempt."""


@dataclass(frozen=True)
class Attempt:
    """A setpoint that is about to be written; without powers it releases the device to its own safe state."""

    device: str
    p_kw: float | None
    q_kvar: float | None
    reason: str
    plan_id: str


class AuditTrail:
    """Open while something may be written. Every method returns only when its lines are on the disk.

    Raises:
        RecordError: the file cannot be written (also on entry); then nothing may be written to a device.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._file: FileIO | None = None
        self._next_seq, self._incomplete = 1, False
        self._begun: dict[int, Attempt] = {}

    def __enter__(self) -> Self:
        with recording(self._path):
            self._next_seq, self._incomplete = _end(self._path)
            self._file = self._path.open("ab", buffering=0)
            _sync_folder(self._path.parent)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def begin(self, at: datetime, attempts: Sequence[Attempt]) -> tuple[int, ...]:
        """Record the attempts before they are written; returns their numbers in order. No number is used twice, even if
        this fails.
        """
        for attempt in attempts:
            _check(attempt)
        with self._lock:
            seqs = self._next(len(attempts))
            begun = dict(zip(seqs, attempts, strict=True))
            self._append([AuditWrite(seq, at, **vars(attempt), outcome=ATTEMPTED) for seq, attempt in begun.items()])
            self._begun.update(begun)
        return seqs

    def complete(self, at: datetime, outcomes: Mapping[int, Outcome]) -> None:
        """Record the outcomes of begun attempts by number, each once; may be repeated if it fails."""
        with self._lock:
            if unknown := outcomes.keys() - self._begun.keys():
                raise ValueError(f"audit: asked to complete {sorted(unknown)}, allowed {sorted(self._begun)}")
            self._append(
                [AuditWrite(seq, at, **vars(self._begun[seq]), outcome=outcome) for seq, outcome in outcomes.items()]
            )
            for seq in outcomes:
                del self._begun[seq]

    def note(self, at: datetime, event: str, detail: str) -> None:
        """Record an event that is no write."""
        with self._lock:
            (seq,) = self._next(1)
            self._append([AuditNote(seq, at, event, detail)])

    def _next(self, count: int) -> tuple[int, ...]:
        seqs = tuple(range(self._next_seq, self._next_seq + count))
        self._next_seq += count
        return seqs

    def _append(self, records: Sequence[AuditWrite | AuditNote]) -> None:
        """Write all lines by one write and one fsync, after ending a line that an earlier failure left incomplete."""
        if not records:
            return
        if self._file is None:
            raise RecordError(f"{self._path}: the audit trail is not open")
        data = b"\n" * self._incomplete + b"".join(map(json_line, records))
        self._incomplete = True
        with recording(self._path):
            if (written := self._file.write(data)) != len(data):
                raise OSError(None, f"{written} of {len(data)} bytes written")
            self._incomplete = False
            os.fsync(self._file.fileno())


def _check(attempt: Attempt) -> None:
    if not all(isfinite(power) for power in (attempt.p_kw, attempt.q_kvar) if power is not None):
        asked = f"{attempt.p_kw} kW, {attempt.q_kvar} kvar"
        raise RecordError(f"audit {attempt.device}: asked {asked}, allowed finite numbers or none")


def _end(path: Path) -> tuple[int, bool]:
    """The next free number, and whether the last line is incomplete."""
    if not path.exists():
        return 1, False
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _TAIL_BYTES, 0))
        lines = file.readlines()
    numbers = [values.get("seq") for values in map(complete_line, lines) if values]
    highest = max((number for number in numbers if isinstance(number, int)), default=0)
    return highest + 1, bool(lines) and not lines[-1].endswith(b"\n")


def _sync_folder(folder: Path) -> None:
    """Without this, a power loss may remove a new file from its folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
