"""A Modbus TCP server that knows its lines: it expects requests in order and answers what the script says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from ssl import SSLContext

from drivers.exchange import Timing
from drivers.modbus import ModbusLink
from tests.support.drivers import QUICK, Hands

READ = ("03 0000 0002", "03 04 0001 0002")
WRITE = ("10 0004 0001 02 004b", "10 0004 0001")
"""Request and answer."""


class Event(Enum):
    """Directions in place of an answer."""

    SILENCE = "no answer, ever"
    CLOSE = "the connection ends"


Line = tuple[str, str | bytes | Event]
"""Request and answer: PDUs as hexadecimal bytes, blanks between them as one likes; bytes go out as they are."""


class Play:
    """What has been played so far. ``unit`` is the only one addressed."""

    def __init__(self, lines: Sequence[Line], unit: int) -> None:
        self.left = [(bytes.fromhex(request), answer) for request, answer in lines]
        self.unit = unit
        self.connections = 0
        self.unexpected: list[str] = []
        self._open: set[asyncio.StreamWriter] = set()

    async def perform(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self._open.add(writer)
        try:
            while await self._answered(reader, writer):
                pass
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        header = await reader.readexactly(7)
        pdu = await reader.readexactly(int.from_bytes(header[4:6], "big") - 1)
        if not self.left or self.left[0][0] != pdu or header[2:4] != b"\0\0" or header[6] != self.unit:
            self.unexpected.append(f"{header.hex(' ')} {pdu.hex(' ')}, in turn: {self.left[:1]}")
            return False
        _, answer = self.left.pop(0)
        if isinstance(answer, Event):
            return answer is Event.SILENCE
        if isinstance(answer, bytes):
            writer.write(answer)
            return True
        said = bytes.fromhex(answer)
        writer.write(header[:4] + (len(said) + 1).to_bytes(2, "big") + header[6:] + said)
        return True

    def end(self) -> None:
        """Close what is still open."""
        for writer in self._open:
            writer.close()


@asynccontextmanager
async def scripted(
    lines: Sequence[Line], unit: int = 1, tls: SSLContext | None = None
) -> AsyncIterator[tuple[int, Play]]:
    """The port of the server, and its play; lines that nobody asked for are a failure."""
    play = Play(lines, unit)
    server = await asyncio.start_server(play.perform, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], play
        assert not play.unexpected, play.unexpected
        assert not play.left, [request.hex(" ") for request, _ in play.left]
    finally:
        play.end()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def linked(
    lines: Sequence[Line], clock: Hands | None = None, timing: Timing = QUICK
) -> AsyncIterator[ModbusLink]:
    """A connection to the server with these lines."""
    async with scripted(lines) as (port, _), ModbusLink("127.0.0.1", port, clock or Hands(), timing) as link:
        yield link
