"""The audit of requests: an operator's are recorded individually, those of others as counts.

Anyone who can connect can send requests. Therefore requests without the operator's token, and an operator's beyond the
rate limit, take at most one line of the audit trail per :data:`WINDOW_S`, whatever their number; the first one is
written at once. Lines that cannot be written now are kept and written later.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from controller.api.tokens import Role
from controller.process.failures import RecordError
from controller.record.store_thread import LateRecordError

_log = logging.getLogger(__name__)

EVENT = "api"
WINDOW_S = 10.0
KINDS_MAX = 200
"""Different lines that wait while the disk is full; all further ones are counted as one."""
METHODS = ("GET", "POST")

ANSWER_S = 1.0
"""How long the answer to a request waits for its line."""

Note = Callable[[str, str], Awaitable[None]]
"""Writes (event, detail) to the audit trail; raises RecordError if it cannot, LateRecordError if it will later."""


class RequestLog:
    """Collects the lines and writes them to the audit trail."""

    def __init__(self) -> None:
        self._note: Note | None = None
        self._waiting: Counter[str] = Counter()
        self._window: asyncio.TimerHandle | None = None
        self._writing: set[asyncio.Task[None]] = set()
        self._lost = False

    @asynccontextmanager
    async def recorded(self, note: Note) -> AsyncIterator[None]:
        """Write to ``note`` until the block ends."""
        self._note = note
        await self._flush()
        try:
            yield
        finally:
            await self._flush()
            self._note = None
            if self._window:
                self._window.cancel()
                self._window = None

    async def add(self, what: str, *, counted: bool) -> None:
        """Record a request on its own line, or ``counted`` with equal ones; then ``what`` must not contain free
        text. Returns when the line is written, or after :data:`ANSWER_S`.
        """
        known = what in self._waiting or len(self._waiting) < KINDS_MAX
        self._waiting[what if known else "others"] += 1
        if not counted:
            await self._flush()
        elif self._window is None:
            self._open_window()
            await self._written()

    def _open_window(self) -> None:
        self._begin_flush()
        self._window = asyncio.get_running_loop().call_later(WINDOW_S, self._close_window)

    def _close_window(self) -> None:
        self._window = None
        if self._waiting:
            self._open_window()

    async def _flush(self) -> None:
        self._begin_flush()
        await self._written()

    async def _written(self) -> None:
        if self._writing:
            await asyncio.wait(self._writing, timeout=ANSWER_S)

    def _begin_flush(self) -> None:
        if self._note is None or not self._waiting:
            return
        lines, self._waiting = self._waiting, Counter()
        task = asyncio.create_task(self._write(self._note, lines))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write(self, note: Note, lines: Counter[str]) -> None:
        """Write the lines on one; those that fail wait again."""
        try:
            await note(EVENT, "; ".join(f"{what} × {count}" if count > 1 else what for what, count in lines.items()))
        except LateRecordError:
            return
        except RecordError as error:
            if not self._lost:
                _log.error("requests cannot be recorded: %s", error)
            self._lost = True
            self._put_back(lines)
            return
        self._lost = False

    def _put_back(self, lines: Counter[str]) -> None:
        """In front of the lines that have come since, as far as there is room."""
        since, self._waiting = self._waiting, lines
        for what, count in since.items():
            known = what in self._waiting or len(self._waiting) < KINDS_MAX
            self._waiting[what if known else "others"] += count


class AuditMiddleware:
    """Records every request that changes something or was refused, before it is answered."""

    def __init__(self, app: ASGIApp, log: RequestLog, paths: tuple[str, ...]) -> None:
        self._app, self._requests, self._paths = app, log, paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""

        async def send_recorded(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._record(scope, message["status"])
            await send(message)

        await self._app(scope, receive, send_recorded if scope["type"] == "http" else send)

    async def _record(self, scope: Scope, status: int) -> None:
        if status < 400 and scope["method"] == "GET":
            return
        state: MutableMapping[str, Any] = scope.get("state", {})
        role, text = state.get("role"), state.get("audit_text", "")
        method = scope["method"] if scope["method"] in METHODS else "other method"
        path = scope["path"] if scope["path"] in self._paths else "elsewhere"
        what = f"{method} {path} by {role or 'nobody'}: {status}"
        counted = role is not Role.OPERATOR or status == HTTPStatus.TOO_MANY_REQUESTS
        await self._requests.add(what if counted else f"{what} {text}".rstrip(), counted=counted)
