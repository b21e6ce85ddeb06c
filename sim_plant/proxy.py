"""A TCP proxy in front of a server of the plant: it passes everything on, unless the link has a fault.

On a sound link bytes are passed on as they come; with a fault it is whole messages, so that a fault begins and ends
between them.
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
"""How long the plant waits for its servers to take writes that were late."""


class Proxy:
    """Listens at ``port`` and passes on to the server at ``server_port``; ``now_s`` is the plant's time."""

    def __init__(self, link: Link, port: int, server_port: int, now_s: Callable[[], float]) -> None:
        self._link, self._server_port, self._now_s = link, server_port, now_s
        self._keeper = _bound(port)
        """Keeps the port while nobody listens there."""
        self.port = int(self._keeper.getsockname()[1])
        self._listener: asyncio.Server | None = None
        self._turn = asyncio.Lock()
        self._connections: set[Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flapping: asyncio.Task[None] | None = None
        self._low = False
        self._late: list[tuple[float, LateWrite]] = []

    async def switch(self, fault: LinkFault, device: str, *, on: bool, number: float | None) -> None:
        """Begin or end a fault.

        Raises:
            FaultError: a number that it cannot have.
        """
        self._link.switch(fault, device, on=on, number=number)
        if fault is LinkFault.FLAPPING:
            self._flap(self._link.number(fault))
        if fault is LinkFault.BLACK_HOLE and self._link.number(fault) is None:
            for connection in tuple(self._connections):
                connection.heal()
        await self.listen()

    async def listen(self) -> None:
        """Listen, or refuse and reset, as the faults are just now."""
        async with self._turn:
            down = self._low or self._link.number(LinkFault.DOWN) is not None
            if down and self._listener:
                self._listener.close()
                self._listener = None
                self._abort(reset=True)
            elif not down and not self._listener:
                place = _bound(self.port)
                self._listener = await asyncio.get_running_loop().create_server(self._accept, sock=place)

    async def release(self, t_s: float) -> None:
        """Let the server have the writes that are due; it has taken them then."""
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
        self._keeper.close()
        await asyncio.sleep(0)

    def _abort(self, *, reset: bool) -> None:
        for connection in tuple(self._connections):
            connection.abort(reset=reset)

    def _accept(self) -> asyncio.Protocol:
        return Connection(self._link, self._accepted, self._connections.discard, self._hold).client

    def _accepted(self, connection: Connection) -> None:
        self._connections.add(connection)
        self._start(self._dial(connection))

    async def _dial(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(lambda: connection.server, LOOPBACK, self._server_port)
        except OSError:
            connection.client.abort(reset=True)
        if not connection.over:
            self._connections.add(connection)

    def _hold(self, write: LateWrite) -> None:
        self._late.append((self._now_s() + write.delay_s, write))

    def _flap(self, hz: float | None) -> None:
        if self._flapping:
            self._flapping.cancel()
        self._low = False
        self._flapping = None if hz is None else self._start(self._alternate(0.5 / hz))

    async def _alternate(self, half_period_s: float) -> None:
        while True:
            self._low = not self._low
            await self.listen()
            await asyncio.sleep(half_period_s)

    def _start(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


@asynccontextmanager
async def serve_proxy(link: Link, port: int, server_port: int, now_s: Callable[[], float]) -> AsyncIterator[Proxy]:
    """A proxy that listens until the block ends; port 0 takes a free one.

    Raises:
        PortError: the port is taken.
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


def _bound(port: int) -> socket.socket:
    """A socket at a port of this machine that does not listen: two may be there, and one that listens."""
    place = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        place.setblocking(False)
        place.bind((LOOPBACK, port))
    except OSError:
        place.close()
        raise
    return place
