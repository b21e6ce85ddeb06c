"""A lock file: one process of a kind per state folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import Fault, InputError


@contextmanager
def exclusive_lock(state: Path, lock: str, program: str) -> Iterator[None]:
    """Hold the file ``lock`` of a state folder, which is created if needed; the lock ends with the process in any case.

    Raises:
        InputError: another process of ``program`` holds it.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / lock).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError([Fault("--state", "", str(state), f"a folder that no running {program} uses")]) from error
        yield
