"""What the control loop and its devices say to each other. Unknown is None with a reason, never 0 or NaN."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Quality(StrEnum):
    """How far a value can be trusted."""

    GOOD = "good"
    STALE = "stale"
    INVALID = "invalid"


class Outcome(StrEnum):
    """What is known of a write after its read-back; a write that timed out may still be executed: UNKNOWN."""

    VERIFIED = "verified"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Setpoint:
    """Net demand that a converter is asked to draw; valid for ``lease_s``, then the device falls back to safe."""

    p_kw: float
    q_kvar: float
    lease_s: float


@dataclass(frozen=True)
class Measurement:
    """One reading of a device: ``taken_at`` by the device's clock, ``received_s`` by our monotonic clock."""

    device: str
    p_kw: float | None
    q_kvar: float | None
    v_pu: float | None
    i_a: float | None
    taken_at: datetime | None
    received_s: float
    quality: Quality


@dataclass(frozen=True)
class Snapshot:
    """The process image of one cycle: all readings, taken before anything is decided."""

    at: datetime
    monotonic_s: float
    measurements: dict[str, Measurement]


class Meter(Protocol):
    """Reads a node."""

    name: str

    async def read(self) -> Measurement:
        """One fresh reading; a failed read is a measurement of quality INVALID, not an exception."""
        ...


class Converter(Meter, Protocol):
    """A four-quadrant converter: can be read and told."""

    async def write(self, setpoint: Setpoint) -> Outcome:
        """Write the setpoint and read it back."""
        ...

    async def release(self) -> Outcome:
        """Put the device into its own safe state."""
        ...
