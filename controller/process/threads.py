"""Work that may hang with a disk, in a thread that keeps neither the event loop nor the end of the process waiting."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


def in_daemon_thread(work: Callable[[], T]) -> asyncio.Future[T]:
    """Begin ``work`` at once; the future has its result. Cancelling the future does not end the work."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(report: Callable[[], None]) -> None:
        if not future.done():
            report()

    def run() -> None:
        try:
            report = partial(future.set_result, work())
        except Exception as error:  # the caller's to handle
            report = partial(future.set_exception, error)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(settle, report)

    Thread(target=run, daemon=True).start()
    return future
