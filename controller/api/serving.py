"""The server of page and API, which writes its port to the file that :mod:`controller.api.address` reads."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Self

from controller.api.address import ADDRESS
from controller.api.app import Api
from controller.live.server import live_server
from controller.live.state import LiveState
from controller.process.failures import RecordError
from controller.process.files import replace_file
from controller.record.records import Severity
from controller.service.alarms import Finding
from controller.service.state_files import StateFiles
from core.errors import InputError

_log = logging.getLogger(__name__)

RETRY_S = 10.0
"""Pause (s) between two attempts to get a port that another program uses."""
NOTICE = "page"
"""Kind of the finding that it does."""


@asynccontextmanager
async def api_server(api: Api, live: LiveState, port: int, state: Path) -> AsyncIterator[int]:
    """Serve page and API until the block ends; the port is in ``STATE/api.json``.

    Args:
        port: 0 selects a free one.

    Returns:
        The port, on 127.0.0.1.

    Raises:
        InputError: the port is in use or not allowed.
    """
    async with live_server(live, port, api.routes, api.middleware) as bound:
        with suppress(OSError):  # a full disk: the page is served all the same
            _publish(state, bound)
        try:
            yield bound
        finally:
            (state / ADDRESS).unlink(missing_ok=True)


class ApiDoor:
    """Page and API of a service that has to run whether its port is free or not.

    While another program uses the port, a free one serves clients, which find it in ``STATE/api.json``. The asked port
    is tried again every :data:`RETRY_S`; once it is free, both are open.

    Attributes:
        port: at which clients reach it now; None: not at all.
    """

    def __init__(self, api: Api, live: LiveState, asked: int, state: Path) -> None:
        self.port: int | None = None
        self._api, self._live, self._asked, self._state = api, live, asked, state
        self._stack = AsyncExitStack()
        self._notices: dict[str, Finding] = {}
        self._files: StateFiles | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Serve until the block ends."""
        async with self._stack:
            retrying = None if await self._open(self._asked) else asyncio.create_task(self._keep_trying())
            if retrying:
                await self._open_elsewhere()
            try:
                yield self
            finally:
                if retrying:
                    retrying.cancel()
                    await asyncio.wait([retrying])

    def report_to(self, notices: dict[str, Finding], files: StateFiles | None = None) -> None:
        """Keep the finding that another program uses the port among the notices of a service, and the address among the
        files that it looks after.
        """
        notices.update(self._notices)
        self._notices, self._files = notices, files
        self._watch_address()

    def _watch_address(self) -> None:
        if self._files and self.port is not None:
            with suppress(RecordError):  # it was not written, as the disk is full
                self._files.keep(ADDRESS)

    async def _keep_trying(self) -> None:
        while not await self._open(self._asked):
            await self._open_elsewhere()
            await asyncio.sleep(RETRY_S)
        self._notices.pop(NOTICE, None)
        _log.warning("page and API are at port %d now", self._asked)

    async def _open_elsewhere(self) -> None:
        if self.port is None:
            await self._open(0)
        where = "nowhere" if self.port is None else f"at port {self.port}"
        text = f"port {self._asked} is used by another program; page and API are {where} meanwhile"
        if NOTICE not in self._notices:
            _log.error("%s", text)
        self._notices[NOTICE] = Finding(NOTICE, Severity.WARNING, "service", text)

    async def _open(self, port: int) -> bool:
        try:
            server = api_server(self._api, self._live, port, self._state)
            self.port = await self._stack.enter_async_context(server)
        except (InputError, OSError):
            return False
        self._watch_address()
        return True


def _publish(state: Path, port: int) -> None:
    content = json.dumps({"port": port, "pid": os.getpid()})
    replace_file(state / ADDRESS, content.encode("ascii"), durable=False)
