"""Connections to the page and the API: idle ones give way, so that they use up neither requests nor descriptors.

A connection is idle until the head of its request has arrived, and while its client does not read the answer.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS_MAX, CONNECTIONS_MIN = 128, 8
RESERVED = 192
"""Descriptors that are left to devices, files and the stop."""
BEGIN_S, STALL_S = 5.0, 10.0
"""Time (s) for the head of a request to arrive, and for a client to go on reading."""


def connections_within(descriptors: int) -> int:
    """How many connections a process with so many descriptors may hold: with those that are being accepted or closed,
    they take half of what is not reserved.
    """
    return max(CONNECTIONS_MIN, min(CONNECTIONS_MAX, (descriptors - RESERVED) // 4))


def accepted_at_a_time(connections: int) -> int:
    """How many the event loop may accept before it does something else; three times as many exist beyond the limit."""
    return max(CONNECTIONS_MIN, connections // 4)


class OneRequest(H11Protocol):
    """The server's side of a connection, for one request.

    ``limit_concurrency`` of the configuration is the number of connections. Uvicorn would count idle ones as well and
    answer 503 beyond it; here the oldest idle one is closed. If all are at work the newest is.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._most, self.limit_concurrency = self.limit_concurrency, None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin; another one may have to give way."""
        super().connection_made(transport)
        self.began_s = self.loop.time()
        self._deadline = self.loop.call_later(BEGIN_S, self._close_idle)
        if self._most is not None and len(self.connections) > self._most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._deadline.cancel()
        self._reads_again()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALL_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._reads_again()

    @property
    def idle(self) -> bool:
        """Whether it asks for nothing, or does not read what it has asked for."""
        return self.cycle is None or self.flow.write_paused

    def give_way(self) -> None:
        """Close at once, whatever is unsent."""
        self.connections.discard(self)
        self.transport.abort()

    def _make_room(self) -> None:
        others = (c for c in self.connections if isinstance(c, OneRequest) and c is not self and c.idle)
        min(others, key=lambda other: other.began_s, default=self).give_way()

    def _close_idle(self) -> None:
        if self.cycle is None:
            self.transport.close()

    def _reads_again(self) -> None:
        if self._stalled:
            self._stalled.cancel()
            self._stalled = None
