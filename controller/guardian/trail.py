"""Records of a guardian, which never keep it from releasing: neither a full disk nor one that hangs."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from typing import TypeVar

from controller.process.failures import RecordError
from controller.process.heartbeat import Takeover
from controller.record.audit import Attempt, AuditTrail
from core.devices import Outcome
from core.time import Clock

_log = logging.getLogger(__name__)

T = TypeVar("T")
TRAIL = "guardian.jsonl"
RECORD_S = 1.0
"""How long a release waits for its record."""


class Trail:
    """The audit trail ``guardian.jsonl`` of a state folder, and ``takeover.json``; opened when it is needed."""

    def __init__(self, state: Path, clock: Clock) -> None:
        self._state, self._clock = state, clock
        self._stack, self._opening = ExitStack(), Lock()
        self._trail: AuditTrail | None = None
        self._lost = False

    def close(self) -> None:
        """Once nothing is released any more."""
        self._stack.close()

    async def note(self, event: str, detail: str) -> None:
        """An event that is no release."""
        await self._kept(lambda: self._opened().note(self._clock.now(), event, detail))

    async def begin(self, device: str, reason: str) -> int | None:
        """Announce a release; its number, None if that could not be recorded."""
        attempt = Attempt(device, None, None, reason, "")
        numbers = await self._kept(lambda: self._opened().begin(self._clock.now(), [attempt]))
        return numbers[0] if numbers else None

    async def complete(self, number: int | None, outcome: Outcome) -> None:
        """What became of it."""
        if number is not None:
            await self._kept(lambda: self._opened().complete(self._clock.now(), {number: outcome}))

    async def tell(self, takeover: Takeover) -> None:
        """For the service that comes back."""
        await self._kept(lambda: takeover.write(self._state))

    def _opened(self) -> AuditTrail:
        with self._opening:
            if self._trail is None:
                self._trail = self._stack.enter_context(AuditTrail(self._state / TRAIL))
            return self._trail

    async def _kept(self, write: Callable[[], T]) -> T | None:
        """That a record is lost is said once, and once that records are back."""
        try:
            async with asyncio.timeout(RECORD_S):
                result = await asyncio.to_thread(write)
        except (RecordError, TimeoutError) as error:
            if not self._lost:
                _log.error("goes on without a record: %s", error or f"the disk took more than {RECORD_S:g} s")
            self._lost = True
            return None
        if self._lost:
            _log.info("records are back")
            self._lost = False
        return result
