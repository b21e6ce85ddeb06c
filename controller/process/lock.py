"""One process of a kind per state folder.

The claim lies on the folder itself: a record lock of the open folder (``F_OFD_SETLK``), one byte per kind of process.
Whoever removes the lock file, or reaches the folder by another path, does not get around it. The lock file is locked as
well (``flock``): it decides between two processes that start at the same moment, and versions until 0.1 know only it.
Both locks end with the process in any case.
"""

import fcntl
import os
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Self
from zlib import crc32

from controller.process.failures import RecordError, recording
from core.errors import Fault, InputError

_RECORD_LOCK = struct.Struct("hhqqi")
"""``struct flock``: type, whence, start, length, pid."""
SERVICE_LOCK, GUARDIAN_LOCK = "lock", "guardian.lock"
CLOSED = -1
PATIENCE, PATIENCE_S = 5, 0.05


class HeldElsewhereError(RecordError):
    """A living process holds the state folder."""


class FolderLock:
    """The claim of one process on a state folder; open while it runs."""

    def __init__(self, state: Path, lock: str) -> None:
        self._state, self._lock = state, lock
        self._folder = self._file = CLOSED

    def __enter__(self) -> Self:
        """Claim the folder.

        Raises:
            HeldElsewhereError: another process has claimed it.
            RecordError: folder or lock file cannot be opened.
        """
        try:
            self._lock_file()
            self._claim_folder()
        except RecordError:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    @property
    def in_place(self) -> bool:
        """Whether the folder at the path is still the claimed one."""
        return _same(self._state, self._folder)

    def renew(self) -> str | None:
        """Claim again what somebody has removed or replaced; what that was, None if nothing.

        Raises:
            HeldElsewhereError: another process has claimed what is there now.
            RecordError: it cannot be claimed.
        """
        path = self._state / self._lock
        folder, file = self.in_place, _same(path, self._file)
        if folder and file:
            return None
        if not folder:
            self._state.mkdir(parents=True, exist_ok=True, mode=0o750)
            self._claim_folder()
        if not file:
            self._lock_file()
        return f"{(path if folder else self._state).name} was removed or replaced; locked again"

    def _lock_file(self) -> None:
        """Lock the file that is there now, in place of the one before."""
        path = self._state / self._lock
        with recording(path), ExitStack() as stack:
            file = _opened(stack, path, os.O_RDWR | os.O_CREAT)
            if not _flocked(file):
                raise HeldElsewhereError(f"{path}: locked by another process")
            stack.pop_all()
        _close(self._file)
        self._file = file

    def _claim_folder(self) -> None:
        """Put our mark on the folder that is there now, then look for others: of two processes one sees the other."""
        with recording(self._state), ExitStack() as stack:
            folder = _opened(stack, self._state, os.O_RDONLY | os.O_DIRECTORY)
            _record_lock(folder, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, self._lock)
            if _claimed(folder, self._lock):
                raise HeldElsewhereError(f"{self._state}: claimed by another process")
            stack.pop_all()
        _close(self._folder)
        self._folder = folder

    def _close(self) -> None:
        _close(self._folder)
        _close(self._file)
        self._folder = self._file = CLOSED


@contextmanager
def exclusive_lock(state: Path, lock: str, program: str) -> Iterator[FolderLock]:
    """Hold the lock ``lock`` of a state folder, which is created if needed.

    Raises:
        InputError: another process of ``program`` holds it.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o750)
    with ExitStack() as stack:
        try:
            held = stack.enter_context(FolderLock(state, lock))
        except HeldElsewhereError as error:
            raise InputError([Fault("--state", "", str(state), f"a folder that no running {program} uses")]) from error
        yield held


def is_held(state: Path, lock: str) -> bool:
    """Whether a living process holds this lock of a state folder; False if that cannot be seen."""
    with suppress(OSError), ExitStack() as stack:
        if _claimed(_opened(stack, state, os.O_RDONLY | os.O_DIRECTORY), lock):
            return True
        try:
            fcntl.flock(_opened(stack, state / lock, os.O_RDONLY), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _flocked(file: int) -> bool:
    """Lock an open file; a client that looks whether it is locked holds it for an instant."""
    for _ in range(PATIENCE):
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(PATIENCE_S)
    return False


def _claimed(folder: int, lock: str) -> bool:
    """Whether another open folder has a mark: it would conflict with an exclusive lock."""
    return _record_lock(folder, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, lock) != fcntl.F_UNLCK


def _record_lock(folder: int, command: int, kind: int, lock: str) -> int:
    """A command on the byte that stands for this lock; the kind of lock in the answer."""
    asked = _RECORD_LOCK.pack(kind, os.SEEK_SET, crc32(lock.encode()), 1, 0)
    answer: int = _RECORD_LOCK.unpack(fcntl.fcntl(folder, command, asked))[0]
    return answer


def _opened(stack: ExitStack, path: Path, flags: int) -> int:
    descriptor = os.open(path, flags, 0o640)
    stack.callback(os.close, descriptor)
    return descriptor


def _close(descriptor: int) -> None:
    if descriptor != CLOSED:
        os.close(descriptor)


def _same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False
