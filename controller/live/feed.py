"""The queue of updates for one client; a client that is too slow gets the full state instead of its updates."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import cached_property

WAITING_MAX = 16


class FeedMessage:
    """An event of the stream; its text is created once, when the first client needs it."""

    def __init__(self, event: str, make: Callable[[], str]) -> None:
        self.event = event
        self._make = make

    @cached_property
    def text(self) -> str:
        """Its data as JSON on one line."""
        return self._make()


class Feed:
    """A queue of at most :data:`WAITING_MAX` messages; adding to it never waits.

    It begins with the full state, and again after a client has been too slow. While the full state is due no update is
    queued: it is created when the client takes it, and includes every update until then.
    """

    def __init__(self, full: Callable[[], FeedMessage]) -> None:
        self._full = full
        self._full_due = True
        self._waiting: deque[FeedMessage] = deque()
        self._available = asyncio.Event()
        self._available.set()
        self.ended = False

    def __len__(self) -> int:
        return len(self._waiting) + self._full_due

    def put(self, message: FeedMessage) -> None:
        """Append an update."""
        if len(self) >= WAITING_MAX:
            self._waiting.clear()
            self._full_due = True
        elif not self._full_due:
            self._waiting.append(message)
        self._available.set()

    def end(self) -> None:
        """Mark that no message follows."""
        self.ended = True
        self._available.set()

    async def next(self, within_s: float) -> FeedMessage | None:
        """Wait for the oldest message; None if none arrives within ``within_s``, or the feed has ended."""
        try:
            async with asyncio.timeout(within_s):
                await self._available.wait()
        except TimeoutError:
            return None
        if self.ended:
            return None
        if self._full_due:
            self._full_due = False
            message = self._full()
        else:
            message = self._waiting.popleft()
        if not self._waiting:
            self._available.clear()
        return message
