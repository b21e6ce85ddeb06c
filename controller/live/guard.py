"""What every request passes: the method, the host that was asked for, and the headers of the answer."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOSTS = ("127.0.0.1", "localhost")
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Lets GET pass, to a loopback name only: a page whose name was made to resolve to 127.0.0.1 asks for another."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        app = self._app if scope["type"] != "http" else _refusal(scope) or self._app
        await app(scope, receive, sent)


def _refusal(scope: Scope) -> ASGIApp | None:
    host = Headers(scope=scope).get("host", "")
    if host.rpartition(":")[0] not in HOSTS and host not in HOSTS:
        return PlainTextResponse(f"host: asked {host!r}, allowed {' or '.join(HOSTS)}\n", 421)
    if scope["method"] != "GET":
        return PlainTextResponse(f"method: asked {scope['method']}, allowed GET\n", 405, {"Allow": "GET"})
    return None
