"""What service and guardian tell each other, each by a file of its own in the state folder.

``heartbeat.json``: the service is alive; rewritten after every completed cycle and at each change of mode.
``takeover.json``: the guardian has taken over; from it a service that comes back learns that it was no foreign writer.

A file is replaced as a whole, so a reader finds the old one or the new one. Nothing is synced to the disk: what a power
loss takes is about processes that it has ended as well.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isfinite
from pathlib import Path
from typing import TypeVar

from controller.process.failures import recording
from controller.process.modes import Mode
from core.codec import CodecError, decode, encode
from core.devices import Outcome

T = TypeVar("T")
HEARTBEAT, TAKEOVER = "heartbeat.json", "takeover.json"
SCHEMA_VERSION = 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Heartbeat:
    """A sign of life.

    Attributes:
        epoch: fencing epoch of the writer, the one before or 0 where it does not write.
        at: wall clock, for readers; nothing is decided by it.
        monotonic_s: of a clock that all processes of one boot share, or of virtual time.
        boot: see :func:`boot_id`; None in virtual time.
    """

    epoch: int
    mode: Mode
    at: datetime
    monotonic_s: float
    boot: str | None
    schema_version: int = SCHEMA_VERSION

    def write(self, state: Path) -> None:
        """Replace the heartbeat of this state folder.

        Raises:
            RecordError: the disk does not let us.
        """
        _replace(state / HEARTBEAT, self)


@dataclass(frozen=True)
class Released:
    """A converter that still followed its writer's setpoint when the guardian put it into its safe state.

    Attributes:
        at: wall clock just before, when its net power was read.
        monotonic_s: just after, once the safe state was read back; of the clock that a :class:`Heartbeat` carries.
        epoch: with which it was released; the device reports it until somebody else writes.
    """

    at: datetime
    p_kw: float
    q_kvar: float
    monotonic_s: float
    epoch: int


@dataclass(frozen=True)
class Takeover:
    """The guardian stands in for the writer ``overtaken`` (0: unknown).

    ``epoch`` is the highest that it has written to a device; the next service takes a higher one. ``outcomes`` are of
    the last attempt, by converter; ``released`` tells of those that it has released. ``boot``: as of a heartbeat.
    """

    overtaken: int
    epoch: int
    at: datetime
    outcomes: Mapping[str, Outcome]
    released: Mapping[str, Released]
    boot: str | None
    schema_version: int = SCHEMA_VERSION

    def write(self, state: Path) -> None:
        """Replace that of this state folder.

        Raises:
            RecordError: the disk does not let us.
        """
        _replace(state / TAKEOVER, self)


class Sight(StrEnum):
    """Why there is no heartbeat: never one, or none that can be trusted."""

    MISSING = "missing"
    DAMAGED = "damaged"


def read_heartbeat(state: Path) -> Heartbeat | Sight:
    """The last one; anything but a whole one of this version is damaged."""
    try:
        found = _read(state / HEARTBEAT, Heartbeat)
    except FileNotFoundError:
        return Sight.MISSING
    except (OSError, CodecError, ValueError):
        return Sight.DAMAGED
    fits = found.schema_version == SCHEMA_VERSION and found.epoch >= 0 and isfinite(found.monotonic_s)
    return found if fits else Sight.DAMAGED


def succeeded(state: Path, overtaken: int) -> bool:
    """Whether a writer of a higher epoch has begun; it says so before it writes to any device."""
    found = read_heartbeat(state)
    return isinstance(found, Heartbeat) and found.mode is Mode.ACTIVE and found.epoch > overtaken


def read_takeover(state: Path) -> Takeover | None:
    """The last one; None where there is none that can be read."""
    try:
        found = _read(state / TAKEOVER, Takeover)
    except (OSError, CodecError, ValueError):
        return None
    numbers = (number for it in found.released.values() for number in (it.p_kw, it.q_kvar, it.monotonic_s))
    fits = all(map(isfinite, numbers))
    return found if found.schema_version == SCHEMA_VERSION and fits else None


def boot_id() -> str | None:
    """Of the running kernel: monotonic clocks can be compared only within one boot. None where it does not tell."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def _replace(path: Path, record: object) -> None:
    new = path.with_name(f"{path.name}.new")
    with recording(path):
        new.write_text(json.dumps(encode(record), allow_nan=False), encoding="utf-8")
        new.replace(path)


def _read(path: Path, kind: type[T]) -> T:
    return decode(kind, json.loads(path.read_text(encoding="utf-8")))
