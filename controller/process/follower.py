"""A process that follows a clock master: JSON requests on stdin, one answer line each on stdout, the log on stderr.

The clock master's side is :mod:`controller.process.talk`.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from core.config import Config
from core.errors import GridlabError


class RequestHandler(Protocol):
    """Executes the requests of the clock master."""

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Execute one request.

        Raises:
            GridlabError, OSError, ValueError: it failed; the process then ends.
        """
        ...


async def follow(handler: RequestHandler) -> None:
    """Answer requests until stdin ends or one fails; a failure is answered by ``{"error": text}``."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            answer = await handler.answer(json.loads(line))
        except (GridlabError, OSError, ValueError) as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        if "error" in answer:
            return


def log_to_stderr() -> None:
    """Log with the level first in each line: the clock master quotes the last error of a follower that failed."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


def at_addresses(config: Config, addresses: Mapping[str, Mapping[str, Any]]) -> Config:
    """The configuration with its devices at the addresses where they really listen (from the plant's answer)."""
    devices = tuple(device.model_copy(update=dict(addresses.get(device.name, {}))) for device in config.devices)
    return config.model_copy(update={"devices": devices})
