"""How small files are written so that a reader, and a restart after a power loss, finds the old or the new content."""

import os
from pathlib import Path


def replace_file(path: Path, content: bytes, *, durable: bool) -> None:
    """Replace a file at once, by a new one beside it.

    Args:
        durable: whether it is on the disk when this returns; else a power loss may bring the old content back.

    Raises:
        OSError: it cannot be written.
    """
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        if durable:
            file.flush()
            os.fsync(file.fileno())
    new.replace(path)
    if durable:
        sync_folder(path.parent)


def overwrite(path: Path, content: bytes, offset: int, *, durable: bool) -> None:
    """Overwrite a part of a file in place, which needs no free block of the disk.

    Raises:
        OSError: it is not there, or cannot be written, or only in part.
    """
    descriptor = os.open(path, os.O_WRONLY)
    try:
        if (written := os.pwrite(descriptor, content, offset)) != len(content):
            raise OSError(None, f"{written} of {len(content)} bytes written")
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Put new names of a folder on the disk: without this, a power loss may remove them.

    Raises:
        OSError: it cannot be done.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
