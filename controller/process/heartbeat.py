"""How service and guardian inform each other: one JSON file each in the state folder.

``heartbeat.json``: the service is alive; rewritten after every completed cycle and at each change of mode.
``takeover.json``: the guardian has taken over; a service that restarts learns from it that the guardian, not a foreign
writer, wrote to the devices.

A file is replaced atomically, so a reader finds either the old or the new one. Nothing is synced to the disk: a power
loss also ends the processes that the file is about.
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
from controller.process.files import replace_file
from controller.process.modes import Mode
from core.codec import CodecError, decode, encode
from core.devices import Outcome
from core.epochs import later

T = TypeVar("T")
HEARTBEAT, TAKEOVER = "heartbeat.json", "takeover.json"
SCHEMA_VERSION = 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Heartbeat:
    """The last sign of life of a service.

    Attributes:
        epoch: fencing epoch of the writer; while the service does not write, its previous one or 0.
        at: wall clock, for human readers; no decision depends on it.
        monotonic_s: of a clock that all processes of one boot share, or virtual time.
        boot: see :func:`boot_id`; None in virtual time.
    """

    epoch: int
    mode: Mode
    at: datetime
    monotonic_s: float
    boot: str | None
    schema_version: int = SCHEMA_VERSION

    def write(self, state: Path) -> None:
        """Replace the heartbeat file of this state folder.

        Raises:
            RecordError: the file cannot be written.
        """
        _replace(state / HEARTBEAT, self)


@dataclass(frozen=True)
class Released:
    """A converter that still followed its writer's setpoint when the guardian put it into its safe state.

    Attributes:
        at: wall clock just before the release, when its net power was read.
        p_kw: net active power at that time, demand positive; ``q_kvar`` likewise.
        monotonic_s: just after the safe state was read back, on the clock of the :class:`Heartbeat`.
        epoch: the epoch of the release; the device reports it until another writer writes.
    """

    at: datetime
    p_kw: float
    q_kvar: float
    monotonic_s: float
    epoch: int


@dataclass(frozen=True)
class Takeover:
    """The guardian has replaced the writer of epoch ``overtaken`` (0: unknown).

    ``epoch`` is the latest that it has written to a device; the next service uses a later one. ``outcomes``: of the
    last attempt, by converter; ``released``: the converters that it has released. ``boot``: as in :class:`Heartbeat`.
    """

    overtaken: int
    epoch: int
    at: datetime
    outcomes: Mapping[str, Outcome]
    released: Mapping[str, Released]
    boot: str | None
    schema_version: int = SCHEMA_VERSION

    def write(self, state: Path) -> None:
        """Replace the takeover file of this state folder.

        Raises:
            RecordError: the file cannot be written.
        """
        _replace(state / TAKEOVER, self)


class NoHeartbeat(StrEnum):
    """Why there is no usable heartbeat: the file is missing, or its content is invalid."""

    MISSING = "missing"
    DAMAGED = "damaged"


def read_heartbeat(state: Path) -> Heartbeat | NoHeartbeat:
    """The last heartbeat; a file that is incomplete or of another version is DAMAGED."""
    try:
        record = _read(state / HEARTBEAT, Heartbeat)
    except FileNotFoundError:
        return NoHeartbeat.MISSING
    except (OSError, CodecError, ValueError):
        return NoHeartbeat.DAMAGED
    valid = record.schema_version == SCHEMA_VERSION and record.epoch >= 0 and isfinite(record.monotonic_s)
    return record if valid else NoHeartbeat.DAMAGED


def newer_writer_active(state: Path, overtaken: int) -> bool:
    """Whether a writer with an epoch after ``overtaken`` is active; it writes its heartbeat before it writes to a
    device.
    """
    record = read_heartbeat(state)
    return isinstance(record, Heartbeat) and record.mode is Mode.ACTIVE and later(record.epoch, overtaken)


def read_takeover(state: Path) -> Takeover | None:
    """The last takeover; None if there is no valid one."""
    try:
        record = _read(state / TAKEOVER, Takeover)
    except (OSError, CodecError, ValueError):
        return None
    numbers = (number for it in record.released.values() for number in (it.p_kw, it.q_kvar, it.monotonic_s))
    valid = all(map(isfinite, numbers))
    return record if record.schema_version == SCHEMA_VERSION and valid else None


def boot_id() -> str | None:
    """Identifier of the current boot: monotonic clocks are comparable only within one boot. None if unknown."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def _replace(path: Path, record: object) -> None:
    with recording(path):
        replace_file(path, json.dumps(encode(record), allow_nan=False).encode(), durable=False)


def _read(path: Path, kind: type[T]) -> T:
    return decode(kind, json.loads(path.read_text(encoding="utf-8")))
