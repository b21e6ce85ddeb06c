"""A client's connection through the proxy: two sockets, and the effect of link faults on the messages between them."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from sim_plant.link_faults import LinkEnding, LinkFault, Piece
from sim_plant.links import Link

_NO_LINGER = struct.pack("ii", 1, 0)


class ProxySocket(asyncio.Protocol):
    """One of the two sockets of a proxied connection; while it cannot be written to, ``other`` is not read (back
    pressure).
    """

    def __init__(self, made: Callable[[], None], received: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        self.other: ProxySocket
        self.transport: asyncio.Transport | None = None
        self._made, self._received, self._lost = made, received, lost

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio, as are the next four methods."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._made()

    def data_received(self, data: bytes) -> None:
        """Pass the data to the connection."""
        self._received(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Report the loss to the connection."""
        self.transport = None
        self._lost()

    def pause_writing(self) -> None:
        """Stop reading from the other socket."""
        self.other.read(wanted=False)

    def resume_writing(self) -> None:
        """Read from the other socket again."""
        self.other.read(wanted=True)

    def read(self, *, wanted: bool) -> None:
        """Resume or pause reading."""
        if self.transport and wanted:
            self.transport.resume_reading()
        elif self.transport:
            self.transport.pause_reading()

    def send(self, data: bytes) -> None:
        """Send the data; drop it if the socket is closed."""
        if self.transport and not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        """Close after everything is sent."""
        if self.transport:
            self.transport.close()

    def abort(self, *, reset: bool) -> None:
        """Close at once, with a TCP reset (RST) or in the regular way (FIN)."""
        if not self.transport:
            return
        if reset:
            with suppress(OSError):
                self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()


@dataclass(frozen=True)
class LateWrite:
    """A write request that reaches the server ``delay_s`` later, in plant time."""

    connection: "Connection"
    request: bytes
    delay_s: float


class Connection:
    """A client's connection and the matching connection to the server.

    Args:
        accepted: called once the client is connected; ``closed`` once both sockets are closed.
        hold: receives the requests that are to be delayed.
    """

    def __init__(
        self,
        link: Link,
        accepted: Callable[["Connection"], None],
        closed: Callable[["Connection"], None],
        hold: Callable[[LateWrite], None],
    ) -> None:
        self._link, self._closed, self._hold = link, closed, hold
        self.client = ProxySocket(lambda: accepted(self), self._client_sent, self._client_lost)
        self.server = ProxySocket(self._server_connected, self._server_sent, self._server_lost)
        self.client.other, self.server.other = self.server, self.client
        self._requests, self._answers = bytearray(), bytearray()
        self._pieces: deque[Piece] = deque()
        self._executing: list[asyncio.Future[None]] = []
        self._late = 0
        self._server_closed_unseen = False

    @property
    def is_closed(self) -> bool:
        """Whether both sockets are closed."""
        return not (self.client.transport or self.server.transport)

    def abort(self, *, reset: bool) -> None:
        """Close both sockets at once."""
        self.client.abort(reset=reset)
        self.server.abort(reset=reset)

    def end_black_hole(self) -> None:
        """Reset the client if the server closed during the black hole: the fault had hidden that from the client."""
        if self._server_closed_unseen:
            self.client.abort(reset=True)

    def execute(self, request: bytes) -> asyncio.Future[None]:
        """Send a delayed request to the server. The future is done once the server has answered or its connection is
        closed.
        """
        executed = asyncio.get_running_loop().create_future()
        self._late -= 1
        if self.server.transport:
            self._executing.append(executed)
            self.server.send(request)
        else:
            executed.set_result(None)
        return executed

    def _client_sent(self, data: bytes) -> None:
        self._requests += data
        if self.server.transport:
            self._forward_requests()

    def _forward_requests(self) -> None:
        """Send all requests received so far to the server, subject to the request faults."""
        if self._link.fault_free:
            self.server.send(_drained(self._requests))
            return
        for request in self._link.framing.whole_messages(self._requests):
            fault, number = self._link.request_fault(request)
            if fault is LinkFault.LATE_WRITE:
                self._late += 1
                self._hold(LateWrite(self, request, number))
            elif fault is None:
                self.server.send(request)

    def _server_connected(self) -> None:
        self._forward_requests()
        self._close_idle_server()

    def _server_sent(self, data: bytes) -> None:
        self._complete_executed()
        self._answers += data
        if self._link.fault_free and not self._pieces:
            self.client.send(_drained(self._answers))
            return
        for answer in self._link.framing.whole_messages(self._answers):
            self._queue_pieces(*self._link.answer_pieces(answer))

    def _queue_pieces(self, *pieces: Piece) -> None:
        waiting = bool(self._pieces)
        if self.client.transport:
            self._pieces.extend(pieces)
        if not waiting:
            self._schedule_next()

    def _schedule_next(self) -> None:
        if self._pieces:
            asyncio.get_running_loop().call_later(self._pieces[0].pause_s, self._send_next)

    def _send_next(self) -> None:
        if not self._pieces:
            return
        piece = self._pieces.popleft()
        self.client.send(piece.data)
        if piece.ending is LinkEnding.RESET:
            self.client.abort(reset=True)
        elif piece.ending is LinkEnding.CLOSE:
            self.client.close()
        self._schedule_next()

    def _complete_executed(self) -> None:
        """Mark the delayed requests as executed: the server has answered, or its connection is lost."""
        for executed in self._executing:
            if not executed.done():
                executed.set_result(None)
        self._executing.clear()
        self._close_idle_server()

    def _close_idle_server(self) -> None:
        if not (self.client.transport or self._late or self._executing):
            self.server.close()

    def _client_lost(self) -> None:
        self._pieces.clear()
        self._close_idle_server()
        self._report_if_closed()

    def _server_lost(self) -> None:
        self._complete_executed()
        self._server_closed_unseen = self._link.number(LinkFault.BLACK_HOLE) is not None
        if not self._server_closed_unseen:
            self._queue_pieces(Piece(b"", ending=LinkEnding.CLOSE))
        self._report_if_closed()

    def _report_if_closed(self) -> None:
        if self.is_closed:
            self._closed(self)


def _drained(buffer: bytearray) -> bytes:
    data = bytes(buffer)
    buffer.clear()
    return data
