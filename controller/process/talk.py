"""JSON lines between the clock master and the processes that follow it: one request, one answer."""

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
"""How long a process may take to begin, and to end."""
LINE_BYTES = 1 << 24
"""The longest answer: that to a stop has a number for every cycle of the run."""


class FollowerError(GridlabError):
    """A process that follows the clock master failed."""


class Talk:
    """A conversation with ``who``."""

    def __init__(self, who: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._who, self._reader, self._writer = who, reader, writer

    async def ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer.

        Raises:
            FollowerError: it says that it cannot, or says nothing any more.
        """
        await self.tell(request)
        return await self.hear()

    async def tell(self, request: Mapping[str, Any]) -> None:
        """Ask, without waiting for the answer.

        Raises:
            FollowerError: it is gone.
        """
        try:
            self._writer.write(json.dumps(request).encode() + b"\n")
            await self._writer.drain()
        except ConnectionError as error:
            raise FollowerError(f"{self._who}: no longer listens") from error

    async def hear(self) -> Mapping[str, Any]:
        """The next line that it says, unasked."""
        line = await self._reader.readline()
        if not line:
            raise FollowerError(f"{self._who}: ended before it answered")
        answer: Mapping[str, Any] = json.loads(line)
        if error := answer.get("error"):
            raise FollowerError(f"{self._who}: {error}")
        return answer

    def close(self) -> None:
        """Say nothing more."""
        self._writer.close()


class Follower(Talk):
    """A conversation with a process of our own, over its stdin and stdout."""

    def __init__(self, who: str, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        super().__init__(who, process.stdout, process.stdin)
        self._process = process

    @property
    def pid(self) -> int:
        """Of the process, also when it has ended."""
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    async def over(self) -> int:
        """Wait until it has ended; its exit code, negative for a signal."""
        return await self._process.wait()

    async def end(self) -> None:
        """End of stdin is the sign to stop; whoever does not heed it is killed."""
        self.close()
        try:
            async with asyncio.timeout(STOP_S):
                await self.over()
        except TimeoutError:
            self._process.kill()
            await self.over()


@asynccontextmanager
async def module(name: str, words: Sequence[str], log: Path) -> AsyncIterator[Follower]:
    """``python -m name WORDS`` with its stdin and stdout to talk to and its stderr in ``log``; ended with the block.

    It is in a process group of its own, so that an interrupt at the terminal reaches the clock master alone.
    """
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", name, *words),
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
        await follower.end()
        raise FollowerError(_with_last_words(error, log)) from error
    finally:
        await follower.end()


@asynccontextmanager
async def connection(who: str, port: int) -> AsyncIterator[Talk]:
    """A conversation over a socket of this machine."""
    talk = Talk(who, *await asyncio.open_connection(LOOPBACK, port))
    try:
        yield talk
    finally:
        talk.close()


def _with_last_words(error: FollowerError, log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    grave = [line for line in lines if not line.startswith("INFO")]
    return f"{error} ({grave[-1]})" if grave else str(error)
