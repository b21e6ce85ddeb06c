"""The guardian's own sign of life, which a hanging disk may delay, but which never delays a release."""

import asyncio
import logging
from pathlib import Path

from controller.process.failures import RecordError
from controller.process.guardian_life import GuardianSign, guarded_hash
from core.config import Config
from core.time import Clock

_log = logging.getLogger(__name__)

WRITE_S = 1.0
"""How long (s) a step of the guardian waits until its sign is written."""


class SignsOfLife:
    """Writes signs of life into a state folder, one at a time.

    Args:
        boot: of the clock, see :class:`~controller.process.guardian_life.GuardianSign`.
    """

    def __init__(self, config: Config, state: Path, boot: str | None, clock: Clock) -> None:
        self._guards, self._state, self._boot, self._clock = guarded_hash(config), state, boot, clock
        self._writing: asyncio.Future[None] | None = None
        self._lost = False

    async def give(self) -> None:
        """Give one, unless the disk is still busy with the one before."""
        if self._writing is not None and not self._writing.done():
            return
        sign = GuardianSign(self._guards, self._clock.now(), self._clock.monotonic_s(), self._boot)
        self._writing = asyncio.ensure_future(asyncio.to_thread(self._write, sign))
        await asyncio.wait([self._writing], timeout=WRITE_S)

    def _write(self, sign: GuardianSign) -> None:
        """Write it; the first failure and the recovery are logged."""
        try:
            sign.write(self._state)
        except RecordError as error:
            if not self._lost:
                _log.error("cannot give a sign of life: %s", error)
            self._lost = True
            return
        if self._lost:
            _log.info("signs of life are written again")
        self._lost = False
