"""Emergency stops reach the event loop of a service, from whatever thread they are asked in."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from controller.stop.order import StopOrder


class Obedience:
    """Calls ``stop`` once per order; made in the event loop that it calls it in."""

    def __init__(self, stop: Callable[[StopOrder], Coroutine[Any, Any, None]]) -> None:
        self._stop, self._loop = stop, asyncio.get_running_loop()
        self._obeying: dict[int, asyncio.Task[None]] = {}

    def hear(self, order: StopOrder) -> None:
        """Of a stop, in whatever thread it was asked for."""
        with suppress(RuntimeError):  # the event loop has ended: so has the service
            self._loop.call_soon_threadsafe(self.obey, order)

    def obey(self, order: StopOrder) -> asyncio.Task[None]:
        """Stop; in the event loop."""
        if order.number not in self._obeying:
            self._obeying[order.number] = task = asyncio.create_task(self._stop(order))
            task.add_done_callback(lambda _: self._obeying.pop(order.number, None))
        return self._obeying[order.number]
