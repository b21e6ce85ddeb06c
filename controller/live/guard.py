"""What every request passes: its method, the host it asks for, the page it comes from; headers of the answer."""

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
    """Lets GET pass, and POST to ``orders``, to a loopback name only.

    A page whose name was made to resolve to 127.0.0.1 asks for another host; any other page of a browser tells its
    origin.
    """

    def __init__(self, app: ASGIApp, orders: Collection[str] = ()) -> None:
        self._app, self._orders = app, orders

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self._app if scope["type"] != "http" else self._refusal(scope) or self._app
        await app(scope, receive, sent)

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
    """``{"error": text}``; headers by name, with _ for -."""
    return JSONResponse({"error": text}, status, {name.replace("_", "-"): value for name, value in headers.items()})
