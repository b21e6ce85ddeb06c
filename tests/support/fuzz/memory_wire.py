"""An event loop with TCP connections inside the process and no waiting: a million frames in minutes.

Drivers and pymodbus run on it unchanged. Only the kernel is left out: data of a client go to a function, and its answer
returns slice by slice. If all tasks wait, the clock jumps to the next deadline.
"""

import asyncio
import selectors
import socket
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

T = TypeVar("T")
Answer = Callable[[bytes], Iterable[bytes] | None]
"""Answer of a device to received data, in slices; None closes the connection."""


class _NoWaiting(selectors.DefaultSelector):
    """A selector without anything to wait for but time, which passes immediately."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everybody waits, and for nothing")
        self.now_s += timeout
        return []


class MemoryLoop(asyncio.SelectorEventLoop):
    """``answer`` is the only device, whatever the address."""

    def __init__(self, answer: Answer) -> None:
        self._no_waiting = _NoWaiting()
        super().__init__(self._no_waiting)
        self.answer = answer
        self.socket = socket.socket()

    def time(self) -> float:
        return self._no_waiting.now_s

    async def create_connection(self, protocol_factory: Any, *_: Any, **__: Any) -> Any:
        protocol = protocol_factory()
        transport = _Wire(self, protocol)
        protocol.connection_made(transport)
        return transport, protocol

    def close(self) -> None:
        self.socket.close()
        super().close()


class _Wire(asyncio.Transport):
    """One end of a connection; as in asyncio, a protocol that raises loses it."""

    def __init__(self, loop: MemoryLoop, protocol: asyncio.Protocol) -> None:
        super().__init__({"socket": loop.socket})
        self._loop, self._protocol, self._open = loop, protocol, True

    def write(self, data: Any) -> None:
        slices = self._loop.answer(bytes(data))
        if slices is None:
            self.abort()
        else:
            for part in slices:
                self._loop.call_soon(self._received, part)

    def _received(self, data: bytes) -> None:
        if self._open and data:
            try:
                self._protocol.data_received(data)
            except Exception as error:
                self._loop.call_exception_handler({"message": "data_received() failed", "exception": error})
                self.abort()

    def is_closing(self) -> bool:
        return not self._open

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if self._open:
            self._open = False
            self._loop.call_soon(self._protocol.connection_lost, None)


class LoopClock:
    """A :class:`core.time.Clock` that shows the loop's time."""

    def now(self) -> datetime:
        return datetime(2018, 6, 21, 10, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()


def run_on(answer: Answer, main: Coroutine[Any, Any, T], complain: Callable[[BaseException], None]) -> T:
    """Run ``main`` with that device; ``complain`` is called with errors that nothing awaits."""

    def unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        complain(context.get("exception") or RuntimeError(context["message"]))

    with asyncio.Runner(loop_factory=lambda: MemoryLoop(answer)) as runner:
        runner.get_loop().set_exception_handler(unhandled)
        return runner.run(main)
