"""A TCP proxy in front of a server of the plant: it forwards everything, subject to the faults of the link.

Without a fault, bytes are forwarded as they arrive; with one, whole messages, so that faults begin and end between two
messages.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

from sim_plant.connections import Connection, LateWrite
from sim_plant.link_faults import LinkFault
from sim_plant.links import Link
from sim_plant.modbus_server import LOOPBACK, PortError

ANSWER_S = 1.0
"""How long (s) the plant waits for a server to answer delayed writes."""


class Proxy:
    """Listens at ``port`` and forwards to the server at ``server_port``; ``now_s`` is the plant's time."""

    def __init__(self, link: Link, port: int, server_port: int, now_s: Callable[[], float]) -> None:
        self._link, self._server_port, self._now_s = link, server_port, now_s
        self._reserved = _bound_socket(port)
        """Holds the port while the proxy does not listen."""
        self.port = int(self._reserved.getsockname()[1])
        self._listener: asyncio.Server | None = None
        self._listening_lock = asyncio.Lock()
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flapping: asyncio.Task[None] | None = None
        self._flapped_down = False
        self._late: list[tuple[float, LateWrite]] = []

    async def switch(self, fault: LinkFault, device: str, *, on: bool, number: float | None) -> None:
        """Begin or end a fault.

        Raises:
            FaultError: the link cannot have it, or not with this number.
        """
        self._link.switch(fault, device, on=on, number=number)
        if fault is LinkFault.FLAPPING:
            self._flap(self._link.number(fault))
        if fault is LinkFault.BLACK_HOLE and self._link.number(fault) is None:
            for connection in tuple(self._connections):
                connection.end_black_hole()
        await self.listen()

    async def listen(self) -> None:
        """Listen, or close the listener and reset all connections, as the active faults require."""
        async with self._listening_lock:
            down = self._flapped_down or self._link.number(LinkFault.DOWN) is not None
            if down and self._listener:
                self._listener.close()
                self._listener = None
                self._abort(reset=True)
            elif not down and not self._listener:
                sock = _bound_socket(self.port)
                self._listener = await asyncio.get_running_loop().create_server(self._accept, sock=sock)

    async def release(self, t_s: float) -> None:
        """Send the delayed writes that are due at ``t_s`` to the server; wait for its answers, at most ``ANSWER_S``."""
        due = [write for due_s, write in self._late if due_s <= t_s]
        self._late = [late for late in self._late if late[0] > t_s]
        if due:
            await asyncio.wait([write.connection.execute(write.request) for write in due], timeout=ANSWER_S)

    async def close(self) -> None:
        """End every connection and free the port."""
        self._flap(None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._listener:
            self._listener.close()
        self._abort(reset=False)
        self._reserved.close()
        await asyncio.sleep(0)

    def _abort(self, *, reset: bool) -> None:
        for connection in tuple(self._connections):
            connection.abort(reset=reset)

    def _accept(self) -> asyncio.Protocol:
        return Connection(self._link, self._accepted, self._connections.discard, self._hold).client

    def _accepted(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._start_task(self._connect_server(connection))

    async def _connect_server(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: connection.server, LOOPBACK, self._server_port)
        except OSError:
            connection.client.abort(reset=True)
        if not connection.is_closed:
            self._connections.add(connection)

    def _hold(self, write: LateWrite) -> None:
        self._late.append((self._now_s() + write.delay_s, write))

    def _flap(self, hz: float | None) -> None:
        if self._flapping:
            self._flapping.cancel()
        self._flapped_down = False
        self._flapping = None if hz is None else self._start_task(self._alternate(0.5 / hz))

    async def _alternate(self, half_period_s: float) -> None:
        while True:
            self._flapped_down = not self._flapped_down
            await self.listen()
            await asyncio.sleep(half_period_s)

    def _start_task(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


@asynccontextmanager
async def serve_proxy(link: Link, port: int, server_port: int, now_s: Callable[[], float]) -> AsyncIterator[Proxy]:
    """A proxy that listens until the block ends; port 0 selects a free one.

    Raises:
        PortError: the port is in use.
    """
    try:
        proxy = Proxy(link, port, server_port, now_s)
    except OSError as error:
        raise PortError(f"plant: asked port {port} of {LOOPBACK}, allowed a free one") from error
    try:
        await proxy.listen()
        yield proxy
    finally:
        await proxy.close()


def _bound_socket(port: int) -> socket.socket:
    """A socket bound to a port of this machine, not listening: several may be bound to it, and one may listen."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setblocking(False)
        sock.bind((LOOPBACK, port))
    except OSError:
        sock.close()
        raise
    return sock
