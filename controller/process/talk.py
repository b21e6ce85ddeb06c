"""JSON lines between the clock master and the processes that follow it: one answer per request."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from controller.process.loopback import LOOPBACK
from core.errors import GridlabError

START_S, STOP_S = 120.0, 30.0
"""Seconds that a process may take to start, and to stop."""
LINE_BYTES = 1 << 24
"""The longest answer line: that to ``stop`` has one number per cycle of the run."""


class FollowerError(GridlabError):
    """A process that follows the clock master failed."""


class LineClient:
    """Sends requests to the process ``name`` and reads its answers."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._name, self._reader, self._writer = name, reader, writer

    async def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to a request.

        Raises:
            FollowerError: it answered with an error, or ended.
        """
        await self.send(request)
        return await self.receive()

    async def send(self, request: Mapping[str, Any]) -> None:
        """Send a request without waiting for the answer.

        Raises:
            FollowerError: the process has ended.
        """
        try:
            self._writer.write(json.dumps(request).encode() + b"\n")
            await self._writer.drain()
        except ConnectionError as error:
            raise FollowerError(f"{self._name}: no longer listens") from error

    async def receive(self) -> Mapping[str, Any]:
        """The next line that the process sends.

        Raises:
            FollowerError: it is an error, or the process has ended.
        """
        line = await self._reader.readline()
        if not line:
            raise FollowerError(f"{self._name}: ended before it answered")
        answer: Mapping[str, Any] = json.loads(line)
        if error := answer.get("error"):
            raise FollowerError(f"{self._name}: {error}")
        return answer

    def close(self) -> None:
        """Close the writing side."""
        self._writer.close()


class Follower(LineClient):
    """A client of a child process, over its stdin and stdout."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        super().__init__(name, process.stdout, process.stdin)
        self._process = process

    @property
    def pid(self) -> int:
        """The process id, also after the process has ended."""
        return self._process.pid

    def send_signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self._process.send_signal(number)

    async def exit_code(self) -> int:
        """Wait until the process has ended; its exit code is negative if a signal ended it."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Close its stdin, the request to stop; kill the process if it does not stop within ``STOP_S``."""
        self.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self.exit_code()
        except TimeoutError:
            self._process.kill()
            await self.exit_code()


@asynccontextmanager
async def running_module(name: str, arguments: Sequence[str], log: Path) -> AsyncIterator[Follower]:
    """Run ``python -m name ARGUMENTS`` until the block ends, with its stdin and stdout as the client and its stderr in
    ``log``.

    It has its own process group, so that an interrupt at the terminal reaches the clock master alone.
    """
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", name, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=LINE_BYTES,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
    follower = Follower(name, process)
    try:
        yield follower
    except FollowerError as error:
        await follower.stop()
        raise FollowerError(_with_last_error(error, log)) from error
    finally:
        await follower.stop()


@asynccontextmanager
async def connection(name: str, port: int) -> AsyncIterator[LineClient]:
    """A client over a socket of this machine, closed with the block."""
    client = LineClient(name, *await asyncio.open_connection(LOOPBACK, port))
    try:
        yield client
    finally:
        client.close()


def _with_last_error(error: FollowerError, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    errors = [line for line in lines if not line.startswith("INFO")]
    return f"{error} ({errors[-1]})" if errors else str(error)
