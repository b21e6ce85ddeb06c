"""Files that a command writes are for its user and group: 0640, folders 0750."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

FOR_OTHERS, BY_GROUP = 0o007, 0o020


@contextmanager
def private_files() -> Iterator[None]:
    """Whatever the umask of the caller is, while the block lasts new files are neither readable by others nor writable
    by the group; a stricter umask stays. It holds for child processes as well.
    """
    before = os.umask(FOR_OTHERS | BY_GROUP)
    os.umask(before | FOR_OTHERS | BY_GROUP)
    try:
        yield
    finally:
        os.umask(before)
