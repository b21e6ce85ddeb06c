"""Somebody who speaks HTTP to a service on this machine, and what became of it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from controller.api.attempts import METHODS
from controller.process.loopback import LOOPBACK

NOBODY = "nobody"
ANSWER_S = 15.0
"""Real time in which every request has its answer, and every connection that says nothing its end."""
DRIP_S = 0.3
CUT_OFF = 0
"""In place of a status."""


@dataclass(frozen=True)
class Attempt:
    """A request; ``by`` is whom the audit trail must name."""

    method: str
    path: str
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    by: str = NOBODY

    def on_record(self, status: int) -> str:
        """As the audit trail calls it."""
        method = self.method if self.method in METHODS else "other method"
        return f"{method} {self.path.partition('?')[0]} by {self.by}: {status}"

    def wire(self, port: int) -> bytes:
        """Its bytes."""
        host, length = f"{LOOPBACK}:{port}", str(len(self.body))
        headers = {"Host": host, "Content-Type": "application/json", "Content-Length": length, **self.headers}
        lines = (f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()))
        return "\r\n".join((*lines, "", "")).encode() + self.body


@dataclass(frozen=True)
class Answer:
    """``status`` is :data:`CUT_OFF` where the connection ended without one; ``text`` is the body."""

    status: int
    text: bytes = b""

    @property
    def refused(self) -> bool:
        """4xx."""
        return 400 <= self.status < 500


async def call(port: int, attempt: Attempt) -> Answer:
    """Ask, on a connection of its own.

    Raises:
        TimeoutError: no answer in :data:`ANSWER_S`.
    """
    heard = b""
    async with asyncio.timeout(ANSWER_S):
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(attempt.wire(port))
                while part := await reader.read(1 << 16):
                    heard += part
            finally:
                writer.close()
    head, _, text = heard.partition(b"\r\n\r\n")
    return Answer(int(head.split()[1]), text) if head else Answer(CUT_OFF)


async def linger(port: int, begun: bytes, *, drip: bool = False) -> bool:
    """Begin a request and never finish it; ``drip``: byte by byte.

    Returns:
        Whether the service ended the connection in :data:`ANSWER_S`.
    """
    with suppress(ConnectionError):
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(begun)
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
async def meanwhile(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do all of it beside the block, whose end waits for it."""
    tasks = [asyncio.create_task(coroutine) for coroutine in work]
    try:
        yield
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        await asyncio.sleep(DRIP_S)
        writer.write(b"x")
