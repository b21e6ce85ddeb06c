"""A process that a clock master leads: JSON lines on stdin, one answer each on stdout, the log on stderr.

The other end is :mod:`controller.process.talk`.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from typing import Any, Protocol

from core.config import Config
from core.errors import GridlabError


class Session(Protocol):
    """What is led."""

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what the clock master asks.

        Raises:
            GridlabError, OSError, ValueError: it cannot be done, which ends the conversation.
        """
        ...


async def follow(session: Session) -> None:
    """Answer until stdin ends or something cannot be done; that is answered by ``{"error": text}``."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            answer = await session.answer(json.loads(line))
        except (GridlabError, OSError, ValueError) as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        if "error" in answer:
            return


def log_to_stderr() -> None:
    """With the level first: a clock master quotes the last words of a follower that failed."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")


def at_addresses(config: Config, addresses: Mapping[str, Mapping[str, Any]]) -> Config:
    """The configuration with its devices where they really listen."""
    devices = tuple(device.model_copy(update=dict(addresses.get(device.name, {}))) for device in config.devices)
    return config.model_copy(update={"devices": devices})
