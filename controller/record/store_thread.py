"""A thread that executes the writes of one store in the order in which they were requested.

The event loop never waits for a disk: it requests a write and goes on, or waits for its end with a deadline. A write
that has missed a deadline is executed all the same, so that nothing is lost and the order never changes.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from controller.process.failures import RecordError

_log = logging.getLogger(__name__)

T = TypeVar("T")
RECORD_S = 9.0
"""How long a setpoint waits for its record: three times 3 s per fsync. With the readings (1 s) and the writes (8 s) a
cycle stays within its deadline.
"""
WAITING_MAX = 200
"""Writes that may wait: more than an hour and a half of cycles."""
LATE_S = 5.0
"""A write that waits longer is an alarm."""
DRAIN_S = 15.0
"""How long the end of a service waits for its last records."""


class LateRecordError(RecordError):
    """A record is not on the disk within its deadline; it will be written later."""


class _Job:
    """One write; its result, or the error that it has raised."""

    def __init__(self, write: Callable[[], Any], future: "asyncio.Future[Any]") -> None:
        self._write, self._future = write, future
        self._result: Any = None
        self.error: BaseException | None = None

    def execute(self) -> None:
        try:
            self._result = self._write()
        except BaseException as error:  # it belongs to whoever requested the write
            self.error = error

    def resolve(self) -> None:
        if self._future.done():
            return
        if self.error is None:
            self._future.set_result(self._result)
        else:
            self._future.set_exception(self.error)


class StoreThread:
    """Open while its store is. Only the event loop of ``async with`` may request writes.

    Args:
        patient: deadlines do not count, as in virtual time: a run must not depend on how fast the disk is.
        together: what all writes that wait at a time share, such as one fsync; if its end fails, all of them have
            failed. None: each write stands alone.
    """

    def __init__(
        self, name: str, *, patient: bool = False, together: Callable[[], AbstractContextManager[None]] | None = None
    ) -> None:
        self.name, self._patient, self._together = name, patient, together
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._requested_s: deque[float] = deque()
        self._stack, self._failure = ExitStack(), ""
        self._last: asyncio.Future[Any] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._closed = True

    async def __aenter__(self) -> Self:
        """Start the thread."""
        self._loop, self._closed = asyncio.get_running_loop(), False
        Thread(target=self._run, name=self.name, daemon=True).start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Execute what waits, then close the stores; give up after :data:`DRAIN_S`."""
        closing = self.request(self._stack.close)
        self._closed = True
        self._jobs.put(None)
        if not (await asyncio.wait([closing], timeout=DRAIN_S))[0]:
            _log.error("%s: the disk does not respond; %d records are not written", self.name, len(self._requested_s))

    async def enter(self, store: AbstractContextManager[T]) -> T:
        """Open a store in the thread; it is closed there, after all writes.

        Raises:
            RecordError: it cannot be opened.
        """
        return await self.request(lambda: self._stack.enter_context(store))

    def request(self, write: Callable[[], T], *, look: bool = False) -> "asyncio.Future[T]":
        """Request a write. The result may be awaited; it is an error if too many wait, or the store is closed.

        Args:
            look: it usually writes nothing, so that its success does not show that records can be written.
        """
        future: asyncio.Future[T] = self._loop.create_future()
        future.add_done_callback(partial(self._finished, look=look))
        if self._closed or self.full:
            reason = "is closed" if self._closed else f"has {WAITING_MAX} records that wait for the disk"
            future.set_exception(RecordError(f"{self.name}: it {reason}"))
            return future
        self._last = future
        self._requested_s.append(time.monotonic())
        self._jobs.put(_Job(write, future))
        return future

    async def done(self, write: Callable[[], T], within_s: float = RECORD_S) -> T:
        """Request a write and wait for its end.

        Raises:
            LateRecordError: it has not ended within ``within_s``; it goes on.
            RecordError: it failed.
        """
        return await self.ended(self.request(write), within_s)

    async def ended(self, requested: "asyncio.Future[T]", within_s: float = RECORD_S) -> T:
        """Wait for the end of a requested write; several may wait for the same one.

        Raises:
            LateRecordError, RecordError: as above.
        """
        finished, _ = await asyncio.wait([requested], timeout=None if self._patient else within_s)
        if not finished:
            raise LateRecordError(f"{self.name}: not on the disk within {within_s:.3g} s")
        return requested.result()

    async def settled(self, within_s: float | None = None) -> None:
        """Wait until everything that was requested has ended, at most for ``within_s``; failures count as ended."""
        if self._last and not self._last.done():
            await asyncio.wait([self._last], timeout=None if self._patient else within_s)

    @property
    def full(self) -> bool:
        """Whether so many writes wait that no more may be requested."""
        return len(self._requested_s) >= WAITING_MAX

    @property
    def failure(self) -> str:
        """Why nothing can be written at present; empty if the last write succeeded, and none waits for long."""
        with suppress(IndexError):
            if (waiting_s := time.monotonic() - self._requested_s[0]) > LATE_S and not self._patient:
                return f"the disk is slow: {len(self._requested_s)} records wait, the first for {waiting_s:.0f} s"
        return self._failure

    def _finished(self, future: "asyncio.Future[Any]", *, look: bool) -> None:
        """Log once that records are lost, and once that they are back."""
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            if look:
                return
            if self._failure:
                _log.info("%s back", self.name)
            self._failure = ""
            return
        if not isinstance(error, RecordError):
            _log.error("%s: a record could not be made", self.name, exc_info=error)
        elif not self._failure:
            _log.error("%s lost: %s", self.name, error)
        self._failure = str(error) or type(error).__name__

    def _run(self) -> None:
        while batch := self._next_batch():
            self._execute(batch)
            for _ in batch:
                self._requested_s.popleft()
            with suppress(RuntimeError):  # the event loop has already ended
                self._loop.call_soon_threadsafe(_resolve, batch)

    def _next_batch(self) -> list[_Job]:
        """The next job, with all others that wait now if they may share something; none if the thread is to end."""
        job, batch = self._jobs.get(), list[_Job]()
        with suppress(Empty):
            while job is not None:
                batch.append(job)
                if self._together is None:
                    return batch
                job = self._jobs.get_nowait()
            self._jobs.put(None)
        return batch

    def _execute(self, batch: list[_Job]) -> None:
        try:
            with self._together() if self._together else nullcontext():
                for job in batch:
                    job.execute()
        except BaseException as error:
            for job in batch:
                job.error = job.error or error


def _resolve(batch: list[_Job]) -> None:
    for job in batch:
        job.resolve()
