"""Raw HTTP requests to a service on this machine, including incomplete ones."""

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from controller.api.attempts import METHODS
from controller.process.loopback import LOOPBACK

NOBODY = "nobody"
ANSWER_S = 15.0
"""Real time (s) within which every request is answered, and every idle connection closed."""
DRIP_S = 0.3
CUT_OFF = 0
"""Stands for a status if the connection was closed without one."""


@dataclass(frozen=True)
class HttpRequest:
    """A request; ``by`` is the identity that the audit trail must name."""

    method: str
    path: str
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    by: str = NOBODY

    def audit_text(self, status: int) -> str:
        """The request as the audit trail records it."""
        method = self.method if self.method in METHODS else "other method"
        return f"{method} {self.path.partition('?')[0]} by {self.by}: {status}"

    def wire(self, port: int) -> bytes:
        """The bytes to send."""
        host, length = f"{LOOPBACK}:{port}", str(len(self.body))
        headers = {"Host": host, "Content-Type": "application/json", "Content-Length": length, **self.headers}
        lines = (f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()))
        return "\r\n".join((*lines, "", "")).encode() + self.body


@dataclass(frozen=True)
class HttpAnswer:
    """``status`` is :data:`CUT_OFF` if the connection was closed without one; ``text`` is the body."""

    status: int
    text: bytes = b""

    @property
    def refused(self) -> bool:
        """Whether the status is 4xx."""
        return 400 <= self.status < 500


async def send_request(port: int, request: HttpRequest) -> HttpAnswer:
    """Send a request on a new connection.

    Raises:
        TimeoutError: no answer within :data:`ANSWER_S`.
    """
    received = b""
    async with asyncio.timeout(ANSWER_S):
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(request.wire(port))
                while part := await reader.read(1 << 16):
                    received += part
            finally:
                writer.close()
    head, _, text = received.partition(b"\r\n\r\n")
    return HttpAnswer(int(head.split()[1]), text) if head else HttpAnswer(CUT_OFF)


async def leave_unfinished(port: int, start: bytes, *, drip: bool = False) -> bool:
    """Begin a request and never finish it; ``drip`` sends it byte by byte.

    Returns:
        Whether the service closed the connection within :data:`ANSWER_S`.
    """
    with suppress(ConnectionError):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(start)
        dripping = asyncio.create_task(_drip(writer)) if drip else None
        try:
            async with asyncio.timeout(ANSWER_S):
                while await reader.read(1 << 16):
                    pass
        except TimeoutError:
            return False
        finally:
            if dripping:
                dripping.cancel()
            writer.close()
    return True


@asynccontextmanager
async def concurrently(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run all coroutines concurrently with the block; its end waits for them."""
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    try:
        yield
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def still_open(client: socket.socket) -> bool:
    """Whether the server has left a connection open; one that it has not is closed here as well."""
    try:
        if client.recv(1, socket.MSG_DONTWAIT):
            return True
    except BlockingIOError:
        return True
    except OSError:
        pass
    client.close()
    return False


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(DRIP_S)
        writer.write(b"x")
