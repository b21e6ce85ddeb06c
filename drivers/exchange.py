"""What may go wrong in an exchange with a device, and how often one may be tried.

Every device has its own :class:`Exchanges`: a deadline for each, a circuit breaker that leaves a failed device alone
for a while, and a voice that speaks once when the device is lost and once when it is back.
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
    """A device did not do what it was asked."""


class NoAnswerError(ExchangeError):
    """Nothing came in time, or nothing was sent; a request that was sent may still be executed."""


class BadAnswerError(ExchangeError):
    """What came is no answer to what was asked."""


class RefusedError(ExchangeError):
    """The device says no."""


@dataclass(frozen=True)
class Timing:
    """Deadlines of a request, of a whole reading or write, of opening an OPC UA session; the pause after a failure.

    ``again_s``: of a Modbus request to a unit that kept silent within the pause, so of reading back after a write that
    nobody answered. With ``request_s`` and two new connections it takes less than the second by which a silent unit may
    delay the others of its address.
    """

    request_s: float = 0.7
    exchange_s: float = 4.0
    pause_s: float = 1.0
    session_s: float = 3.0
    again_s: float = 0.2


TIMING = Timing()


class BreakerState(StrEnum):
    """Closed lets everything through, open nothing, half-open one attempt."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """A circuit breaker: a failure opens it for ``pause_s``, then one attempt decides."""

    def __init__(self, clock: Clock, pause_s: float) -> None:
        self._clock, self._pause_s = clock, pause_s
        self._retry_at_s: float | None = None

    @property
    def state(self) -> BreakerState:
        """Now."""
        if self._retry_at_s is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock.monotonic_s() < self._retry_at_s else BreakerState.HALF_OPEN

    def admits(self) -> bool:
        """Whether an attempt may be made; half-open it may be made once."""
        state = self.state
        if state is BreakerState.HALF_OPEN:
            self.failed()
        return state is not BreakerState.OPEN

    def succeeded(self) -> None:
        """Close it."""
        self._retry_at_s = None

    def failed(self) -> None:
        """Open it."""
        self._retry_at_s = self._clock.monotonic_s() + self._pause_s


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """A deadline.

    asyncua ends with a subclass of CancelledError where an answer crosses its cancellation; Python 3.11's
    ``asyncio.timeout`` does not take that for its own doing, and it would end whoever waits.

    Raises:
        TimeoutError: it has passed.
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
        self._trouble: str | None = None

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[None]:
        """One exchange of however many requests.

        Raises:
            ExchangeError: it failed, took too long, or was not begun as the last one failed just now.
        """
        if not self.breaker.admits():
            raise NoAnswerError(f"{self.device}: left alone after: {self._trouble}")
        try:
            async with within(self._timing.exchange_s):
                yield
        except TimeoutError as error:
            self._failed(f"no answer within {self._timing.exchange_s:g} s")
            raise NoAnswerError(f"{self.device}: {self._trouble}") from error
        except ExchangeError as error:
            self._failed(str(error))
            raise
        self.breaker.succeeded()

    def report(self, trouble: str | None) -> None:
        """Say once that the device cannot be used, and why, and once that it can again."""
        if trouble is not None and self._trouble is None:
            _log.warning("%s: lost: %s", self.device, trouble)
        if trouble is None and self._trouble is not None:
            _log.info("%s: back", self.device)
        self._trouble = trouble

    def refuse(self, error: GridlabError) -> Outcome:
        """A setpoint that must not be sent."""
        _log.error("%s: not sent: %s", self.device, error)
        return Outcome.REJECTED

    async def settle(self, send: Callable[[], Awaitable[None]], holds: Callable[[], Awaitable[bool]]) -> Outcome:
        """Write, read back, decide. What nobody answered may still be executed, unless the device shows that it was."""
        try:
            async with self.attempt():
                answered = await self._answered(send)
                if await holds():
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

    def _failed(self, trouble: str) -> None:
        self.breaker.failed()
        self.report(trouble)
