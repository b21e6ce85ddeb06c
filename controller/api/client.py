"""Requests to the service of a state folder, over its HTTP API on 127.0.0.1."""

import json
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from controller.api.address import port_of
from controller.api.endpoints import ENDPOINTS
from controller.api.messages import Order
from controller.api.tokens import Role, token_of
from controller.process.loopback import LOOPBACK
from core.errors import GridlabError, InputError

T = TypeVar("T")
ANSWER_S = 60.0
"""Timeout (s): a change of mode waits for the current cycle, and releases take up to 12 s."""
BAD_INPUT = (400, 422)


class RefusedInputError(InputError):
    """The service has refused the input, with the reason on one line."""

    def __init__(self, line: str) -> None:
        GridlabError.__init__(self, line)
        self.faults = ()


def ask(state: Path, gives: type[T], name: str, order: Order | None = None) -> T:
    """Send a request to ``/api/v1/name``.

    Args:
        gives: type of the answer.
        order: the body of a POST; None: a GET.

    Raises:
        InputError: no service runs there, its token cannot be read, or it refuses the input.
        GridlabError: it does not answer, or cannot do it.
    """
    status, text = _exchange(state, name, order)
    if status == 200:
        try:
            return TypeAdapter(gives).validate_json(text)
        except ValidationError as error:
            raise GridlabError(f"service: {name}: an answer of another version") from error
    try:
        line = str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        line = f"service: {name}: refused, HTTP {status}"
    raise RefusedInputError(line) if status in BAD_INPUT else GridlabError(line)


def _exchange(state: Path, name: str, order: Order | None) -> tuple[int, bytes]:
    endpoint = next(e for e in ENDPOINTS if e.name == name)
    port, token = port_of(state), token_of(state, Role.VIEWER if endpoint.method == "GET" else Role.OPERATOR)
    headers = {"Authorization": f"Bearer {token}"}
    body = None
    if order is not None:
        headers["Content-Type"], body = "application/json", order.model_dump_json()
    connection = HTTPConnection(LOOPBACK, port, timeout=ANSWER_S)
    try:
        connection.request(endpoint.method, endpoint.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, HTTPException) as error:
        raise GridlabError(f"service at port {port}: no answer; it may be stopping") from error
    finally:
        connection.close()
