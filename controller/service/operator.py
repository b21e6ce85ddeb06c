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


@asynccontextmanager
async def operated(service: Service, state: Path) -> AsyncIterator[None]:
    """Serve operators until the block ends."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(json.dumps(await _answer(service, line)).encode() + b"\n")
                await writer.drain()
        writer.close()

    path = state / SOCKET
    path.unlink(missing_ok=True)
    server = await asyncio.start_unix_server(talk, path)
    path.chmod(0o600)
    try:
        yield
    finally:
        server.close()
        path.unlink(missing_ok=True)


async def ask(state: Path, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Ask the service whose state folder this is.

    Raises:
        InputError: nobody listens there.
        GridlabError: it says that it cannot.
    """
    path = state / SOCKET
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError as error:
        raise InputError([Fault("--state", "", str(state), "the state folder of a running `gridlab serve`")]) from error
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(ANSWER_S):
            answer: Mapping[str, Any] = json.loads(await reader.readline())
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
                warnings = _warnings(service) if mode == Mode.ACTIVE else []
                released = await service.set_mode(Mode(mode))
                return {**_status(service), "released": released, "warnings": warnings}
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
        "check": encode(service.check) if service.check else None,
    }


def _warnings(service: Service) -> list[str]:
    """What an operator should know before ACTIVE."""
    check = service.check
    if check is None:
        return ["the grid model was not compared with measured voltages"]
    if check.doubtful:
        return [f"the grid model is off by {check.worst_pu:.4f} p.u. at {check.worst_node}"]
    return []
