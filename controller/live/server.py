"""The HTTP server of the live page: its assets, the state as JSON, and updates as server-sent events.

It runs in the event loop of the service. Neither its clients nor a failure disturb the control loop: each client has a
bounded queue, connections are limited (:mod:`controller.live.connections`), and errors are only logged. The API adds
its routes to it.
"""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from controller.live.connections import OneRequest, accepted_at_a_time, connections_within
from controller.live.feed import Feed
from controller.live.guard import Guard, refusal
from controller.live.state import LiveState
from controller.process import descriptors
from controller.process.loopback import LOOPBACK
from core.codec import encode
from core.errors import Fault, InputError

_log = logging.getLogger(__name__)

CLIENTS_MAX = 16
QUEUE = 1024
"""Connections that the kernel keeps until they are accepted; they take no descriptor."""
BEAT_S, RETRY_MS, STOP_S = 5.0, 2000, 2
"""Time (s) between signs of life in a stream without updates; time (ms) until a browser reconnects; time (s) for
clients to disconnect at the end.
"""
PAGE = Path(__file__).parent / "page"
SCRIPTS = ("live", "format", "levels", "diagram", "charts", "panels")
ASSETS = {
    "/": ("index.html", "text/html"),
    "/live.css": ("live.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    **{
        f"/{name}": (name, "text/javascript")
        for name in ("live.js", "format.js", "levels.js", "diagram.js", "charts.js", "panels.js")
    },
}


@asynccontextmanager
async def live_server(
    state: LiveState, port: int = 0, routes: Sequence[Route] = (), middleware: Sequence[Middleware] = ()
) -> AsyncIterator[int]:
    """Serve the page until the block ends.

    Args:
        port: 0 selects a free one.
        routes: further routes.
        middleware: applied to all routes.

    Returns:
        The port, on 127.0.0.1.

    Raises:
        InputError: the port is in use or not allowed.
    """
    with _listening(port) as listener:
        server = _Server(_server_config(live_app(state, routes, middleware)))
        serving = asyncio.create_task(server.serve([listener]), name="live page")
        serving.add_done_callback(_report)
        try:
            yield listener.getsockname()[1]
        finally:
            state.end()
            server.should_exit = True
            await asyncio.wait([serving])


def _server_config(app: Starlette) -> uvicorn.Config:
    most = connections_within(descriptors.limit())
    return uvicorn.Config(
        app,
        log_config=None,
        log_level="error",
        access_log=False,
        server_header=False,
        lifespan="off",
        http=OneRequest,
        ws="none",
        proxy_headers=False,
        limit_concurrency=most,
        backlog=accepted_at_a_time(most),
        timeout_graceful_shutdown=STOP_S,
    )


def live_app(state: LiveState, routes: Sequence[Route] = (), middleware: Sequence[Middleware] = ()) -> Starlette:
    """The routes of the page, then ``routes``."""
    site = json.dumps(encode(state.site), ensure_ascii=False)

    async def get_site(_: Request) -> Response:
        return _json(site)

    async def get_state(_: Request) -> Response:
        return _json(state.now())

    async def get_events(_: Request) -> Response:
        if state.clients >= CLIENTS_MAX:
            text = f"live page: asked client {CLIENTS_MAX + 1}, allowed {CLIENTS_MAX} at a time"
            return refusal(503, text, retry_after="10")
        return StreamingResponse(_stream(state), media_type="text/event-stream")

    app = Starlette(
        routes=[
            *(_asset(path, *asset) for path, asset in ASSETS.items()),
            Route("/api/v1/site", get_site),
            Route("/api/v1/state", get_state),
            Route("/api/v1/events", get_events),
            *routes,
        ],
        middleware=[*middleware, Middleware(Guard, orders={r.path for r in routes if "POST" in (r.methods or ())})],
        exception_handlers={HTTPException: _http_error, Exception: _internal_error},
    )
    app.router.redirect_slashes = False
    return app


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return refusal(error.status_code, f"{error.detail}".lower())


async def _internal_error(_: Request, __: Exception) -> Response:
    """The traceback is in the log."""
    return refusal(500, "service: internal error; see its log")


class _Server(uvicorn.Server):
    """Leaves SIGINT and SIGTERM to the service."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Listener(socket.socket):
    """Lets connections wait in the kernel, however few the event loop accepts at a time."""

    def listen(self, _: int = QUEUE) -> None:
        super().listen(QUEUE)


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with _Listener(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen()
        except (OSError, OverflowError) as error:
            fault = Fault("--live-port", "", str(port), "a free port from 1 to 65535, or 0 for any")
            raise InputError([fault]) from error
        yield listener


def _report(serving: asyncio.Task[None]) -> None:
    if not serving.cancelled() and (error := serving.exception()):
        _log.error("live page lost: %s", error)


async def _stream(state: LiveState) -> AsyncIterator[str]:
    with state.client() as feed:
        yield f"retry: {RETRY_MS}\n\n{_beat(state)}"
        while not feed.ended:
            yield await _event(state, feed)


async def _event(state: LiveState, feed: Feed) -> str:
    message = await feed.next(BEAT_S)
    return f"event: {message.event}\ndata: {message.text}\n\n" if message else _beat(state)


def _beat(state: LiveState) -> str:
    return f"event: beat\ndata: {json.dumps({'age_s': state.age_s})}\n\n"


def _asset(path: str, file: str, media_type: str) -> Route:
    content = (PAGE / file).read_bytes()

    async def get(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return Route(path, get)


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
