"""``python -m controller.guardian.follow``: the guardian of a simulated run, controlled by a clock master over stdin.

| request | answer |
|---|---|
| ``{"open": {…}}``, see :class:`GuardianOpening` | ``{"guarding": number of converters}`` |
| ``{"tick": t}``, at ``t`` seconds since the start | ``{"took_over": bool, "outcomes": {converter: outcome}}`` |

``took_over`` stays true, with the outcomes of the last attempts, until a new writer is active. A request that fails is
answered by ``{"error": text}``, and the process ends; it also ends when stdin ends. Between two ticks virtual time
stands still and nothing is retried: a tick is one attempt at each converter that is not yet known to be safe.
"""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.guardian.answering import guardian_stops
from controller.guardian.guardian import Guardian, GuardianSetup
from controller.guardian.watching import SILENCE_S
from controller.process.clocks import SteppedClock
from controller.process.follower import at_addresses, follow, log_to_stderr
from controller.process.lock import GUARDIAN_LOCK, exclusive_lock
from core.errors import GridlabError
from core.load import load_config
from realtime.timing import WRITE_S


@dataclass(frozen=True)
class GuardianOpening:
    """The first request of the clock master.

    ``addresses``: where each device listens, {host, port, unit} or {url} by name. ``state``: the folder where the
    controller of the run writes its heartbeat. ``start``: start of virtual time, ISO 8601 with zone; ``at_s``: virtual
    time now, that of its first look.
    """

    config: str
    state: str
    start: str
    addresses: Mapping[str, Mapping[str, Any]]
    silence_s: float = SILENCE_S
    at_s: float = 0.0

    def setup(self) -> GuardianSetup:
        """The guardian's setup."""
        path = Path(self.config)
        config = at_addresses(load_config(path), self.addresses)
        return GuardianSetup(config, path, Path(self.state), patience_s=WRITE_S, silence_s=self.silence_s)


class GuardianSession:
    """The guardian of one run."""

    def __init__(self) -> None:
        self._clock: SteppedClock
        self._guardian: Guardian | None = None
        self._stack = ExitStack()

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Execute one request.

        Raises:
            GridlabError, OSError, ValueError: it failed.
        """
        match request:
            case {"open": dict(opening)}:
                return await self._open(GuardianOpening(**opening))
            case {"tick": int() | float() as t_s} if self._guardian:
                self._clock.advance_to(t_s)
                outcomes = await self._guardian.step()
                return {"took_over": self._guardian.is_writer, "outcomes": outcomes}
        raise GridlabError(f"guardian: asked {request}, allowed open, then tick")

    async def close(self) -> None:
        """Cancel the releases in progress, and give the folder up."""
        with self._stack:
            if self._guardian:
                await self._guardian.close()

    async def _open(self, opening: GuardianOpening) -> Mapping[str, Any]:
        self._clock, setup = SteppedClock(datetime.fromisoformat(opening.start)), opening.setup()
        self._clock.advance_to(opening.at_s)
        self._stack.enter_context(exclusive_lock(setup.state, GUARDIAN_LOCK, "guardian"))
        guardian = Guardian(setup, self._clock)
        self._stack.enter_context(guardian_stops(setup.state, guardian, asyncio.get_running_loop()))
        if guardian.guarded:  # of a run of passive houses there is nothing to guard
            await guardian.check()
        await guardian.step()
        self._guardian = guardian
        return {"guarding": len(guardian.guarded)}


async def _guard() -> None:
    session = GuardianSession()
    try:
        await follow(session)
    finally:
        await session.close()


def main() -> None:
    """Run until stdin ends."""
    log_to_stderr()
    asyncio.run(_guard())


if __name__ == "__main__":
    main()
