"""A stop that is asked of the guardian: it takes over at once."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from controller.process.commanded import lower
from controller.process.failures import RecordError
from controller.process.modes import Mode
from controller.stop.order import StopOrder
from core.devices import Outcome
from realtime.timing import LEASE_S

_log = logging.getLogger(__name__)

COMMAND_S, LOOK_S = 1.0, 0.02
"""Time (s) that the disk gets to make MONITOR durable, and between two looks at the guardian's outcomes."""


class TakeoverTarget(Protocol):
    """What takes over: :class:`controller.guardian.guardian.Guardian`."""

    @property
    def outcomes(self) -> Mapping[str, Outcome]:
        """Of the last attempts since it took over, by converter."""
        ...

    @property
    def guarded(self) -> Mapping[str, object]:
        """The converters, by name."""
        ...

    async def replace_writer(self, why: str) -> None:
        """Take over, with a first attempt at each converter."""
        ...


class RequestedTakeover:
    """Executes stops in a thread, by a guardian that runs in ``loop``."""

    def __init__(self, state: Path, guardian: TakeoverTarget, loop: asyncio.AbstractEventLoop) -> None:
        self._state, self._guardian, self._loop = state, guardian, loop

    async def execute(self, order: StopOrder) -> None:
        """Take over; returns when all converters are safe, or no lease can be left."""
        guardian = self._guardian
        order.report(dict.fromkeys(guardian.guarded, Outcome.UNKNOWN))
        await command_monitor(self._state, f"emergency stop: {order.who}")
        replacing = asyncio.run_coroutine_threadsafe(guardian.replace_writer(f"stop asked by {order.who}"), self._loop)
        with suppress(TimeoutError):
            async with asyncio.timeout(LEASE_S):
                await asyncio.wrap_future(replacing)
                while order.unsafe:
                    order.report(dict(guardian.outcomes))
                    await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """The guardian ends by itself."""


async def command_monitor(state: Path, why: str) -> None:
    """Make MONITOR the commanded mode, or leave a lower one; a disk that fails or hangs does not hold up a stop."""
    try:
        await asyncio.wait_for(asyncio.to_thread(lower, state, Mode.MONITOR, why), COMMAND_S)
    except (RecordError, TimeoutError) as error:
        _log.error("the commanded mode may not be durable: %s", error or f"the disk took more than {COMMAND_S:g} s")
