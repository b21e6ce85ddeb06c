"""The file under an audit trail: appended to, cut into parts, and mended when somebody else touches it.

A file that was removed, renamed or replaced is written again from the one that is still open; what lies in its place is
set aside. What was cut off or overwritten inside the file is lost, and said.
"""

import os
from io import FileIO
from itertools import count
from pathlib import Path

from controller.process.failures import RecordError, recording
from controller.process.files import sync_folder
from controller.record.audit_parts import part_after

PART_BYTES = 32_000_000
"""A part that is longer is closed, and a new one begins: about three days of a site with five converters."""
_BLOCK_BYTES = 1 << 20


class AuditFile:
    """Open between :meth:`open` and :meth:`close`; every method may raise ``RecordError``."""

    def __init__(self, path: Path, part_bytes: int = PART_BYTES) -> None:
        self._path, self._part_bytes = path, part_bytes
        self._file: FileIO | None = None
        self._size = self._written_ns = 0

    def open(self) -> None:
        """Open the file, which is created if needed."""
        with recording(self._path):
            self._use(self._path.open("ab+", buffering=0))
            sync_folder(self._path.parent)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    @property
    def full(self) -> bool:
        """Whether a new part is due."""
        return self._size >= self._part_bytes

    def append(self, data: bytes) -> int:
        """Write at the end; returns how many bytes the disk took."""
        file = self._opened()
        with recording(self._path):
            try:
                return file.write(data)
            finally:
                self._remember(file)

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        with recording(self._path):
            os.fsync(self._opened().fileno())

    def begin_part(self) -> str:
        """Close this part and begin the next; at no moment is there no file. Returns the closed one's name."""
        closed, new = part_after(self._path), self._path.with_name(f"{self._path.name}.new")
        with recording(self._path):
            new.open("wb").close()
            closed.hardlink_to(self._path)
            new.replace(self._path)
            self._replace(self._path.open("ab+", buffering=0))
        return closed.name

    def mend(self) -> str | None:
        """Undo what somebody else has done to the file; says what it was, None if nothing."""
        file, name = self._opened(), self._path.name
        with recording(self._path):
            held = os.fstat(file.fileno())
            there = _status(self._path)
            if there is None or not os.path.samestat(there, held):
                aside = self._write_again(file)
                return f"{name} was {f'replaced, now {aside}' if aside else 'removed or renamed'}; written again"
            if held.st_size < self._size:
                text = f"{name} was shortened from {self._size} to {held.st_size} bytes"
            elif (held.st_size, held.st_mtime_ns) != (self._size, self._written_ns):
                text = f"{name} was written by somebody else"
            else:
                return None
            self._remember(file)
        return text

    def ends_whole(self) -> bool:
        """Whether the last line has its end."""
        file = self._opened()
        with recording(self._path):
            size = os.fstat(file.fileno()).st_size
            return not size or os.pread(file.fileno(), 1, size - 1) == b"\n"

    def _write_again(self, file: FileIO) -> str | None:
        """Copy the open file to its path; the name under which something in its place was set aside."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new, aside = self._path.with_name(f"{self._path.name}.new"), None
        with new.open("wb", buffering=0) as copy:
            _copy(file, copy)
            os.fsync(copy.fileno())
        if _status(self._path):
            aside = next(p for k in count(1) if not (p := _aside(self._path, k)).exists())
            self._path.rename(aside)
        new.rename(self._path)
        self._replace(self._path.open("ab+", buffering=0))
        return aside.name if aside else None

    def _replace(self, file: FileIO) -> None:
        sync_folder(self._path.parent)
        self.close()
        self._use(file)

    def _use(self, file: FileIO) -> None:
        self._file = file
        self._remember(file)

    def _remember(self, file: FileIO) -> None:
        status = os.fstat(file.fileno())
        self._size, self._written_ns = status.st_size, status.st_mtime_ns

    def _opened(self) -> FileIO:
        if self._file is None:
            raise RecordError(f"{self._path}: the audit trail is not open")
        return self._file


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.aside-{number}")


def _copy(source: FileIO, target: FileIO) -> None:
    """Copy a whole file.

    Raises:
        OSError: the disk takes only a part.
    """
    offset = 0
    while block := os.pread(source.fileno(), _BLOCK_BYTES, offset):
        if (written := target.write(block)) != len(block):
            raise OSError(None, f"{written} of {len(block)} bytes written")
        offset += len(block)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
