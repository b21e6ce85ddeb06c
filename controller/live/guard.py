"""Checks of every request (method, host, origin) and security headers of every answer."""

from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Admits GET, and POST to the paths ``orders``, with a loopback name as host only.

    A page whose name was made to resolve to 127.0.0.1 (DNS rebinding) asks for another host; any other page of a
    browser sends its origin.
    """

    def __init__(self, app: ASGIApp, orders: Collection[str] = ()) -> None:
        self._app, self._orders = app, orders

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self._app if scope["type"] != "http" else self._refusal(scope) or self._app
        await app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
            return refusal(421, f"host: asked {host!r}, allowed {' or '.join(HOSTS)}")
        if origin is not None and origin != f"http://{host}":
            return refusal(403, f"origin: asked {origin!r}, allowed http://{host}")
        allowed = "POST" if scope["path"] in self._orders else "GET"
        if scope["method"] != allowed:
            return refusal(405, f"method: asked {scope['method']}, allowed {allowed}", allow=allowed)
        return None


def refusal(status: int, text: str, **headers: str) -> JSONResponse:
    """An answer ``{"error": text}``; header names with _ instead of -."""
    return JSONResponse({"error": text}, status, {name.replace("_", "-"): value for name, value in headers.items()})
