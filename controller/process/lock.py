"""One process of a kind per state folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import Fault, InputError


@contextmanager
def only_one(state: Path, lock: str, who: str) -> Iterator[None]:
    """Hold the file ``lock`` of a state folder, made if need be; the lock ends with the process, however that ends.

    Raises:
        InputError: another ``who`` holds it.
    """
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / lock).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError([Fault("--state", "", str(state), f"a folder that no running {who} uses")]) from error
        yield
