"""The audit trail: every write attempt before and after, and what operators requested; JSON lines, append-only.

An attempt has two lines with the same ``seq``: one with outcome "attempted", on the disk before the device is written
to, and one with the outcome after the read-back. An attempt without the second line may have been executed. A line that
a power loss or a full disk cut off stays in the file: the next record starts on a new line, and readers skip the
incomplete one. The lines form a hash chain (:mod:`controller.record.audit_chain`), in a file that is watched and cut
into parts (:mod:`controller.record.audit_file`).

One process writes the file; its threads may share the trail.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from math import isfinite
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Self

from controller.process.failures import RecordError, recording
from controller.record.audit_chain import AuditHead, ChainWalk, sealed, walk
from controller.record.audit_file import PART_BYTES, AuditFile
from controller.record.audit_lines import ATTEMPTED, TRAIL_NOTE, AuditNote, AuditWrite, json_object
from controller.record.audit_parts import lines_of, trail_parts
from core.devices import Outcome

KnownHead = Callable[[], AuditHead | None]


@dataclass(frozen=True)
class _Unsaid:
    """An event whose line is still to be written; without a time, it gets that of its line."""

    event: str
    detail: str
    at: datetime | None = None


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

    Args:
        known: called on entry, the end of the trail as it is known from elsewhere. If the file ends before it,
            numbers and chain continue from it, and a line says what is missing.

    Raises:
        RecordError: the file cannot be written (also on entry); then nothing may be written to a device.
    """

    def __init__(
        self, path: Path, known: Callable[[], AuditHead | None] = lambda: None, part_bytes: int = PART_BYTES
    ) -> None:
        self._path, self._known, self._lock = path, known, RLock()
        self._file = AuditFile(path, part_bytes)
        self._head, self._next_seq, self._incomplete = ChainWalk().head, 1, False
        self._begun: dict[int, Attempt] = {}
        self._unsaid: list[_Unsaid] = []
        self._noticed: list[str] = []
        self._shared_sync = self._unsynced = False

    def __enter__(self) -> Self:
        with recording(self._path):
            self._continue(_end(self._path), self._known())
        with ExitStack() as stack:
            stack.callback(self._file.close)
            self._file.open()
            self._incomplete = not self._file.ends_whole()
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._file.close()

    @property
    def head(self) -> AuditHead:
        """The end of the chain; whoever keeps it elsewhere can later show that nothing before it is missing."""
        return self._head

    def noticed(self) -> tuple[str, ...]:
        """What others have done to the trail, one line each, since the last call."""
        with self._lock:
            lines, self._noticed = tuple(self._noticed), []
        return lines

    def check(self, at: datetime) -> None:
        """Look whether somebody else has touched the file, and mend it."""
        with self._lock:
            self._mend(at)

    def begin(self, at: datetime, attempts: Sequence[Attempt]) -> tuple[int, ...]:
        """Record the attempts before they are written; returns their numbers in order. No number is used twice, even if
        this fails.
        """
        for attempt in attempts:
            _check(attempt)
        with self._lock:
            self._mend(at)
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
            self._mend(at)
            self._append(
                [AuditWrite(seq, at, **vars(self._begun[seq]), outcome=outcome) for seq, outcome in outcomes.items()]
            )
            for seq in outcomes:
                del self._begun[seq]

    def note(self, at: datetime, event: str, detail: str) -> None:
        """Record an event that is no write."""
        with self._lock:
            self._mend(at)
            self._note(at, event, detail)

    def tell(self, at: datetime, event: str, detail: str) -> None:
        """Record an event that has happened; what the disk refuses is written before the next line that it takes."""
        with self._lock:
            self._unsaid.append(_Unsaid(event, detail, at))
            self._mend(at)

    def _continue(self, found: ChainWalk, known: AuditHead | None) -> None:
        """Go on after the last line of the file, or after the known end if that is further."""
        self._head = found.head if found.first else found.unsealed
        if found.fault:
            self._noticed.append(f"{self._path.name}: {found.fault.text}")
        if known and known.line > self._head.line:
            lost = f"lines {self._head.line + 1} to {known.line} are missing"
            self._unsaid.append(_Unsaid(TRAIL_NOTE, lost))
            self._noticed.append(f"{self._path.name}: {lost}")
            self._head = replace(known, seq=max(known.seq, self._head.seq))
        self._next_seq = self._head.seq + 1

    def _mend(self, at: datetime) -> None:
        """Before anything is written: mend the file, say so in it, and begin a new part if one is due."""
        if touched := self._file.mend():
            self._incomplete = not self._file.ends_whole()
            self._unsaid.append(_Unsaid(TRAIL_NOTE, touched))
            self._noticed.append(touched)
        if self._file.full and not self._incomplete:
            with suppress(RecordError):  # the long part goes on; a disk that fails shows when a line is written
                self._sync()
                self._unsaid.append(_Unsaid(TRAIL_NOTE, f"continues {self._file.begin_part()}"))
        self._say(at)

    def _say(self, at: datetime) -> None:
        while self._unsaid:
            unsaid = self._unsaid[0]
            self._note(unsaid.at or at, unsaid.event, unsaid.detail)
            del self._unsaid[0]

    def _note(self, at: datetime, event: str, detail: str) -> None:
        (seq,) = self._next(1)
        self._append([AuditNote(seq, at, event, detail)])

    @contextmanager
    def together(self) -> Iterator[None]:
        """Within the block methods return before their lines are on the disk; at its end they are, by one fsync."""
        with self._lock:
            self._shared_sync = True
            try:
                yield
            finally:
                self._shared_sync = False
            self._sync()

    def _next(self, count: int) -> tuple[int, ...]:
        seqs = tuple(range(self._next_seq, self._next_seq + count))
        self._next_seq += count
        return seqs

    def _append(self, records: Sequence[AuditWrite | AuditNote]) -> None:
        """Write all lines by one write and one fsync, after ending a line that an earlier failure left incomplete."""
        if not records:
            return
        lines, head = list[tuple[bytes, AuditHead]](), self._head
        for record in records:
            lines.append(sealed(json_object(record, head.line + 1), head, record.seq))
            head = lines[-1][1]
        ending = b"\n" * self._incomplete
        data = ending + b"".join(line for line, _ in lines)
        self._incomplete = True
        written = self._file.append(data)
        self._advance(lines, written - len(ending))
        with recording(self._path):
            if written != len(data):
                raise OSError(None, f"{written} of {len(data)} bytes written")
        self._incomplete, self._unsynced = False, True
        if not self._shared_sync:
            self._sync()

    def _sync(self) -> None:
        if self._unsynced:
            self._file.sync()
            self._unsynced = False

    def _advance(self, lines: Sequence[tuple[bytes, AuditHead]], written: int) -> None:
        """The chain goes on after the last line that is whole in the file, also if the others are not."""
        for line, head in lines:
            if (written := written - len(line)) < 0:
                return
            self._head = head


def _check(attempt: Attempt) -> None:
    if not all(isfinite(power) for power in (attempt.p_kw, attempt.q_kvar) if power is not None):
        asked = f"{attempt.p_kw} kW, {attempt.q_kvar} kvar"
        raise RecordError(f"audit {attempt.device}: asked {asked}, allowed finite numbers or none")


def _end(path: Path) -> ChainWalk:
    """Walk over the file; also over the part before it if it holds no line of a chain yet."""
    parts = trail_parts(path)
    current = walk(lines_of(part for part in parts if part == path), from_start=parts == (path,))
    return current if current.first or parts in ((), (path,)) else walk(lines_of(parts[-2:]), from_start=False)
