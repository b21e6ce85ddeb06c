"""A program that holds idle and half-sent connections to a port of this machine, and opens each again once closed.

Arguments: port, number of connections. It prints a line once all were opened.
"""

import asyncio
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from tests.support.paths import ROOT

STARTS = (b"", b"GET /api/v1/status HTTP/1.1\r\nHost: 127", b"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
PAUSE_S = 0.05


async def _again(port: int, start: bytes, opened: asyncio.Event) -> None:
    while True:
        with suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened.set()
            try:
                writer.write(start)
                while await reader.read(1 << 16):
                    pass
            finally:
                writer.transport.abort()
        await asyncio.sleep(PAUSE_S)


async def _flood(port: int, connections: int) -> None:
    opened = [asyncio.Event() for _ in range(connections)]
    tasks = [asyncio.create_task(_again(port, STARTS[k % len(STARTS)], event)) for k, event in enumerate(opened)]
    for event in opened:
        await event.wait()
    sys.stdout.write("open\n")
    sys.stdout.flush()
    await asyncio.gather(*tasks)


@contextmanager
def idle_flood(port: int, connections: int) -> Iterator[None]:
    """Run the program until the block ends."""
    command = [sys.executable, "-m", "tests.support.idle_flood", str(port), str(connections)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as flood:
        assert flood.stdout
        try:
            assert flood.stdout.readline() == "open\n"
            yield
        finally:
            flood.kill()


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(_flood(int(sys.argv[1]), int(sys.argv[2])))
