"""The commanded mode: what an operator, a stop or the service itself last demanded, on the disk before it is acted on.

It is a file of its own, ``commanded`` in the state folder, so that neither a locked journal nor a full disk prevents a
lowering. Two slots of fixed size are overwritten in place, which needs no free block: one for the last lowering, one
for the last command that raised the mode. A command names the lowering that its sender knew, so that every later
lowering makes it void, whoever writes last.

| found | commanded mode |
|---|---|
| a command after the last lowering | that of the command |
| a command that a lowering has overtaken, or that is torn | that of the lowering |
| a torn lowering | unknown: :attr:`NoCommand.DAMAGED` |
| the file is named ``commanded.monitor`` or ``commanded.off`` | no more than that: its content could not be written |

Every function may be called by any thread and any process; there is no lock to wait for.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from hashlib import sha256
from pathlib import Path
from typing import Any

from controller.process.failures import RecordError, recording
from controller.process.files import overwrite, replace_file, sync_folder
from controller.process.modes import Mode

COMMANDED = "commanded"
SLOT_BYTES = 512
"""No more than a sector of a disk, which is written as a whole or not at all."""
_LOWERED, _RAISED = 0, 1
_LONGEST_WHY = 160
_SCHEMA_VERSION = 1


class NoCommand(StrEnum):
    """Why no mode is known: there is no such file, or its content is invalid."""

    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Commanded:
    """The commanded mode, and why.

    Attributes:
        lowering: identifies the last lowering; a command to raise the mode has to name it.
        whole: False if the last lowering could only change the file's name.
    """

    mode: Mode
    why: str
    lowering: str
    whole: bool = True


@dataclass(frozen=True)
class _Slot:
    """One line of the file. ``lowering``: its own identifier, or that of the lowering before a command."""

    mode: Mode
    lowering: str
    why: str
    schema_version: int = _SCHEMA_VERSION

    @property
    def line(self) -> bytes:
        """JSON with a checksum, filled up to :data:`SLOT_BYTES`."""
        values = asdict(self)
        text = json.dumps({**values, "sha256": _checksum(values)})
        return text.encode("ascii").ljust(SLOT_BYTES - 1) + b"\n"


@dataclass(frozen=True)
class _Found:
    """The file at ``path``; ``bound`` is the highest mode that its name allows."""

    path: Path
    bound: Mode
    lowered: _Slot | None
    raised: _Slot | None

    @property
    def commanded(self) -> Commanded | NoCommand:
        if self.lowered is None:
            return NoCommand.DAMAGED
        valid = self.raised is not None and self.raised.lowering == self.lowered.lowering
        slot = self.raised if self.raised and valid else self.lowered
        return Commanded(slot.mode.at_most(self.bound), slot.why, self.lowered.lowering, self.bound is Mode.ACTIVE)


def read(state: Path) -> Commanded | NoCommand:
    """The commanded mode of a state folder.

    Raises:
        RecordError: the disk prevents it.
    """
    found = _find(state)
    return found.commanded if found else NoCommand.MISSING


def lower(state: Path, mode: Mode, why: str) -> None:
    """Make ``mode`` the commanded one, unless a lower one is; returns when that is on the disk.

    It works on a full disk. A file that is missing or damaged is created anew, and then holds ``mode``.

    Raises:
        RecordError: the disk prevents it, even a change of the file's name.
    """
    found = _find(state)
    if found is None or not isinstance(known := found.commanded, Commanded):
        _create(state, mode, why)
        return
    lowest = mode.at_most(known.mode)
    try:
        _overwrite(found.path, _LOWERED, _Slot(lowest, _identifier(), _short(why)))
    except RecordError:
        _rename(found.path, state / f"{COMMANDED}.{lowest}")
    else:
        _rename(found.path, state / COMMANDED)


def command(state: Path, mode: Mode, why: str, lowering: str) -> None:
    """Make ``mode`` the commanded one, also if it is higher; returns when that is on the disk.

    Args:
        lowering: the last one when the command was given; if the mode has been lowered since, the command is void.

    Raises:
        RecordError: the disk prevents it, or the mode has been lowered since.
    """
    found = _find(state)
    if found is not None and found.bound is Mode.ACTIVE:
        _overwrite(found.path, _RAISED, _Slot(mode, lowering, _short(why)))
    now = read(state)
    if not isinstance(now, Commanded) or now.lowering != lowering or now.mode is not mode:
        raise RecordError(f"{state / COMMANDED}: asked mode {mode}, allowed while nothing has lowered it in between")


def _find(state: Path) -> _Found | None:
    bounds = {f"{COMMANDED}.{Mode.OFF}": Mode.OFF, f"{COMMANDED}.{Mode.MONITOR}": Mode.MONITOR, COMMANDED: Mode.ACTIVE}
    for name, bound in bounds.items():
        path = state / name
        with recording(path), suppress(FileNotFoundError):
            content = path.read_bytes()
            slots = (_slot(content[SLOT_BYTES * k : SLOT_BYTES * (k + 1)]) for k in (_LOWERED, _RAISED))
            return _Found(path, bound, *slots)
    return None


def _create(state: Path, mode: Mode, why: str) -> None:
    """A new file, which replaces all others."""
    lowered = _Slot(mode, _identifier(), _short(why))
    with recording(state / COMMANDED):
        replace_file(state / COMMANDED, lowered.line + _Slot(mode, "", "").line, durable=True)
    for damaged in (Mode.OFF, Mode.MONITOR):
        with recording(state):
            (state / f"{COMMANDED}.{damaged}").unlink(missing_ok=True)


def _overwrite(path: Path, number: int, slot: _Slot) -> None:
    with recording(path):
        overwrite(path, slot.line, SLOT_BYTES * number, durable=True)


def _rename(path: Path, target: Path) -> None:
    if path == target:
        return
    with recording(target):
        path.replace(target)
        sync_folder(target.parent)


def _slot(line: bytes) -> _Slot | None:
    """The slot, if its checksum is correct and its version ours."""
    try:
        values: dict[str, Any] = json.loads(line)
        checksum = values.pop("sha256")
        slot = _Slot(**{**values, "mode": Mode(values["mode"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return slot if checksum == _checksum(values) and slot.schema_version == _SCHEMA_VERSION else None


def _checksum(values: Mapping[str, Any]) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _identifier() -> str:
    return os.urandom(8).hex()


def _short(why: str) -> str:
    """One line of ASCII that fits into a slot."""
    text = " ".join(why.encode("ascii", "replace").decode().split())
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST_WHY]
