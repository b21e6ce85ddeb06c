"""The HTTP layer of the API: authentication, rate limits, parsing, and the answer as JSON.

Order of the checks: the token (so that a flood without one cannot lock an operator out), the rate, the role, the body,
the service. A refusal is ``{"error": one line}``.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from pydantic import ValidationError
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from controller.api.attempts import AuditMiddleware, RequestLog
from controller.api.endpoints import BODY_MAX, ENDPOINTS, SCHEMA, STOP, Endpoint, adapter, openapi
from controller.api.messages import Nothing, Order
from controller.api.operations import HANDLERS, Operations
from controller.api.rates import Gate, Rates
from controller.api.tokens import Role, Tokens
from controller.live.guard import refusal
from controller.process.failures import RecordError
from controller.service.service import Service
from core.codec import encode
from core.errors import GridlabError, InputError, shown
from core.time import Clock

_log = logging.getLogger(__name__)

BODY_S = 5.0
JSON = "application/json"
DEFAULT_RATES = Rates()


class RequestRefusedError(Exception):
    """A refusal with status 4xx or 503."""

    def __init__(self, status: int, text: str, **headers: str) -> None:
        super().__init__(text)
        self.status, self.headers = status, headers


class Api:
    """The ``routes`` and ``middleware`` for the server of the live page.

    Args:
        clock: the clock of the control loop.
    """

    def __init__(self, tokens: Tokens, clock: Clock, rates: Rates = DEFAULT_RATES) -> None:
        self._tokens, self._clock, self._gate = tokens, clock, Gate(rates, clock)
        self._requests = RequestLog()
        self._operations: Operations | None = None
        description = Response(json.dumps(openapi(), ensure_ascii=False), media_type=JSON)
        paths = (*(endpoint.path for endpoint in ENDPOINTS), SCHEMA)
        self.middleware = (Middleware(AuditMiddleware, log=self._requests, paths=paths),)
        self.routes = (
            Route(SCHEMA, partial(_constant, description)),
            *(Route(e.path, partial(self._answer, e), methods=[e.method]) for e in ENDPOINTS),
        )

    @asynccontextmanager
    async def operating(self, service: Service) -> AsyncIterator[None]:
        """Execute requests until the block ends; before and after it they are refused."""
        async with self._requests.recorded(service.note):
            self._operations = Operations(service, self._clock)
            try:
                yield
            finally:
                self._operations = None

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        try:
            answer = await self._execute(endpoint, request)
        except RequestRefusedError as error:
            return _refused(request, error.status, str(error), **error.headers)
        except InputError as error:
            return _refused(request, 422, str(error))
        except (RecordError, OSError) as error:
            _log.error("%s: %s", endpoint.path, error)
            return _refused(request, 503, str(error))
        except GridlabError as error:
            return _refused(request, 409, str(error))
        return Response(json.dumps(encode(answer), ensure_ascii=False), media_type=JSON)

    async def _execute(self, endpoint: Endpoint, request: Request) -> object:
        role = self._tokens.role_of(request.headers.get("authorization"))
        request.state.role = role
        self._admit(endpoint, role)
        if request.url.query:
            raise RequestRefusedError(400, "query: asked one, allowed none")
        order = await _order(endpoint, request)
        request.state.audit_text = order.audit_text
        if self._operations is None:
            raise RequestRefusedError(503, "service: starting or stopping", retry_after="1")
        return await HANDLERS[endpoint.name](self._operations, order)

    def _admit(self, endpoint: Endpoint, role: Role | None) -> None:
        if not self._gate.admits(role, stop=endpoint.path == STOP):
            raise RequestRefusedError(429, f"{role or 'no token'}: asked too often", retry_after="1")
        if role is None:
            raise RequestRefusedError(
                401, "token: asked without a valid one, allowed Bearer TOKEN", www_authenticate="Bearer"
            )
        if not role.may(endpoint.role):
            raise RequestRefusedError(403, f"{endpoint.path}: asked by {role}, allowed for {endpoint.role}")


async def _order(endpoint: Endpoint, request: Request) -> Order:
    if endpoint.method == "GET":
        return Nothing()
    try:
        async with asyncio.timeout(BODY_S):
            body = await _body(request)
    except TimeoutError:
        raise RequestRefusedError(408, f"body: asked none in {BODY_S:g} s, allowed all of it") from None
    if not body and endpoint.body_type is Nothing:
        return Nothing()
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != JSON:
        raise RequestRefusedError(415, f"content-type: asked {shown(kind)}, allowed {JSON}")
    try:
        order: Order = adapter(endpoint.body_type).validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = shown(".".join(map(str, first["loc"])))
        raise RequestRefusedError(400 if first["type"] == "json_invalid" else 422, f"{where}: {first['msg']}") from None
    return order


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_MAX:
            raise RequestRefusedError(413, f"body: asked more than {BODY_MAX} bytes, allowed {BODY_MAX}")
    return body


async def _constant(response: Response, _: Request) -> Response:
    return response


def _refused(request: Request, status: int, text: str, **headers: str) -> Response:
    line = "; ".join(text.splitlines())
    request.state.audit_text = " ".join(filter(None, (getattr(request.state, "audit_text", ""), line)))
    return refusal(status, line, **headers)
