"""The referee in every converter: judges each received frame by itself, whatever the device then makes of it.

Rules (docs: faults.md, invariants 1 to 5): the powers are finite; they lie in the capability circle; the setpoint moves
by at most the ramp limit times the time since the last accepted frame; a setpoint other than the safe one carries a
lease that ends within ``LEASE_MAX_S``; the writer is not one that another has replaced.

Frames at most ``BURST_S`` apart are parts of one command (P and Q by two requests, a repeated write): they are all
measured from where the burst began. A release, and a frame that leaves a circle which has shrunk, are exempt from the
ramp limit.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from sim_plant.converter import Frame, Refusal

STATES = "states.jsonl"
LEASE_MAX_S = 90.0
BURST_S = 1.0
JITTER_S = 0.1
"""Two frames that are sent 30 s apart may arrive this much closer."""
RESOLUTION_KVA = 1e-3
"""What rounding on the wire may add to a setpoint."""


class Violation(StrEnum):
    """Which rule a frame breaks."""

    FINITE = "finite"
    CIRCLE = "circle"
    RAMP = "ramp"
    LEASE = "lease"
    WRITER = "writer"


@dataclass(frozen=True)
class Rules:
    """Limits of one converter. ``s_max_kva`` is what is available just then, derating included."""

    s_max_kva: float
    ramp_kva_per_s: float
    safe_kva: complex = 0j


@dataclass(frozen=True)
class Standing:
    """What the referee remembers: where the present burst began, the last accepted frame, the newest writer."""

    from_kva: complex
    from_s: float
    last_s: float
    epoch: int = 0


@dataclass(frozen=True)
class Verdict:
    """A frame with what the device did (None: followed it) and what the referee thinks of it."""

    t_s: float
    device: str
    frame: Frame
    refusal: Refusal | None
    violations: tuple[Violation, ...]


@dataclass(frozen=True)
class Change:
    """A converter has another state since ``t_s``, whoever or whatever brought it there."""

    t_s: float
    device: str
    state: str


def judge(frame: Frame, t_s: float, standing: Standing, rules: Rules) -> tuple[Violation, ...]:
    """Every rule that the frame breaks."""
    broken = [Violation.WRITER] if frame.epoch < standing.epoch else []
    if not frame.enable:
        return tuple(broken)
    s = frame.s_kva
    if not (isfinite(s.real) and isfinite(s.imag)):
        return (*broken, Violation.FINITE)
    if abs(s) > rules.s_max_kva + RESOLUTION_KVA:
        broken.append(Violation.CIRCLE)
    reach_kva = rules.ramp_kva_per_s * (t_s - standing.from_s + JITTER_S) + RESOLUTION_KVA
    if abs(s - standing.from_kva) > reach_kva and abs(standing.from_kva) <= rules.s_max_kva + RESOLUTION_KVA:
        broken.append(Violation.RAMP)
    if s != rules.safe_kva and not 0 < frame.lease_s <= LEASE_MAX_S:
        broken.append(Violation.LEASE)
    return tuple(broken)


def seen(standing: Standing, frame: Frame, t_s: float, *, accepted: bool) -> Standing:
    """What the referee remembers after the frame."""
    return Standing(
        standing.from_kva,
        standing.from_s,
        last_s=t_s if accepted else standing.last_s,
        epoch=max(standing.epoch, frame.epoch),
    )


def burst(standing: Standing, in_force_kva: complex, t_s: float) -> Standing:
    """Begin a new burst where the last accepted frame is long enough ago."""
    if t_s - standing.last_s <= BURST_S:
        return standing
    return Standing(in_force_kva, standing.last_s, standing.last_s, standing.epoch)


class Referee:
    """Watches one converter. ``idle_since_s`` stands for the frame before the first one."""

    def __init__(self, device: str, idle_since_s: float, record: Callable[[Verdict | Change], None]) -> None:
        self.device = device
        self._record = record
        self._standing = Standing(0j, idle_since_s, idle_since_s)

    def claimed(self, epoch: int) -> None:
        """A writer has said who it is, without a frame."""
        self._standing = replace(self._standing, epoch=max(self._standing.epoch, epoch))

    def changed(self, t_s: float, state: str) -> None:
        """Record that the converter is in another state now."""
        self._record(Change(t_s, self.device, state))

    def observe(
        self, t_s: float, frame: Frame, in_force_kva: complex, refusal: Refusal | None, rules: Rules
    ) -> Verdict:
        """Judge and record a frame; ``in_force_kva`` is the setpoint that stood when it came."""
        standing = burst(self._standing, in_force_kva, t_s)
        verdict = Verdict(t_s, self.device, frame, refusal, judge(frame, t_s, standing, rules))
        self._standing = seen(standing, frame, t_s, accepted=refusal is None)
        self._record(verdict)
        return verdict


@dataclass
class Tally:
    """Counts of all converters together."""

    frames: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        """Count one frame; a frame that breaks several rules is one violation."""
        self.frames[verdict.device] += 1
        self.refused[verdict.device] += verdict.refusal is not None
        self.violations[verdict.device] += bool(verdict.violations)
        self.rules.update(verdict.violations)


class Recorder:
    """Writes verdicts as JSON lines and counts them; changes of state go to ``states.jsonl`` beside them.

    Frames that arrive at the same instant are sorted by device, so that the order in which sockets happen to be served
    leaves no trace in the file; what one device received stays in its order.
    """

    def __init__(self, start: datetime, path: Path | None = None) -> None:
        self.tally = Tally()
        self._start, self._path = start, path
        self._files: dict[type, TextIO] = {}
        self._pending: list[Verdict | Change] = []

    def __enter__(self) -> Self:
        if self._path:
            paths = {Verdict: self._path, Change: self._path.with_name(STATES)}
            self._files = {kind: path.open("w", encoding="utf-8") for kind, path in paths.items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        for file in self._files.values():
            file.close()

    def record(self, seen: Verdict | Change) -> None:
        """Count now, write when time goes on."""
        if isinstance(seen, Verdict):
            self.tally.add(seen)
        if self._files:
            self._pending.append(seen)

    def flush(self) -> None:
        """Write what has been recorded."""
        if not self._pending:
            return
        self._pending.sort(key=lambda seen: (seen.t_s, seen.device))
        for seen in self._pending:
            self._files[type(seen)].write(json.dumps(self._line(seen)) + "\n")
        for file in self._files.values():
            file.flush()
        self._pending.clear()

    def _line(self, seen: Verdict | Change) -> Mapping[str, object]:
        instant = (self._start + timedelta(seconds=seen.t_s)).isoformat()
        what = {"state": seen.state} if isinstance(seen, Change) else _judged(seen)
        return {"schema_version": 1, "time": instant, "device": seen.device, **what}


def _judged(verdict: Verdict) -> Mapping[str, object]:
    frame = verdict.frame
    return {
        "p_kw": _number(frame.s_kva.real),
        "q_kvar": _number(frame.s_kva.imag),
        "lease_s": _number(frame.lease_s),
        "epoch": frame.epoch,
        "enable": frame.enable,
        "refusal": verdict.refusal,
        "violations": verdict.violations,
    }


def _number(value: float) -> float | str:
    """JSON has no NaN."""
    return value if isfinite(value) else str(value)
