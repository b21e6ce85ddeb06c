"""``python -m controller.guardian.follow``: the guardian of a simulated run, led by a clock master over stdin.

| request | answer |
|---|---|
| ``{"open": {…}}``, see :class:`Opening` | ``{"guarding": number of converters}`` |
| ``{"tick": t}``, at ``t`` seconds since the start | ``{"took_over": bool, "outcomes": {converter: outcome}}`` |

``took_over`` stays true, with the outcomes of the last attempts, until a new writer has begun. What cannot be done is
answered by ``{"error": text}``, and it ends; so it does when stdin ends. While virtual time stands nothing is tried
again: a tick is one attempt at each converter that is not yet known to be safe.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.guardian.guardian import Guardian, GuardianSetup
from controller.guardian.watching import SILENCE_S
from controller.process.clocks import SteppedClock
from controller.process.follower import at_addresses, follow, log_to_stderr
from core.errors import GridlabError
from core.load import load_config
from realtime.timing import WRITE_S


@dataclass(frozen=True)
class Opening:
    """What a clock master says first.

    ``addresses``: where each device listens, {host, port, unit} or {url} by name. ``state``: where the controller of
    the run writes its heartbeat. ``start``: of virtual time, ISO 8601 with zone.
    """

    config: str
    state: str
    start: str
    addresses: Mapping[str, Mapping[str, Any]]
    silence_s: float = SILENCE_S

    def setup(self) -> GuardianSetup:
        """What the guardian is made of."""
        path = Path(self.config)
        config = at_addresses(load_config(path), self.addresses)
        return GuardianSetup(config, path, Path(self.state), patience_s=WRITE_S, silence_s=self.silence_s)


class Session:
    """One run."""

    def __init__(self) -> None:
        self._clock: SteppedClock
        self._guardian: Guardian | None = None

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what the clock master asks.

        Raises:
            GridlabError, OSError, ValueError: it cannot be done.
        """
        match request:
            case {"open": dict(opening)}:
                return await self._open(Opening(**opening))
            case {"tick": int() | float() as t_s} if self._guardian:
                self._clock.advance_to(t_s)
                outcomes = await self._guardian.step()
                return {"took_over": self._guardian.stands_in, "outcomes": outcomes}
        raise GridlabError(f"guardian: asked {request}, allowed open, then tick")

    async def close(self) -> None:
        """Give up what is under way."""
        if self._guardian:
            await self._guardian.close()

    async def _open(self, opening: Opening) -> Mapping[str, Any]:
        self._clock, setup = SteppedClock(datetime.fromisoformat(opening.start)), opening.setup()
        guardian = Guardian(setup, self._clock)
        await guardian.check()
        self._guardian = guardian
        return {"guarding": len(guardian.guarded)}


async def _guard() -> None:
    session = Session()
    try:
        await follow(session)
    finally:
        await session.close()


def main() -> None:
    """Guard until stdin ends."""
    log_to_stderr()
    asyncio.run(_guard())


if __name__ == "__main__":
    main()
