"""Who wrote which frame, and which setpoint a converter held when, from audit trails and frames together.

An attempt explains a frame that carries its setpoint and arrived before its outcome was known; an attempt of unknown
outcome may still be executed up to a lease later. A driver may send P and Q in separate writes, so until the last of
them each may still be the value before, or that of the safe state.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import chain, zip_longest

from controller.judge.histories import Histories, ReceivedFrame, StateChange, Trail
from controller.record.audit_lines import ATTEMPTED, AuditWrite
from core.devices import Outcome
from realtime.fallback import Rung

SAFE_WITHIN_S = 90.0
"""Time from the last verified write by which a device is safe."""
WIRE_S = 1.0
"""Longest time of a frame on the wire."""
INSTANT = timedelta(microseconds=1)
RESOLUTION_KVA = 2e-3
"""Largest change of a setpoint by its encoding on the wire."""


@dataclass(frozen=True)
class RecordedWrite:
    """A write by the controller or its guardian.

    Attributes:
        s_kva: None is a release.
        outcome: None was never recorded.
        ended: when the outcome was recorded.
    """

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
        """Rung of the fallback ladder, the first word of ``reason``; "stop" if everything was released."""
        return self.reason.partition(" ")[0]

    @property
    def safe(self) -> bool:
        """Whether it asked for the safe state, the device's own or the controller's."""
        return self.guardian or self.s_kva is None or self.rung == Rung.SAFE

    @property
    def verified(self) -> bool:
        """Whether its setpoint was read back from the device."""
        return self.outcome == Outcome.VERIFIED

    def finished_before(self, at: datetime) -> bool:
        """Whether none of its frames can arrive at ``at`` or later."""
        known = self.outcome in (Outcome.VERIFIED, Outcome.REJECTED)
        return known and self.ended is not None and self.ended + timedelta(seconds=WIRE_S) < at


@dataclass(frozen=True)
class ExplainedFrame:
    """A frame with the newest attempt that explains it, and the setpoint that the device held when it arrived."""

    frame: ReceivedFrame
    attempt: RecordedWrite | None
    held_kva: complex


@dataclass(frozen=True)
class HeldSetpoint:
    """What a device held from ``time`` on; ``safe``: its own safe state, or the setpoint of a safe rung."""

    time: datetime
    s_kva: complex
    safe: bool


@dataclass(frozen=True)
class ConverterHistory:
    """History of one converter, each part in order of time."""

    attempts: tuple[RecordedWrite, ...]
    received: tuple[ExplainedFrame, ...]
    holds: tuple[HeldSetpoint, ...]

    def held(self, at: datetime) -> HeldSetpoint | None:
        """The setpoint held at that time; None before the first frame."""
        index = bisect_right(self.holds, at, key=lambda hold: hold.time)
        return self.holds[index - 1] if index else None


def attempts_of(histories: Histories) -> Mapping[str, tuple[RecordedWrite, ...]]:
    """Attempts of controller, guardian and emergency stops together, by device, in order of time."""
    releasing = (_attempts(trail, guardian=True) for trail in (histories.guardian, *histories.stops))
    return _by_device([*_attempts(histories.audit, guardian=False), *chain.from_iterable(releasing)])


def _by_device(attempts: Sequence[RecordedWrite]) -> Mapping[str, tuple[RecordedWrite, ...]]:
    found: dict[str, list[RecordedWrite]] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.time):
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


def converter_history(histories: Histories, device: str, attempts: Sequence[RecordedWrite]) -> ConverterHistory:
    """Follow a converter through the run.

    If the plant has not recorded the end of a lease, it is inferred from the last accepted frame.
    """
    frames = [frame for frame in histories.frames if frame.device == device]
    states = _safe_states([change for change in histories.states if change.device == device])
    times, received, holds = [attempt.time for attempt in attempts], list[ExplainedFrame](), list[HeldSetpoint]()
    lapse: HeldSetpoint | None = None
    for frame in frames:
        while states and states[0][0] <= frame.time:
            holds.append(states.pop(0)[1])
        if lapse and lapse.time <= frame.time:
            holds.append(lapse)
            lapse = None
        held_kva = holds[-1].s_kva if holds else 0j
        attempt = _explaining_attempt(frame, held_kva, attempts[: bisect_right(times, frame.time)])
        received.append(ExplainedFrame(frame, attempt, held_kva))
        if frame.accepted:
            safe = not frame.enable or frame.s_kva == 0 or (attempt is not None and attempt.safe)
            holds.append(HeldSetpoint(frame.time, frame.s_kva if frame.enable else 0j, safe))
            lapse = _lapse(frame) if not histories.states else None
    return ConverterHistory(
        tuple(attempts), tuple(received), (*holds, *(hold for _, hold in states), *((lapse,) if lapse else ()))
    )


def _safe_states(changes: Sequence[StateChange]) -> list[tuple[datetime, HeldSetpoint]]:
    """Times of going safe, each with the time up to which frames precede it.

    If the state lasts, the converter went safe after all frames of that instant; otherwise one of these commanded it
    again.
    """
    holds = []
    for change, after in zip_longest(changes, changes[1:]):
        if change.state != "remote":
            stays = after is None or after.time > change.time
            holds.append((change.time + INSTANT if stays else change.time, HeldSetpoint(change.time, 0j, safe=True)))
    return holds


def _lapse(frame: ReceivedFrame) -> HeldSetpoint | None:
    if not frame.enable or not 0 < frame.lease_s < float("inf"):
        return None
    return HeldSetpoint(frame.time + timedelta(seconds=frame.lease_s), 0j, safe=True)


def _explaining_attempt(
    frame: ReceivedFrame, held_kva: complex, attempts: Sequence[RecordedWrite]
) -> RecordedWrite | None:
    oldest = frame.time - timedelta(seconds=SAFE_WITHIN_S)
    for attempt in reversed(attempts):
        if attempt.time < oldest:
            return None
        if not attempt.finished_before(frame.time) and _explains(attempt, frame, held_kva):
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
