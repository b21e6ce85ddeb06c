"""The guardian from the side of the service: ACTIVE needs a living one.

| guardian | the service |
|---|---|
| lives | may be ACTIVE |
| none when ACTIVE is commanded | refuses |
| ends, hangs, or guards others while ACTIVE | raises an alarm in its next cycle, is in MONITOR after 5 min |
| none when ACTIVE is resumed after a restart | raises an alarm in its first cycle, is in MONITOR after 1 min |
"""

import asyncio
import logging

from controller.process.guardian_life import GuardianLife, ReliedOn, guarded_hash
from controller.process.modes import Mode
from controller.record.records import Severity
from controller.service.alarms import Finding
from controller.service.setup import Setup
from core.errors import GridlabError
from core.time import Clock

ABSENT_S, RESUMED_S = 300.0, 60.0
"""Time without a living guardian after which the service leaves ACTIVE; and where it has resumed ACTIVE without one."""
LOOK_S = 3.0
"""How long a look at the state folder may take; after that nobody is known to live there."""
GUARDIAN, UNGUARDED = "guardian", "unguarded"
"""Kinds of alarms: about a missing guardian, and about ACTIVE that was left for that."""
_log = logging.getLogger(__name__)


class GuardianWatch:
    """Looks for the guardian of one service, whose ``clock`` it uses."""

    def __init__(self, setup: Setup, clock: Clock) -> None:
        self._setup, self._clock = setup, clock
        self._relied_on = ReliedOn(guarded_hash(setup.config), setup.boot, setup.guardian_s)
        self._since_s: float | None = None
        self._allowed_s = ABSENT_S
        self._resumes = False

    async def look(self) -> GuardianLife:
        """Whether a guardian lives now."""
        try:
            async with asyncio.timeout(LOOK_S):
                return await asyncio.to_thread(self._relied_on.life, self._setup.state, self._clock.monotonic_s())
        except TimeoutError:
            return GuardianLife(f"{self._setup.state} did not respond within {LOOK_S:g} s")

    def resume(self) -> None:
        """Let the next :meth:`admit` pass without a look: after a restart the guardian may be starting as well."""
        self._resumes = True

    async def admit(self, wanted: Mode, present: Mode) -> None:
        """Let a service enter the mode ``wanted``.

        Raises:
            GridlabError: it is ACTIVE, and no guardian lives.
        """
        resumes, self._resumes = self._resumes, False
        if wanted is Mode.ACTIVE and present is not Mode.ACTIVE:
            if not resumes:
                await self.require()
            self._since_s, self._allowed_s = None, RESUMED_S if resumes else ABSENT_S

    async def require(self) -> None:
        """Look whether ACTIVE may be commanded.

        Raises:
            GridlabError: no guardian lives.
        """
        if absent := (await self.look()).absent:
            start = f"gridlab guardian {self._setup.path} --state {self._setup.state}"
            raise GridlabError(f"guardian: {absent}; mode active is allowed with a living one, start it: {start}")

    async def noticed(self, notices: dict[str, Finding], mode: Mode) -> str:
        """To be asked in every cycle: keeps the alarm about a missing guardian among ``notices``.

        Returns:
            Why ACTIVE has to be left, empty if it need not.
        """
        notices.pop(GUARDIAN, None)
        if mode is not Mode.ACTIVE:
            return ""
        life, now_s = await self.look(), self._clock.monotonic_s()
        if life.living:
            self._since_s, self._allowed_s = None, ABSENT_S
            return ""
        self._since_s = now_s if self._since_s is None else self._since_s
        left_s = self._allowed_s - (now_s - self._since_s)
        text = f"no living guardian: {life.absent}"
        then = f"MONITOR in {left_s / 60:.1f} min" if left_s > 0 else "MONITOR"
        notices[GUARDIAN] = Finding(GUARDIAN, Severity.ALARM, "service", f"{text}; {then}")
        if left_s > 0:
            return ""
        _log.error("MONITOR: %s", text)
        notices[UNGUARDED] = Finding(UNGUARDED, Severity.ALARM, "service", f"MONITOR, as there was {text}")
        return text
