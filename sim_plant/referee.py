"""The referee of every converter: judges each received frame on its own, independently of what the device does with it.

Rules (docs: faults.md, invariants 1 to 5): the powers are finite; they lie in the capability circle; the setpoint moves
by at most the ramp limit times the time since the last accepted frame; a setpoint other than the safe one has a lease
of at most ``LEASE_MAX_S``; its writer has not been replaced by another one.

Frames at most ``BURST_S`` apart are parts of one command (P and Q in two requests, a repeated write): their ramp is
measured from the setpoint before the burst. A release is exempt from the ramp limit, and so is a frame that follows a
setpoint outside a circle that has shrunk.
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

from sim_plant.converter import Frame, Refusal, superseded

STATES = "states.jsonl"
LEASE_MAX_S = 90.0
BURST_S = 1.0
JITTER_S = 0.1
"""Frames that are sent 30 s apart may arrive this much closer to each other."""
RESOLUTION_KVA = 1e-3
"""Rounding of a setpoint on the wire."""


class FrameRule(StrEnum):
    """The rules for a frame."""

    FINITE = "finite"
    CIRCLE = "circle"
    RAMP = "ramp"
    LEASE = "lease"
    WRITER = "writer"


@dataclass(frozen=True)
class FrameLimits:
    """Limits of one converter. ``s_max_kva`` is what is available at the time, derating included; ``plain_epochs``: the
    lower of two epochs is the older one; ``reactive``: whether the circle is one, or only P.
    """

    s_max_kva: float
    ramp_kva_per_s: float
    safe_kva: complex = 0j
    plain_epochs: bool = False
    reactive: bool = True

    def latest(self, known: int, epoch: int) -> int:
        """The epoch of the newest writer."""
        return known if superseded(epoch, known, plain=self.plain_epochs) else epoch


@dataclass(frozen=True)
class RefereeMemory:
    """Setpoint (kVA) and time (s) before the current burst, time of the last accepted frame, and newest epoch."""

    from_kva: complex
    from_s: float
    last_s: float
    epoch: int = 0


@dataclass(frozen=True)
class FrameVerdict:
    """A frame, why the device refused it (None: it did not), and the rules that it breaks."""

    t_s: float
    device: str
    frame: Frame
    refusal: Refusal | None
    violations: tuple[FrameRule, ...]


@dataclass(frozen=True)
class ControlStateChange:
    """A converter has entered another state at ``t_s``, for whatever reason."""

    t_s: float
    device: str
    state: str


def broken_rules(frame: Frame, t_s: float, memory: RefereeMemory, limits: FrameLimits) -> tuple[FrameRule, ...]:
    """Every rule that the frame breaks."""
    if not frame.enable:
        return ()
    replaced = limits.latest(memory.epoch, frame.epoch) != frame.epoch
    s, broken = frame.s_kva, [FrameRule.WRITER] if replaced else []
    if not (isfinite(s.real) and isfinite(s.imag)):
        return (*broken, FrameRule.FINITE)
    if abs(s) > limits.s_max_kva + RESOLUTION_KVA or (not limits.reactive and abs(s.imag) > RESOLUTION_KVA):
        broken.append(FrameRule.CIRCLE)
    reach_kva = limits.ramp_kva_per_s * (t_s - memory.from_s + JITTER_S) + RESOLUTION_KVA
    if abs(s - memory.from_kva) > reach_kva and abs(memory.from_kva) <= limits.s_max_kva + RESOLUTION_KVA:
        broken.append(FrameRule.RAMP)
    if s != limits.safe_kva and not 0 < frame.lease_s <= LEASE_MAX_S:
        broken.append(FrameRule.LEASE)
    return tuple(broken)


def after_frame(
    memory: RefereeMemory, frame: Frame, t_s: float, limits: FrameLimits, *, accepted: bool
) -> RefereeMemory:
    """The memory after the frame; an accepted release begins a burst anew, from the safe state."""
    epoch = limits.latest(memory.epoch, frame.epoch)
    if accepted and not frame.enable:
        return RefereeMemory(limits.safe_kva, t_s, t_s, epoch)
    return RefereeMemory(memory.from_kva, memory.from_s, t_s if accepted else memory.last_s, epoch)


def begin_burst(memory: RefereeMemory, in_force_kva: complex, t_s: float) -> RefereeMemory:
    """Start a new burst if the last accepted frame is more than ``BURST_S`` ago."""
    if t_s - memory.last_s <= BURST_S:
        return memory
    return RefereeMemory(in_force_kva, memory.last_s, memory.last_s, memory.epoch)


class Referee:
    """Watches one converter. ``idle_since_s`` replaces the time of a frame before the first one."""

    def __init__(
        self, device: str, idle_since_s: float, record: Callable[[FrameVerdict | ControlStateChange], None]
    ) -> None:
        self.device = device
        self._record = record
        self._memory = RefereeMemory(0j, idle_since_s, idle_since_s)

    def epoch_claimed(self, epoch: int, limits: FrameLimits) -> None:
        """A writer has announced its epoch without a frame."""
        self._memory = replace(self._memory, epoch=limits.latest(self._memory.epoch, epoch))

    def state_changed(self, t_s: float, state: str) -> None:
        """Record that the converter has entered another state."""
        self._record(ControlStateChange(t_s, self.device, state))

    def observe(
        self, t_s: float, frame: Frame, in_force_kva: complex, refusal: Refusal | None, limits: FrameLimits
    ) -> FrameVerdict:
        """Judge and record a frame; ``in_force_kva`` is the setpoint that was valid when it arrived."""
        memory = begin_burst(self._memory, in_force_kva, t_s)
        verdict = FrameVerdict(t_s, self.device, frame, refusal, broken_rules(frame, t_s, memory, limits))
        self._memory = after_frame(memory, frame, t_s, limits, accepted=refusal is None)
        self._record(verdict)
        return verdict


@dataclass
class Tally:
    """Counts of frames by device, and of broken rules by name."""

    frames: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    violations: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: FrameVerdict) -> None:
        """Count one frame; a frame that breaks several rules is one violation."""
        self.frames[verdict.device] += 1
        self.refused[verdict.device] += verdict.refusal is not None
        self.violations[verdict.device] += bool(verdict.violations)
        self.rules.update(verdict.violations)


class FrameLog:
    """Counts verdicts and writes them as JSON lines; changes of state go to ``states.jsonl`` in the same folder.

    Frames of the same instant are sorted by device, so that the file does not depend on the order in which the sockets
    happened to be served; frames of one device keep their order.
    """

    def __init__(self, start: datetime, path: Path | None = None) -> None:
        self.tally = Tally()
        self._start, self._path = start, path
        self._files: dict[type, TextIO] = {}
        self._pending: list[FrameVerdict | ControlStateChange] = []

    def __enter__(self) -> Self:
        if self._path:
            paths = {FrameVerdict: self._path, ControlStateChange: self._path.with_name(STATES)}
            self._files = {kind: path.open("w", encoding="utf-8") for kind, path in paths.items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()
        for file in self._files.values():
            file.close()

    def record(self, event: FrameVerdict | ControlStateChange) -> None:
        """Count the event now; it is written at the next flush."""
        if isinstance(event, FrameVerdict):
            self.tally.add(event)
        if self._files:
            self._pending.append(event)

    def flush(self) -> None:
        """Write what has been recorded."""
        if not self._pending:
            return
        self._pending.sort(key=lambda event: (event.t_s, event.device))
        for event in self._pending:
            self._files[type(event)].write(json.dumps(self._line(event)) + "\n")
        for file in self._files.values():
            file.flush()
        self._pending.clear()

    def _line(self, event: FrameVerdict | ControlStateChange) -> Mapping[str, object]:
        instant = (self._start + timedelta(seconds=event.t_s)).isoformat()
        what = {"state": event.state} if isinstance(event, ControlStateChange) else _verdict_values(event)
        return {"schema_version": 1, "time": instant, "device": event.device, **what}


def _verdict_values(verdict: FrameVerdict) -> Mapping[str, object]:
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
    """The value, or its name as text where JSON has no number for it (NaN, infinity)."""
    return value if isfinite(value) else str(value)
