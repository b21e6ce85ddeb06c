"""The release of one converter. Each converter has its own connections, so that none waits for another."""

import asyncio
import logging
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from controller.guardian.trail import GuardianRecords
from controller.process.heartbeat import Released, newer_writer_active
from core.config_devices import Converter
from core.devices import Measurement, OperatingState, Outcome, Quality
from core.epochs import NOBODY, later, successor
from drivers.factory import DriverSettings, connect
from realtime.timing import WRITE_S

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _PowerBefore:
    """Net power (kW, kvar, demand positive) of a device that follows a setpoint, just before its release."""

    at: datetime
    p_kw: float
    q_kvar: float


class GuardedConverter:
    """Connects only to release: otherwise the guardian puts no load on a device and takes none of its connections.

    Attributes:
        epoch: with which the guardian last wrote to the device; 0 before.
        released: the device's state until then; None if it was not released or that state is unknown.
    """

    def __init__(self, device: Converter, settings: DriverSettings, records: GuardianRecords, state: Path) -> None:
        self.name, self.device, self.epoch = device.name, device, 0
        self.released: Released | None = None
        self._settings, self._records, self._state = settings, records, state

    async def release(self, overtaken: int, reason: str, *, anyone: bool = False) -> Outcome:
        """One attempt to put the device into its own safe state and read it back; a device of a new writer is left
        alone.

        Args:
            overtaken: epoch of the previous writer, which is fenced off, as is the one that the device reports.
            anyone: an emergency stop, which also releases the device of a new writer.
        """
        before, self.released = self.released, None
        number = await self._records.begin(self.name, reason)
        try:
            async with asyncio.timeout(WRITE_S):
                reported, found = await self._read_state()
                replaced = not anyone and newer_writer_active(self._state, overtaken)
                last = reported if later(reported, overtaken) else overtaken  # who was overtaken may not have written
                outcome = Outcome.REJECTED if replaced else await self._make_safe(last)
                if outcome is Outcome.VERIFIED:
                    self.released = self._released_now(found, before)
        except TimeoutError:
            outcome = Outcome.UNKNOWN
        except Exception:  # a defect of a driver must not end the attempts at its device
            _log.exception("%s: release failed", self.name)
            outcome = Outcome.UNKNOWN
        await self._records.complete(number, outcome)
        return outcome

    async def _read_state(self) -> tuple[int, _PowerBefore | None]:
        """The epoch that the device reports (0: unknown), and its power if it follows a setpoint."""
        async with connect([self.device], self._settings, None) as devices:
            converter = devices.watched[self.name]
            reading, status = await converter.read(), converter.status
        if status is None:
            return NOBODY, None
        follows = status.state is OperatingState.REMOTE and reading.quality is Quality.GOOD
        return status.writer_epoch or NOBODY, _power_before(self._settings.clock.now(), reading) if follows else None

    async def _make_safe(self, before: int) -> Outcome:
        """Release with the epoch after that of the last writer ``before``; the guardian's own, which the device reports
        after a first attempt, is kept.
        """
        if before != self.epoch or self.epoch == NOBODY:
            self.epoch = successor(before)
        async with connect([self.device], self._settings, self.epoch) as devices:
            return await devices.converters[self.name].release()

    def _released_now(self, found: _PowerBefore | None, before: Released | None) -> Released | None:
        """The record of a device that is now safe; ``before`` if an earlier attempt had already released it."""
        safe_s = self._settings.clock.monotonic_s()
        if found is None:
            return replace(before, monotonic_s=safe_s, epoch=self.epoch) if before else None
        return Released(found.at, found.p_kw, found.q_kvar, safe_s, self.epoch)


def _power_before(at: datetime, reading: Measurement) -> _PowerBefore | None:
    if reading.p_kw is None or reading.q_kvar is None:
        return None
    return _PowerBefore(at, reading.p_kw, reading.q_kvar)
