"""What an operator may tell a running service: JSON lines over a socket file in its state folder, mode 0600.

``{"ask": "status"}`` is answered by mode, plan, missed cycles and the check of the grid model; ``{"mode": "active"}``
(or off, monitor) by the status then, with what became of each release and with warnings. Whoever may open the file is
the operator. Every change is in the audit trail.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from controller.record.codec import encode
from controller.service.modes import Mode
from controller.service.service import Service
from core.errors import Fault, GridlabError, InputError

SOCKET = "operator.sock"
ANSWER_S = 40.0
LONGEST_PATH = 107
"""Of a socket file, in bytes."""


@asynccontextmanager
async def operated(service: Service, state: Path) -> AsyncIterator[None]:
    """Serve operators until the block ends."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            talks.add(task)
            task.add_done_callback(talks.discard)
        with suppress(ConnectionError, asyncio.CancelledError):
            while line := await reader.readline():
                writer.write(json.dumps(await _answer(service, line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    path = socket_path(state)
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(talk, path)
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        path.unlink(missing_ok=True)


def socket_path(state: Path) -> Path:
    """Of the socket file of a state folder.

    Raises:
        InputError: the system cannot address it.
    """
    path = state / SOCKET
    if len(str(path).encode()) > LONGEST_PATH:
        allowed = f"a folder of at most {LONGEST_PATH - len(SOCKET) - 1} bytes, a relative one for example"
        raise InputError([Fault("--state", "", str(state), allowed)])
    return path


async def ask(state: Path, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ask the service whose state folder this is.

    Raises:
        InputError: nobody listens there.
        GridlabError: it says that it cannot.
    """
    path = socket_path(state)
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise InputError([Fault("--state", "", str(state), "the state folder of a running `gridlab serve`")]) from error
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(ANSWER_S):
            answer: Mapping[str, Any] = json.loads(await reader.readline())
    except (TimeoutError, ValueError, ConnectionError) as error:
        raise GridlabError(f"{path}: no answer; it may be stopping") from error
    finally:
        writer.close()
    if "error" in answer:
        raise GridlabError(answer["error"])
    return answer


async def _answer(service: Service, line: bytes) -> Mapping[str, Any]:
    try:
        match json.loads(line):
            case {"ask": "status"}:
                return _status(service)
            case {"mode": str(mode)} if mode in tuple(Mode):
                warnings, check = _warnings(service) if mode == Mode.ACTIVE else [], _check(service)
                released = await service.set_mode(Mode(mode))
                return {**_status(service), "check": check, "released": released, "warnings": warnings}
            case other:
                return {"error": f"service: asked {other}, allowed status, mode off | monitor | active"}
    except (GridlabError, OSError, ValueError) as error:
        return {"error": str(error)}


def _status(service: Service) -> Mapping[str, Any]:
    ruling = service.desk.plans.intraday or service.desk.plans.day_ahead
    return {
        "mode": service.mode,
        "plan": ruling.plan_id if ruling else None,
        "missed": service.missed,
        "check": _check(service),
    }


def _check(service: Service) -> object:
    return encode(service.check) if service.check else None


def _warnings(service: Service) -> list[str]:
    """What an operator should know before ACTIVE."""
    check = service.check
    if check is None:
        return ["the grid model was not compared with measured voltages"]
    if check.doubtful:
        return [f"the grid model is off by {check.worst_pu:.4f} p.u. at {check.worst_node}"]
    return []
