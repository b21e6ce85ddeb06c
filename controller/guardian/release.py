"""One converter in a guardian's care. Each has connections of its own, so that none waits for another."""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from controller.guardian.trail import Trail
from controller.process.heartbeat import Released, newer_writer_active
from core.config_devices import Converter
from core.devices import Measurement, Outcome, Quality
from drivers.factory import Site, connect
from drivers.status import OperatingState
from realtime.timing import WRITE_S

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Seen:
    """What a device that follows a setpoint was found at."""

    at: datetime
    p_kw: float
    q_kvar: float


class GuardedConverter:
    """Connects only to release: while all is well a guardian is no load on a device, nor a client too many.

    Attributes:
        epoch: with which the device was last told; 0 at first.
        released: what the device was doing until then; None where it was not released or that is not known.
    """

    def __init__(self, device: Converter, site: Site, trail: Trail, state: Path) -> None:
        self.name, self.epoch = device.name, 0
        self.released: Released | None = None
        self._device, self._site, self._trail, self._state = device, site, trail, state

    async def release(self, overtaken: int, reason: str) -> Outcome:
        """One attempt: put the device into its own safe state and read it back. A new writer's device is left alone.

        Args:
            overtaken: epoch of the writer before; it and every one that the device has seen are fenced off.
        """
        before, self.released = self.released, None
        number = await self._trail.begin(self.name, reason)
        try:
            async with asyncio.timeout(WRITE_S):
                reported, seen = await self._found()
                taken = reported > max(overtaken, self.epoch) and newer_writer_active(self._state, overtaken)
                outcome = Outcome.REJECTED if taken else await self._make_safe(overtaken, reported)
                if outcome is Outcome.VERIFIED:
                    self.released = self._let_go(seen, before)
        except TimeoutError:
            outcome = Outcome.UNKNOWN
        except Exception:  # a defect of a driver must not end the care for its device
            _log.exception("%s: release failed", self.name)
            outcome = Outcome.UNKNOWN
        await self._trail.complete(number, outcome)
        return outcome

    async def _found(self) -> tuple[int, _Seen | None]:
        """The highest epoch that the device knows, 0 if it does not tell; its power if it follows a setpoint."""
        async with connect([self._device], self._site, None) as devices:
            converter = devices.watched[self.name]
            reading, status = await converter.read(), converter.status
        if status is None:
            return 0, None
        follows = status.state is OperatingState.REMOTE and reading.quality is Quality.GOOD
        return status.writer_epoch or 0, _seen(self._site.clock.now(), reading) if follows else None

    async def _make_safe(self, overtaken: int, reported: int) -> Outcome:
        """With a number above all others; its own, which the device reports after a first attempt, is kept."""
        if reported > self.epoch or overtaken >= self.epoch:
            self.epoch = max(reported, overtaken) + 1
        async with connect([self._device], self._site, self.epoch) as devices:
            return await devices.converters[self.name].release()

    def _let_go(self, seen: _Seen | None, before: Released | None) -> Released | None:
        """What is known of a device that is safe just now, and was ``before`` if it was released once more."""
        safe_s = self._site.clock.monotonic_s()
        if seen is None:
            return replace(before, monotonic_s=safe_s, epoch=self.epoch) if before else None
        return Released(seen.at, seen.p_kw, seen.q_kvar, safe_s, self.epoch)


def _seen(at: datetime, reading: Measurement) -> _Seen | None:
    if reading.p_kw is None or reading.q_kvar is None:
        return None
    return _Seen(at, reading.p_kw, reading.q_kvar)
