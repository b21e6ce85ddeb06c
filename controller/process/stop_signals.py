"""The signals that end a service, from its first line on: what comes before the event loop runs is not lost."""

import asyncio
import signal
from collections.abc import Callable

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class StopSignals:
    """``seen``: whether there was one since :meth:`hold`."""

    def __init__(self) -> None:
        self.seen = False
        self._tell: Callable[[], None] = lambda: None

    def hold(self) -> None:
        """From now on a signal ends nothing, but is remembered. To be called by the main thread."""
        for number in NUMBERS:
            signal.signal(number, self._note)

    def tell(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` in the running event loop at the first signal, or now if there was one."""
        self._tell = listener
        loop = asyncio.get_running_loop()
        for number in NUMBERS:
            loop.add_signal_handler(number, self._note)
        if self.seen:
            listener()

    def _note(self, *_: object) -> None:
        if not self.seen:
            self.seen = True
            self._tell()
