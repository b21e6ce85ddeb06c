"""Errors, deadlines and retries of the exchanges with a device.

Every device has its own :class:`Exchanges`: a deadline for each exchange, a circuit breaker that pauses after a
failure, and one log line when the device is lost and one when it is back.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from core.devices import Outcome
from core.errors import GridlabError
from core.time import Clock

_log = logging.getLogger(__name__)


class ExchangeError(GridlabError):
    """An exchange with a device failed."""


class NoAnswerError(ExchangeError):
    """No answer in time, or nothing was sent; a request that was sent may still be executed."""


class BadAnswerError(ExchangeError):
    """The answer does not belong to the request."""


class RefusedError(ExchangeError):
    """The device refuses the request."""


@dataclass(frozen=True)
class Timing:
    """Deadlines of a request, of a whole reading or write, of opening an OPC UA session; the pause after a failure.

    ``again_s`` is the deadline of a Modbus request to a unit that did not answer within the last pause, so of reading
    back after a write without an answer. With ``request_s`` and two new connections it takes less than the second by
    which a silent unit may delay the others of its address.
    """

    request_s: float = 0.7
    exchange_s: float = 4.0
    pause_s: float = 1.0
    session_s: float = 3.0
    again_s: float = 0.2


TIMING = Timing()


class BreakerState(StrEnum):
    """CLOSED admits every attempt, OPEN none, HALF_OPEN one."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """A circuit breaker: a failure opens it for ``pause_s``, then the result of one attempt decides."""

    def __init__(self, clock: Clock, pause_s: float) -> None:
        self._clock, self._pause_s = clock, pause_s
        self._retry_at_s: float | None = None

    @property
    def state(self) -> BreakerState:
        """The present state."""
        if self._retry_at_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock.monotonic_s() < self._retry_at_s else BreakerState.HALF_OPEN

    def admits(self) -> bool:
        """Whether an attempt may be made; in HALF_OPEN only one is admitted."""
        state = self.state
        if state is BreakerState.HALF_OPEN:
            self.failed()
        return state is not BreakerState.OPEN

    def succeeded(self) -> None:
        """Close the breaker."""
        self._retry_at_s = None

    def failed(self) -> None:
        """Open the breaker."""
        self._retry_at_s = self._clock.monotonic_s() + self._pause_s


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """A deadline for the block.

    asyncua ends with a subclass of CancelledError if an answer crosses its cancellation; Python 3.11's
    ``asyncio.timeout`` does not recognise it as its own cancellation, and it would end the waiting task.

    Raises:
        TimeoutError: the deadline has passed.
    """
    async with asyncio.timeout(seconds):
        try:
            yield
        except asyncio.CancelledError as error:
            raise asyncio.CancelledError from error


class Exchanges:
    """The exchanges of one device."""

    def __init__(self, device: str, clock: Clock, timing: Timing) -> None:
        self.device = device
        self.breaker = Breaker(clock, timing.pause_s)
        self._timing = timing
        self._problem: str | None = None

    @asynccontextmanager
    async def attempt(self, *, urgent: bool = False) -> AsyncIterator[None]:
        """One exchange of any number of requests; an ``urgent`` one is begun also within the pause after a failure.

        Raises:
            ExchangeError: it failed, took too long, or was not begun since the last one failed within the pause.
        """
        if not (self.breaker.admits() or urgent):
            raise NoAnswerError(f"{self.device}: left alone after: {self._problem}")
        try:
            async with within(self._timing.exchange_s):
                yield
        except TimeoutError as error:
            self._failed(f"no answer within {self._timing.exchange_s:g} s")
            raise NoAnswerError(f"{self.device}: {self._problem}") from error
        except ExchangeError as error:
            self._failed(str(error))
            raise
        self.breaker.succeeded()

    def report(self, problem: str | None) -> None:
        """Log once that the device is unusable, and why, and once that it is usable again."""
        if problem is not None and self._problem is None:
            _log.warning("%s: lost: %s", self.device, problem)
        if problem is None and self._problem is not None:
            _log.info("%s: back", self.device)
        self._problem = problem

    def refuse(self, error: GridlabError) -> Outcome:
        """Log a command that must not be sent."""
        _log.error("%s: not sent: %s", self.device, error)
        return Outcome.REJECTED

    async def write_and_verify(
        self, send: Callable[[], Awaitable[None]], verify: Callable[[], Awaitable[bool]], *, urgent: bool = False
    ) -> Outcome:
        """Send, then read back. UNKNOWN if there was no answer and the read-back does not show the new values."""
        try:
            async with self.attempt(urgent=urgent):
                answered = await self._answered(send)
                if await verify():
                    return Outcome.VERIFIED
                return Outcome.REJECTED if answered else Outcome.UNKNOWN
        except ExchangeError:
            return Outcome.UNKNOWN

    async def _answered(self, send: Callable[[], Awaitable[None]]) -> bool:
        try:
            await send()
        except RefusedError as error:
            _log.warning("%s: refuses: %s", self.device, error)
        except ExchangeError:
            return False
        return True

    def _failed(self, problem: str) -> None:
        self.breaker.failed()
        self.report(problem)
