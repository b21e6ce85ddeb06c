"""A client's connection through a proxy: two sockets, and what a faulty link does to what passes between them."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sim_plant.link_faults import Ending, LinkFault, Piece
from sim_plant.links import Link

_NO_LINGER = struct.pack("ii", 1, 0)


class Half(asyncio.Protocol):
    """One of the two sockets; ``other`` is not read while this one cannot be written."""

    def __init__(self, made: Callable[[], None], received: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self.other: Half
        self.transport: asyncio.Transport | None = None
        self._made, self._received, self._lost = made, received, lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol, as are the next four."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._made()

    def data_received(self, data: bytes) -> None:
        """See above."""
        self._received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See above."""
        self.transport = None
        self._lost()

    def pause_writing(self) -> None:
        """See above."""
        self.other.read(wanted=False)

    def resume_writing(self) -> None:
        """See above."""
        self.other.read(wanted=True)

    def read(self, *, wanted: bool) -> None:
        """Go on reading, or pause."""
        if self.transport and wanted:
            self.transport.resume_reading()
        elif self.transport:
            self.transport.pause_reading()

    def send(self, data: bytes) -> None:
        """Send, unless it is closed."""
        if self.transport and not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        """Close once everything is sent."""
        if self.transport:
            self.transport.close()

    def abort(self, *, reset: bool) -> None:
        """Close at once, as a client sees it in good order or by a reset."""
        if not self.transport:
            return
        if reset:
            with suppress(OSError):
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()


@dataclass(frozen=True)
class LateWrite:
    """A request that the server gets ``delay_s`` later, by the plant's time."""

    connection: "Connection"
    request: bytes
    delay_s: float


class Connection:
    """A client's connection, and the one to the server that belongs to it.

    Args:
        accepted: told when the client is there, and ``closed`` when both sockets are closed.
        hold: takes requests that are late.
    """

    def __init__(
        self,
        link: Link,
        accepted: Callable[["Connection"], None],
        closed: Callable[["Connection"], None],
        hold: Callable[[LateWrite], None],
    ) -> None:
        self._link, self._closed, self._hold = link, closed, hold
        self.client = Half(lambda: accepted(self), self._asked, self._client_lost)
        self.server = Half(self._served, self._answered, self._server_lost)
        self.client.other, self.server.other = self.server, self.client
        self._requests, self._answers = bytearray(), bytearray()
        self._pieces: deque[Piece] = deque()
        self._executed: list[asyncio.Future[None]] = []
        self._late = 0
        self._orphan = False

    @property
    def over(self) -> bool:
        """Whether neither socket is open."""
        return not (self.client.transport or self.server.transport)

    def abort(self, *, reset: bool) -> None:
        """Close both sockets at once."""
        self.client.abort(reset=reset)
        self.server.abort(reset=reset)

    def heal(self) -> None:
        """The black hole is no more: what it has kept from the client is that the server has closed."""
        if self._orphan:
            self.client.abort(reset=True)

    def execute(self, request: bytes) -> asyncio.Future[None]:
        """Give the server a request that was late; done when the server has answered, or never will."""
        executed = asyncio.get_running_loop().create_future()
        self._late -= 1
        if self.server.transport:
            self._executed.append(executed)
            self.server.send(request)
        else:
            executed.set_result(None)
        return executed

    def _asked(self, data: bytes) -> None:
        self._requests += data
        if self.server.transport:
            self._pass_on()

    def _pass_on(self) -> None:
        """All requests so far to the server, unless something happens to them."""
        if self._link.sound:
            self.server.send(_emptied(self._requests))
            return
        for request in self._link.framing.whole_messages(self._requests):
            fault, number = self._link.request_fault(request)
            if fault is LinkFault.LATE_WRITE:
                self._late += 1
                self._hold(LateWrite(self, request, number))
            elif fault is None:
                self.server.send(request)

    def _served(self) -> None:
        self._pass_on()
        self._let_go()

    def _answered(self, data: bytes) -> None:
        self._settle()
        self._answers += data
        if self._link.sound and not self._pieces:
            self.client.send(_emptied(self._answers))
            return
        for answer in self._link.framing.whole_messages(self._answers):
            self._put(*self._link.answered(answer))

    def _put(self, *pieces: Piece) -> None:
        waiting = bool(self._pieces)
        if self.client.transport:
            self._pieces.extend(pieces)
        if not waiting:
            self._arm()

    def _arm(self) -> None:
        if self._pieces:
            asyncio.get_running_loop().call_later(self._pieces[0].pause_s, self._deliver)

    def _deliver(self) -> None:
        if not self._pieces:
            return
        piece = self._pieces.popleft()
        self.client.send(piece.data)
        if piece.ending is Ending.RESET:
            self.client.abort(reset=True)
        elif piece.ending is Ending.CLOSE:
            self.client.close()
        self._arm()

    def _settle(self) -> None:
        """The server has answered; a client that has gone needs it no longer, unless something late is to come."""
        for executed in self._executed:
            if not executed.done():
                executed.set_result(None)
        self._executed.clear()
        self._let_go()

    def _let_go(self) -> None:
        if not (self.client.transport or self._late or self._executed):
            self.server.close()

    def _client_lost(self) -> None:
        self._pieces.clear()
        self._let_go()
        self._check()

    def _server_lost(self) -> None:
        self._settle()
        self._orphan = self._link.number(LinkFault.BLACK_HOLE) is not None
        if not self._orphan:
            self._put(Piece(b"", ending=Ending.CLOSE))
        self._check()

    def _check(self) -> None:
        if self.over:
            self._closed(self)


def _emptied(buffer: bytearray) -> bytes:
    data = bytes(buffer)
    buffer.clear()
    return data
