"""Who wrote which frame, and what a converter held when: audit trails and frames put side by side.

An attempt explains a frame that carries its setpoint and came before its outcome was known; one of unknown outcome may
still be executed a lease later. A driver may send P and Q one
after the other, so until the last one each may still be the value that stood before, or that of the safe state.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import zip_longest

from controller.judge.histories import Histories, ReceivedFrame, StateChange, Trail
from controller.record.audit_lines import ATTEMPTED, AuditWrite
from core.devices import Outcome
from realtime.fallback import Rung

SAFE_WITHIN_S = 90.0
"""By when a device is safe, from the last write that was verified."""
WIRE_S = 1.0
"""What a frame may context on the wire."""
INSTANT = timedelta(microseconds=1)
RESOLUTION_KVA = 2e-3
"""What the wire may change of a setpoint."""


@dataclass(frozen=True)
class RecordedWrite:
    """A write by the controller or its guardian; ``s_kva`` None is a release, ``outcome`` None was never recorded."""

    seq: int
    time: datetime
    device: str
    s_kva: complex | None
    reason: str
    plan_id: str
    guardian: bool
    outcome: str | None = None
    ended: datetime | None = None

    @property
    def rung(self) -> str:
        """Of the ladder; "stop" where everything was released."""
        return self.reason.partition(" ")[0]

    @property
    def safe(self) -> bool:
        """Whether it asked for the safe state, the device's own or the controller's."""
        return self.guardian or self.s_kva is None or self.rung == Rung.SAFE

    @property
    def verified(self) -> bool:
        """Whether it counts."""
        return self.outcome == Outcome.VERIFIED

    def over(self, at: datetime) -> bool:
        """Whether nothing more of it can arrive."""
        known = self.outcome in (Outcome.VERIFIED, Outcome.REJECTED)
        return known and self.ended is not None and self.ended + timedelta(seconds=WIRE_S) < at


@dataclass(frozen=True)
class Received:
    """A frame with the newest attempt that explains it, and the setpoint that the device held when it came."""

    frame: ReceivedFrame
    attempt: RecordedWrite | None
    held_kva: complex


@dataclass(frozen=True)
class Hold:
    """What a device held from ``time`` on; ``safe``: its own safe state, or the setpoint of a safe rung."""

    time: datetime
    s_kva: complex
    safe: bool


@dataclass(frozen=True)
class Reports:
    """Of one converter, each in order of time."""

    attempts: tuple[RecordedWrite, ...]
    received: tuple[Received, ...]
    holds: tuple[Hold, ...]

    def held(self, at: datetime) -> Hold | None:
        """What it held at that time; None before the first frame."""
        index = bisect_right(self.holds, at, key=lambda hold: hold.time)
        return self.holds[index - 1] if index else None


def attempts_of(histories: Histories) -> Mapping[str, tuple[RecordedWrite, ...]]:
    """Of both writers, by device."""
    found: dict[str, list[RecordedWrite]] = {}
    both = [*_attempts(histories.audit, guardian=False), *_attempts(histories.guardian, guardian=True)]
    for attempt in sorted(both, key=lambda attempt: attempt.time):
        found.setdefault(attempt.device, []).append(attempt)
    return {device: tuple(attempts) for device, attempts in found.items()}


def _attempts(trail: Trail, *, guardian: bool) -> Sequence[RecordedWrite]:
    begun: dict[int, RecordedWrite] = {}
    for record in trail:
        if not isinstance(record, AuditWrite):
            continue
        if record.outcome == ATTEMPTED:
            s_kva = None if record.p_kw is None or record.q_kvar is None else complex(record.p_kw, record.q_kvar)
            texts = record.device, s_kva, record.reason, record.plan_id
            begun[record.seq] = RecordedWrite(record.seq, record.time, *texts, guardian)
        elif record.seq in begun:
            begun[record.seq] = replace(begun[record.seq], outcome=record.outcome, ended=record.time)
    return list(begun.values())


def reports_of(histories: Histories, device: str, attempts: Sequence[RecordedWrite]) -> Reports:
    """Follow a converter through the run.

    Where the plant has not recorded when a lease ended, the end is inferred: the last accepted frame and its lease.
    """
    frames = [frame for frame in histories.frames if frame.device == device]
    states = _went_safe([change for change in histories.states if change.device == device])
    times, received, holds = [attempt.time for attempt in attempts], list[Received](), list[Hold]()
    lapse: Hold | None = None
    for frame in frames:
        while states and states[0][0] <= frame.time:
            holds.append(states.pop(0)[1])
        if lapse and lapse.time <= frame.time:
            holds.append(lapse)
            lapse = None
        held_kva = holds[-1].s_kva if holds else 0j
        attempt = _explaining(frame, held_kva, attempts[: bisect_right(times, frame.time)])
        received.append(Received(frame, attempt, held_kva))
        if frame.accepted:
            safe = not frame.enable or frame.s_kva == 0 or (attempt is not None and attempt.safe)
            holds.append(Hold(frame.time, frame.s_kva if frame.enable else 0j, safe))
            lapse = _lapse(frame) if not histories.states else None
    return Reports(
        tuple(attempts), tuple(received), (*holds, *(hold for _, hold in states), *((lapse,) if lapse else ()))
    )


def _went_safe(changes: Sequence[StateChange]) -> list[tuple[datetime, Hold]]:
    """With the time by which they come before frames.

    Where it stays so, it went safe after all frames of that instant; else somebody has commanded it again in it.
    """
    holds = []
    for change, after in zip_longest(changes, changes[1:]):
        if change.state != "remote":
            stays = after is None or after.time > change.time
            holds.append((change.time + INSTANT if stays else change.time, Hold(change.time, 0j, safe=True)))
    return holds


def _lapse(frame: ReceivedFrame) -> Hold | None:
    if not frame.enable or not 0 < frame.lease_s < float("inf"):
        return None
    return Hold(frame.time + timedelta(seconds=frame.lease_s), 0j, safe=True)


def _explaining(frame: ReceivedFrame, held_kva: complex, attempts: Sequence[RecordedWrite]) -> RecordedWrite | None:
    oldest = frame.time - timedelta(seconds=SAFE_WITHIN_S)
    for attempt in reversed(attempts):
        if attempt.time < oldest:
            return None
        if not attempt.over(frame.time) and _explains(attempt, frame, held_kva):
            return attempt
    return None


def _explains(attempt: RecordedWrite, frame: ReceivedFrame, held_kva: complex) -> bool:
    if attempt.s_kva is None or not frame.enable:
        return attempt.s_kva is None and not frame.enable
    possible = (attempt.s_kva, held_kva, 0j)
    return all(
        min(abs(part(frame.s_kva) - part(s_kva)) for s_kva in possible) <= RESOLUTION_KVA for part in (_real, _imag)
    )


def _real(s_kva: complex) -> float:
    return s_kva.real


def _imag(s_kva: complex) -> float:
    return s_kva.imag
