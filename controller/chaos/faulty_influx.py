"""A faulty database that accepts the requests of an InfluxDB v2 and remembers every line."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from controller.chaos.serving import serving
from controller.process.loopback import LOOPBACK

TOKEN = "token"
SLOW_S = 0.3
REFUSED_PREFIX = "service "
"""Prefix of the line that it refuses for good; it refuses one such line."""
_FAILING_STATUSES = (500, 503, 0, 429, 204)
"""Statuses of its answers in turn while it is failing; 0 closes the connection."""


class FaultyInflux:
    """Listens on this machine.

    Attributes:
        failing: whether it answers slowly, with the failing statuses in turn.
        lines: all lines that it has accepted.
        refused_line: the line that it refuses, once it has received it.
        answers: number of answers by status.
    """

    def __init__(self) -> None:
        self.failing = False
        self.lines: set[str] = set()
        self.refused_line: str | None = None
        self.answers: Counter[int] = Counter()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        """Listen until the block ends; yields the port."""
        async with serving(self._answer_client, partial(asyncio.start_server, host=LOOPBACK, port=port)) as server:
            yield int(server.sockets[0].getsockname()[1])

    async def _answer_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
            sizes = (line.partition(":")[2] for line in head.splitlines() if line.lower().startswith("content-len"))
            body = await reader.readexactly(int(next(sizes, "0")))
            status = self._status(body.decode().splitlines())
            self.answers[status] += 1
            if self.failing:
                await asyncio.sleep(SLOW_S)
            if status == 0:
                return
            writer.write(f"HTTP/1.1 {status} -\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()

    def _status(self, lines: list[str]) -> int:
        if self.refused_line is None and self.failing:
            self.refused_line = next((line for line in lines if line.startswith(REFUSED_PREFIX)), None)
        status = _FAILING_STATUSES[self.answers.total() % len(_FAILING_STATUSES)] if self.failing else 204
        if status != 204:
            return status
        if self.refused_line in lines:
            return 422
        self.lines.update(lines)
        return 204


def influx(port: int, folder: Path) -> dict[str, str]:
    """The configuration section of this database."""
    token = folder / "token"
    token.write_text(TOKEN)
    return {"url": f"http://{LOOPBACK}:{port}", "org": "lab", "bucket": "lab", "token_file": str(token)}
