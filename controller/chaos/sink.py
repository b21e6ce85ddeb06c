"""A database in bad health that takes what an InfluxDB v2 takes, and remembers every line."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from controller.chaos.hosting import hosted
from controller.process.loopback import LOOPBACK

TOKEN = "token"
SLOW_S = 0.3
POISON = "service "
"""How the line begins that it refuses for good; one of them."""
_BAD_TURNS = (500, 503, 0, 429, 204)
"""Its answers, one after the other, while it is unwell; 0 hangs up."""


class Sink:
    """Listens on this machine.

    Attributes:
        unwell: answers by turns, slowly.
        lines: everything that it kept.
        poison: the line that it refuses, once it has seen it.
        answers: how often it gave which.
    """

    def __init__(self) -> None:
        self.unwell = False
        self.lines: set[str] = set()
        self.poison: str | None = None
        self.answers: Counter[int] = Counter()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[int]:
        """Until the block ends; the port."""
        async with hosted(self._talk, partial(asyncio.start_server, host=LOOPBACK, port=port)) as server:
            yield int(server.sockets[0].getsockname()[1])

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
            sizes = (line.partition(":")[2] for line in head.splitlines() if line.lower().startswith("content-len"))
            body = await reader.readexactly(int(next(sizes, "0")))
            status = self._status(body.decode().splitlines())
            self.answers[status] += 1
            if self.unwell:
                await asyncio.sleep(SLOW_S)
            if status == 0:
                return
            writer.write(f"HTTP/1.1 {status} -\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()

    def _status(self, lines: list[str]) -> int:
        if self.poison is None and self.unwell:
            self.poison = next((line for line in lines if line.startswith(POISON)), None)
        turn = _BAD_TURNS[self.answers.total() % len(_BAD_TURNS)] if self.unwell else 204
        if turn != 204:
            return turn
        if self.poison in lines:
            return 422
        self.lines.update(lines)
        return 204


def influx(port: int, folder: Path) -> dict[str, str]:
    """The section of a configuration that leads there."""
    token = folder / "token"
    token.write_text(TOKEN)
    return {"url": f"http://{LOOPBACK}:{port}", "org": "lab", "bucket": "lab", "token_file": str(token)}
