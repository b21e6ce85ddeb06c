"""The control socket: JSON lines on the loopback address, one request and one answer per line.

| request | answer |
|---|---|
| ``{"advance_to": t}`` | ``{"at": t}``, once every device is at ``t`` seconds since the start |
| ``{"slack_pu": v}``; null follows the series again | ``{"at": t}`` |
| ``{"supply_step_pu": x}``: the supply voltage is shifted by x; 0 ends it | ``{"at": t}`` |
| ``{"fault": name, "device": name, "on": bool, "number": x}`` (``number`` optional) | ``{"at": t}`` |
| ``{"ask": "referee"}`` | ``{"frames": n, "refused": n, "violations": n, "rules": {…}, "devices": {…}}`` |
| ``{"ask": "truth"}`` | true powers, energies, voltages and currents |
| ``{"ask": "devices"}`` | ``{device: {"host", "port", "unit"} or {"url"}}`` |
| ``{"stop": true}`` | ``{"stopping": true}`` |

A request that fails is answered by ``{"error": text}``; the connection stays open.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from core.errors import GridlabError
from sim_plant.modbus_server import LOOPBACK, PortError
from sim_plant.reports import Answer

Handler = Callable[[object], Awaitable[Answer]]


class RequestError(GridlabError):
    """An unknown or malformed request."""


@asynccontextmanager
async def serve_control(handle: Handler, port: int) -> AsyncIterator[int]:
    """Serve requests until the block ends, those of one connection one after the other. Yields the port.

    Raises:
        PortError: the port is in use.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        with suppress(ConnectionError, asyncio.CancelledError):
            await _answer_requests(handle, reader, writer)
        writer.close()

    try:
        server = await asyncio.start_server(serve_client, LOOPBACK, port)
    except OSError as error:
        raise PortError(f"control: asked port {port} of {LOOPBACK}, allowed a free one") from error
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _answer_requests(handle: Handler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        try:
            answer = await handle(json.loads(line))
        except (GridlabError, ValueError) as error:
            answer = {"error": str(error)}
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
