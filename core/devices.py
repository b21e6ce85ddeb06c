"""The interface between the control loop and its devices. Unknown values are None with a reason, never 0 or NaN."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
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


@dataclass(frozen=True)
class Snapshot:
    """The process image of one cycle: all readings, taken before any decision."""

    at: datetime
    monotonic_s: float
    measurements: dict[str, Measurement]


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
