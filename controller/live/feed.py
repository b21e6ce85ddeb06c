"""What waits for one client: few updates, and if it is too slow for them one picture of the whole instead."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import cached_property

WAITING_MAX = 16


class FeedMessage:
    """An event of the stream; its text is made once, by the first client that takes it."""

    def __init__(self, event: str, make: Callable[[], str]) -> None:
        self.event = event
        self._make = make

    @cached_property
    def text(self) -> str:
        """Its data, JSON on one line."""
        return self._make()


class Feed:
    """Never more than :data:`WAITING_MAX` messages, and putting never waits.

    It begins with the whole, and begins again when a client is too slow. While the whole is due nothing else waits: it
    is made when it is taken, and then includes every update until that moment.
    """

    def __init__(self, whole: Callable[[], FeedMessage]) -> None:
        self._whole = whole
        self._whole_due = True
        self._waiting: deque[FeedMessage] = deque()
        self._news = asyncio.Event()
        self._news.set()
        self.ended = False

    def __len__(self) -> int:
        return len(self._waiting) + self._whole_due

    def put(self, message: FeedMessage) -> None:
        """Append an update."""
        if len(self) >= WAITING_MAX:
            self._waiting.clear()
            self._whole_due = True
        elif not self._whole_due:
            self._waiting.append(message)
        self._news.set()

    def end(self) -> None:
        """No message follows."""
        self.ended = True
        self._news.set()

    async def next(self, within_s: float) -> FeedMessage | None:
        """The oldest message; None if none comes in that time, or ever."""
        try:
            async with asyncio.timeout(within_s):
                await self._news.wait()
        except TimeoutError:
            return None
        if self.ended:
            return None
        if self._whole_due:
            self._whole_due = False
            message = self._whole()
        else:
            message = self._waiting.popleft()
        if not self._waiting:
            self._news.clear()
        return message
