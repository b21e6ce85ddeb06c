"""The first Ctrl-C asks a computation to end with what it has; the second one aborts it."""

import signal
from threading import current_thread, main_thread
from types import FrameType
from typing import Any, Self


class Interrupts:
    """While the block runs, the first SIGINT or SIGTERM is noted, and a second one has its usual effect.

    Only the main thread of a process receives signals; in any other thread this does nothing.
    """

    def __init__(self) -> None:
        self._noted = False
        self._numbers = (signal.SIGINT, signal.SIGTERM) if current_thread() is main_thread() else ()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in self._numbers}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def requested(self) -> bool:
        """Whether a signal has arrived."""
        return self._noted

    def _note(self, _: int, __: FrameType | None) -> None:
        self._noted = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
