"""The server of page and API, which writes its port to the file that :mod:`controller.api.address` reads."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from controller.api.address import ADDRESS
from controller.api.app import Api
from controller.live.server import live_server
from controller.live.state import LiveState


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
    path = state / ADDRESS
    async with live_server(live, port, api.routes, api.middleware) as bound:
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"port": bound, "pid": os.getpid()}), encoding="ascii")
        new.replace(path)
        try:
            yield bound
        finally:
            path.unlink(missing_ok=True)
