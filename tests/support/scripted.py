"""A Modbus TCP server that follows a script: it expects requests in order, and answers each as the script says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import Enum
from ssl import SSLContext

from drivers.exchange import Timing
from drivers.modbus import ModbusLink
from tests.support.drivers import QUICK, ManualClock

READ = ("03 0000 0002", "03 04 0001 0002")
WRITE = ("10 0004 0001 02 004b", "10 0004 0001")
"""Request and answer."""


class Event(Enum):
    """An event in place of an answer."""

    SILENCE = "no answer"
    CLOSE = "the connection ends"


Exchange = tuple[str, str | bytes | Event]
"""Request and answer: PDUs as hexadecimal bytes with optional blanks; an answer as bytes is sent unchanged."""


class ScriptedServer:
    """State of the script: exchanges that are left, number of connections, and unexpected requests; only ``unit``
    answers.
    """

    def __init__(self, exchanges: Sequence[Exchange], unit: int) -> None:
        self.left = [(bytes.fromhex(request), answer) for request, answer in exchanges]
        self.unit = unit
        self.connections = 0
        self.unexpected: list[str] = []
        self._open: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
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
        content = bytes.fromhex(answer)
        writer.write(header[:4] + (len(content) + 1).to_bytes(2, "big") + header[6:] + content)
        return True

    def close_all(self) -> None:
        """Close connections that are still open."""
        for writer in self._open:
            writer.close()


@asynccontextmanager
async def scripted(
    exchanges: Sequence[Exchange], unit: int = 1, tls: SSLContext | None = None
) -> AsyncIterator[tuple[int, ScriptedServer]]:
    """Yields the port of the server and its state; exchanges left over at the end are a failure."""
    script = ScriptedServer(exchanges, unit)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1], script
        assert not script.unexpected, script.unexpected
        assert not script.left, [request.hex(" ") for request, _ in script.left]
    finally:
        script.close_all()
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)


@asynccontextmanager
async def linked(
    exchanges: Sequence[Exchange], clock: ManualClock | None = None, timing: Timing = QUICK
) -> AsyncIterator[ModbusLink]:
    """A connection to a server with this script."""
    async with scripted(exchanges) as (port, _), ModbusLink("127.0.0.1", port, clock or ManualClock(), timing) as link:
        yield link
