"""The small files of a state folder, watched while a service runs: what others remove or replace is put back.

Tokens are not among them: whoever removes one may want to withdraw it.
"""

import os
from pathlib import Path

from controller.process.commanded import Commanded, lower, read
from controller.process.failures import RecordError, recording
from controller.process.files import replace_file
from controller.process.heartbeat import HEARTBEAT, Heartbeat
from controller.process.lock import FolderLock
from controller.process.modes import Mode

Identity = tuple[int, int]


class StateFiles:
    """The files of the service of one folder; one thread at a time.

    Args:
        lock: the claim on the folder; None where nobody holds one, as in a simulated run.
    """

    def __init__(self, state: Path, lock: FolderLock | None = None) -> None:
        self._state, self._lock = state, lock
        self._kept: dict[str, bytes] = {}
        self._written: dict[str, Identity | None] = {}
        self._commanded: Commanded | None = None

    @property
    def in_place(self) -> bool:
        """Whether what lies in the state folder is ours, and not that of a folder put in its place."""
        return self._lock is None or self._lock.in_place

    def keep(self, name: str) -> None:
        """Watch a file that was just written, and remember its content, to write it again.

        Raises:
            RecordError: it cannot be read.
        """
        path = self._state / name
        with recording(path):
            self._kept[name] = path.read_bytes()
        self._written[name] = _identity(path)

    def beat(self, beat: Heartbeat) -> None:
        """Replace the heartbeat, and watch it until the next one.

        Raises:
            RecordError: it cannot be written.
        """
        beat.write(self._state)
        self._written[HEARTBEAT] = _identity(self._state / HEARTBEAT)

    def check(self, mode: Mode) -> tuple[str, ...]:
        """Look after all files; what others have done to them, one line each. ``mode``: at present in force.

        Raises:
            RecordError: a file cannot be written again.
        """
        try:
            found = [self._lock.renew()] if self._lock else []
        except RecordError as error:
            return (f"lock: {error}",)  # what lies there now belongs to another service
        found += [self._check(name) for name in self._written]
        found.append(self._check_commanded(mode))
        return tuple(text for text in found if text)

    def _check(self, name: str) -> str | None:
        """The heartbeat needs no help: the next one follows."""
        path = self._state / name
        if (there := _identity(path)) == self._written[name]:
            return None
        if name in self._kept:
            with recording(path):
                replace_file(path, self._kept[name], durable=False)
        self._written[name] = _identity(path)
        return f"{name} was {'replaced' if there else 'removed'}; written again"

    def _check_commanded(self, mode: Mode) -> str | None:
        found = read(self._state)
        if isinstance(found, Commanded) or self._commanded is None:
            self._commanded = found if isinstance(found, Commanded) else None
            return None
        lowest = self._commanded.mode.at_most(mode)
        lower(self._state, lowest, "the file was removed or damaged")
        return f"commanded mode was {found}; written again: {lowest}"


def _identity(path: Path) -> Identity | None:
    try:
        status: os.stat_result = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
