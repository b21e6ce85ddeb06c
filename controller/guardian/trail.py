"""Records of the guardian and of emergency stops; neither a full disk nor one that does not respond keeps anybody from
releasing.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from controller.process.failures import RecordError
from controller.process.heartbeat import Takeover
from controller.record.audit import Attempt, AuditTrail
from controller.record.audit_heads import read_head, write_head
from core.devices import Outcome
from core.time import Clock

_log = logging.getLogger(__name__)

T = TypeVar("T")
TRAIL, STOP_TRAIL, DIRECT_TRAIL = "guardian.jsonl", "stop.jsonl", "stop_direct.jsonl"
"""Audit trails in the state folder: of the guardian, of stops by the service, and of those that ``gridlab stop`` has
executed itself. Each has one writer at a time.
"""
RECORD_S = 1.0
"""How long (s) a release waits for its record."""


class GuardianRecords:
    """The audit trail ``trail`` and ``takeover.json`` of a state folder; opened at the first record.

    They are written by a thread of their own: if the disk hangs, it keeps no other thread from its work.
    """

    def __init__(self, state: Path, clock: Clock, trail: str = TRAIL) -> None:
        self._path, self._state, self._clock = state / trail, state, clock
        self._stack, self._thread = ExitStack(), ThreadPoolExecutor(1, "records")
        self._trail: AuditTrail | None = None
        self._lost = False

    def close(self) -> None:
        """Close the file, once nothing is being released any more."""
        self._thread.submit(self._stack.close)
        self._thread.shutdown(wait=not self._lost)

    async def note(self, event: str, detail: str) -> bool:
        """Record an event that is no release; whether that succeeded."""
        now = self._clock.now()

        def write(trail: AuditTrail) -> bool:
            trail.note(now, event, detail)
            return True

        return bool(await self._record(write))

    async def begin(self, device: str, reason: str) -> int | None:
        """Record a release before it is attempted; its number, or None if the record failed."""
        attempt, now = Attempt(device, None, None, reason, ""), self._clock.now()
        numbers = await self._record(lambda trail: trail.begin(now, [attempt]))
        return numbers[0] if numbers else None

    async def complete(self, number: int | None, outcome: Outcome) -> None:
        """Record the outcome of a release."""
        if number is not None:
            now = self._clock.now()
            await self._record(lambda trail: trail.complete(now, {number: outcome}))

    async def write_takeover(self, takeover: Takeover) -> None:
        """Write ``takeover.json`` for the next service."""
        await self._try_record(lambda: takeover.write(self._state))

    def _opened(self) -> AuditTrail:
        if self._trail is None:
            self._trail = self._stack.enter_context(AuditTrail(self._path, known=partial(read_head, self._path)))
        return self._trail

    async def _record(self, write: Callable[[AuditTrail], T]) -> T | None:
        """Write to the trail if possible, and keep its head beside it."""

        def written() -> T:
            trail = self._opened()
            result = write(trail)
            for line in trail.noticed():
                _log.error("%s", line)
            try:
                write_head(self._path, trail.head)
            except RecordError as error:
                _log.error("the end of the trail is not proven: %s", error)
            return result

        return await self._try_record(written)

    async def _try_record(self, write: Callable[[], T]) -> T | None:
        """Write a record if possible; the first failure and the recovery are logged."""
        try:
            async with asyncio.timeout(RECORD_S):
                result = await asyncio.get_running_loop().run_in_executor(self._thread, write)
        except (RecordError, TimeoutError) as error:
            if not self._lost:
                _log.error("continues without records: %s", error or f"the disk took more than {RECORD_S:g} s")
            self._lost = True
            return None
        if self._lost:
            _log.info("records are written again")
            self._lost = False
        return result
