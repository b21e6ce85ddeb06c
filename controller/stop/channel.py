"""The server of a stop socket: a thread with an event loop of its own.

It listens before it loads what a release needs, keeps descriptors in reserve, and waits neither for the event loop of
the service nor for its disk. Whoever may open the socket may stop, and can do nothing else: the file belongs to the
service's user, with mode 0600, as does the operator's token.
"""

import asyncio
import logging
import os
import resource
import socket
import struct
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any, Protocol

from controller.stop.order import StopOrder, StopSwitch
from controller.stop.wire import REQUEST, StopProgress, short_path

_log = logging.getLogger(__name__)

CLIENTS_MAX = 16
"""Connections at a time; the oldest one gives way to a new one. The stop that it has asked for goes on."""
QUEUE = 128
REQUEST_S = 2.0
"""Time (s) for a client to say what it wants."""
LOOK_S, JOIN_S = 0.02, 2.0
"""Time (s) between two looks at an order's progress, and for the thread to end."""
RESERVED = 64
"""Descriptors kept for the releases of a stop."""


class StopExecutor(Protocol):
    """Releases every converter; it runs in the channel's thread."""

    async def execute(self, order: StopOrder) -> None:
        """Release, and report to the order."""
        ...

    async def close(self) -> None:
        """End what is in progress."""
        ...


class StopChannel:
    """Listens until :meth:`close`. ``load`` is called in a thread and returns what executes the orders."""

    def __init__(self, listener: socket.socket, switch: StopSwitch, load: Callable[[], StopExecutor]) -> None:
        self._listener, self._switch, self._load = listener, switch, load
        self._reserve, self._ready, self._done_loading = Reserve(RESERVED), Event(), Event()
        self._loop: asyncio.AbstractEventLoop
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._clients: dict[asyncio.Task[None], None] = {}
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="stop", daemon=True)

    def open(self) -> None:
        """Begin to listen; returns when orders are accepted."""
        self._thread.start()
        self._ready.wait()

    def wait_loaded(self) -> None:
        """Return once what releases is loaded: nothing else should delay that."""
        self._done_loading.wait()

    def close(self) -> None:
        """End the thread, and what it is doing."""
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(JOIN_S)
        self._reserve.spend()

    async def _serve(self) -> None:
        self._loop, self._ended = asyncio.get_running_loop(), asyncio.Event()
        self._loaded = self._loop.run_in_executor(None, self._load)
        self._loaded.add_done_callback(lambda _: self._done_loading.set())
        accepting = asyncio.create_task(self._accept())
        with self._switch.heard(self._heard):
            self._ready.set()
            await self._ended.wait()
        tasks = (accepting, *self._tasks, *self._clients)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await (await self._loaded).close()

    def _heard(self, order: StopOrder) -> None:
        """Of a stop that came through the socket, or by another way into this process."""
        with suppress(RuntimeError):  # the thread has ended: so has the service
            self._loop.call_soon_threadsafe(lambda: self._keep(self._tasks, self._execute(order)))

    async def _execute(self, order: StopOrder) -> None:
        self._reserve.spend()
        try:
            executor = await asyncio.shield(self._loaded)
            await executor.execute(order)
        except Exception:  # the next stop must be executed all the same
            _log.exception("stop failed")
        finally:
            order.ended = True
            self._reserve.refill()

    async def _accept(self) -> None:
        while True:
            try:
                client, _ = await self._loop.sock_accept(self._listener)
            except OSError as error:
                _log.error("stop socket: %s", error)
                self._reserve.spend()
                await asyncio.sleep(LOOK_S)
                continue
            answering = self._keep(self._clients, self._answer(client))
            answering.add_done_callback(partial(_close, client))
            if len(self._clients) > CLIENTS_MAX:
                next(iter(self._clients)).cancel()

    async def _answer(self, client: socket.socket) -> None:
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(REQUEST_S):
                request = await self._loop.sock_recv(client, len(REQUEST) + 1)
            if request != REQUEST:
                return
            order, told = self._switch.trip(_peer(client)), None
            while told is None or not told.ended:
                progress = StopProgress(order.outcomes, order.ended)
                if progress != told:
                    await self._loop.sock_sendall(client, progress.line)
                told = progress
                await asyncio.sleep(LOOK_S)

    def _keep(self, tasks: dict[asyncio.Task[None], None], work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        tasks[task] = None
        task.add_done_callback(lambda done: tasks.pop(done, None))
        return task


class Reserve:
    """Descriptors that are kept open until a stop needs them."""

    def __init__(self, count: int) -> None:
        self._count, self._kept = count, list[int]()
        self.refill()

    def spend(self) -> None:
        """Give all of them back to the process, and more if its limit allows."""
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        while self._kept:
            os.close(self._kept.pop())

    def refill(self) -> None:
        """Take as many as there are, up to the reserve's size."""
        with suppress(OSError):
            while len(self._kept) < self._count:
                self._kept.append(os.open(os.devnull, os.O_RDONLY))


@contextmanager
def stop_channel(
    folder: Path, name: str, switch: StopSwitch, load: Callable[[], StopExecutor]
) -> Iterator[StopChannel]:
    """Listen at the socket ``name`` of a folder until the block ends; the caller holds a lock of that folder.

    Raises:
        OSError: the socket cannot be made.
    """
    with _listening(folder, name) as listener:
        channel = StopChannel(listener, switch, load)
        channel.open()
        try:
            yield channel
        finally:
            channel.close()


@contextmanager
def _listening(folder: Path, name: str) -> Iterator[socket.socket]:
    path = folder / name
    path.unlink(missing_ok=True)  # left behind by a process that was killed
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        mask = os.umask(0o177)
        try:
            with short_path(folder, name) as short:
                listener.bind(short)
        finally:
            os.umask(mask)
        listener.listen(QUEUE)
        listener.setblocking(False)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def _close(client: socket.socket, _: asyncio.Task[None]) -> None:
    client.close()


def _peer(client: socket.socket) -> str:
    """The client's process, as the kernel knows it."""
    size = struct.calcsize("3i")
    pid, uid, _ = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return f"user {uid}, process {pid}"
