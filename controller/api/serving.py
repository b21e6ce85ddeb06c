"""The server of page and API, and the file by which clients find it."""

import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from controller.api.app import Api
from controller.live.server import live_server
from controller.live.state import LiveState
from core.errors import Fault, GridlabError, InputError

ADDRESS, LOCK = "api.json", "lock"


@asynccontextmanager
async def api_server(api: Api, live: LiveState, port: int, state: Path) -> AsyncIterator[int]:
    """Serve page and API until the block ends; ``STATE/api.json`` says where.

    Args:
        port: 0 takes a free one.

    Returns:
        The port, on 127.0.0.1.

    Raises:
        InputError: the port is taken or not allowed.
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


def port_of(state: Path) -> int:
    """Where the service of a state folder listens.

    A service that was killed leaves its file behind, and anybody may have its port now: only while the folder is
    locked does a client show its token there.

    Raises:
        InputError: no service runs.
        GridlabError: it does not listen yet, or no more.
    """
    path = state / ADDRESS
    if not _locked(state / LOCK):
        raise InputError([Fault("--state", "", str(state), "the state folder of a running `gridlab serve`")])
    try:
        return int(json.loads(path.read_text(encoding="ascii"))["port"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GridlabError(f"{path}: no address; the service may be starting or stopping") from error


def _locked(path: Path) -> bool:
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
