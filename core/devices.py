"""The interface between the control loop and its devices. Unknown values are None with a reason, never 0 or NaN."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from typing import Protocol


class Quality(StrEnum):
    """How far a measurement can be trusted."""

    GOOD = "good"
    STALE = "stale"
    INVALID = "invalid"


class Outcome(StrEnum):
    """Result of a write after its read-back. UNKNOWN: a write that timed out may still be executed."""

    VERIFIED = "verified"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Setpoint:
    """Net demand of a converter (demand positive), valid for ``lease_s``; then the device goes to its safe state."""

    p_kw: float
    q_kvar: float
    lease_s: float


@dataclass(frozen=True)
class Measurement:
    """One reading of a device: ``taken_at`` by the device's clock, ``received_s`` by our monotonic clock; demand
    positive.
    """

    device: str
    p_kw: float | None
    q_kvar: float | None
    v_pu: float | None
    i_a: float | None
    taken_at: datetime | None
    received_s: float
    quality: Quality


class OperatingState(IntEnum):
    """Operating state of a converter, with the values of its ``state`` register."""

    OFF = 0
    SAFE = 1
    REMOTE = 2
    LOCAL = 3
    FAULT = 4


@dataclass(frozen=True)
class ConverterStatus:
    """State that a converter reports besides its measurements; None if it does not report a value.

    Setpoint and epoch are those in the device, whoever wrote them: a restart ramps from there, and a foreign writer is
    detected by them. ``lease_s`` is what is left of the life of the setpoint.
    """

    state: OperatingState | None
    s_max_kva: float | None
    p_setpoint_kw: float | None
    q_setpoint_kvar: float | None
    writer_epoch: int | None
    lease_s: float | None = None


@dataclass(frozen=True)
class Snapshot:
    """The process image of one cycle, by device: taken before any decision.

    Attributes:
        measurements: the newest good reading of each device, however old, else the last one that failed.
        statuses: of converters that answered just now.
        polls: good readings since the last snapshot; a device that is missing had none.
    """

    at: datetime
    monotonic_s: float
    measurements: Mapping[str, Measurement]
    statuses: Mapping[str, ConverterStatus] = field(default_factory=dict)
    polls: Mapping[str, int] = field(default_factory=dict)


class Meter(Protocol):
    """Measures a node."""

    name: str

    async def read(self) -> Measurement:
        """Take a new reading; a failed one is a measurement of quality INVALID, not an exception."""
        ...


class Converter(Meter, Protocol):
    """A four-quadrant converter, which can be measured and commanded."""

    async def write(self, setpoint: Setpoint) -> Outcome:
        """Write the setpoint and read it back."""
        ...

    async def release(self) -> Outcome:
        """Put the device into its own safe state."""
        ...
