"""The writing part of a cycle: setpoints are recorded, sent to all devices at the same time, and read back."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from math import inf

from controller.process.failures import RecordError
from controller.record.audit import Attempt, AuditTrail
from controller.record.store_thread import LateRecordError, StoreThread
from controller.service.doubts import Doubts
from controller.stop.order import Permit
from core.devices import Converter, Outcome, Setpoint
from core.time import Clock
from realtime.timing import WRITE_S

_log = logging.getLogger(__name__)

RELEASE_RECORD_S = 0.5
"""How long a release waits for its record."""


class _Record:
    """The audit record of several attempts. All methods run in the thread of the audit trail, in this order."""

    def __init__(self, audit: AuditTrail, at: datetime, attempts: Mapping[str, Attempt]) -> None:
        self._audit, self._at, self._attempts = audit, at, attempts
        self._numbers: Mapping[str, int] = {}

    def begin(self) -> None:
        numbers = self._audit.begin(self._at, list(self._attempts.values()))
        self._numbers = dict(zip(self._attempts, numbers, strict=True))

    def complete(self, outcomes: Mapping[str, Outcome]) -> None:
        """Record the outcomes; of what was carried out without a record, also the attempts."""
        if not self._numbers:
            self.begin()
        self._audit.complete(self._at, {number: outcomes[name] for name, number in self._numbers.items()})


class Writer:
    """Writes ``converters``, those that may be written: none in MONITOR.

    A setpoint is sent only once its record is on the disk; a release does not wait for that longer than
    :data:`RELEASE_RECORD_S`.

    Args:
        thread: of the audit trail.
        doubts: is informed of every write, so that it can recognise our setpoints.
        permit: to send setpoints; void from the next emergency stop on, at once and whatever the event loop is doing.

    Attributes:
        accepted_s: when converters last accepted a write, by name; monotonic.
    """

    def __init__(
        self,
        converters: Mapping[str, Converter],
        audit: AuditTrail,
        thread: StoreThread,
        clock: Clock,
        doubts: Doubts,
        permit: Permit,
    ) -> None:
        self.accepted_s: dict[str, float] = {}
        self._converters, self._audit, self._thread = converters, audit, thread
        self._clock, self._doubts = clock, doubts
        self._permit, self._halted = permit, False
        self._sending: set[asyncio.Task[Outcome]] = set()
        self._lease_ends_s: dict[str, float] = {}

    @property
    def devices(self) -> Collection[str]:
        """Names of the devices that may be written."""
        return self._converters.keys()

    def halt(self) -> None:
        """Stop sending setpoints, also those in progress; only releases are possible from now on."""
        self._halted = True
        for task in self._sending:
            task.cancel()

    def leave(self, names: Collection[str]) -> None:
        """Leave these converters to another writer; they are neither written nor released any more."""
        self._converters = {name: converter for name, converter in self._converters.items() if name not in names}

    async def write(
        self, at: datetime, attempts: Mapping[str, Attempt], setpoints: Mapping[str, Setpoint], by_s: float
    ) -> Mapping[str, Outcome]:
        """Record the attempts and send them; a device without a setpoint is released.

        Args:
            by_s: monotonic; no setpoint is sent later.

        Raises:
            RecordError: the audit trail was not written in time, so no setpoint was sent; releases were.
        """
        if not attempts:
            return {}
        record = _Record(self._audit, at, attempts)
        begun = self._thread.request(record.begin)
        freed = [name for name in attempts if name not in setpoints]
        released, (sent, error) = await asyncio.gather(
            self._release_all(freed, begun), self._send_recorded(setpoints, begun, by_s)
        )
        outcomes = {**released, **sent}
        if released or error is None or isinstance(error, LateRecordError):
            self._thread.request(partial(record.complete, outcomes))
        if error:
            raise error
        return outcomes

    async def release(self, reason: str, names: Collection[str]) -> Mapping[str, Outcome]:
        """Put converters into their own safe state and read it back.

        This is done even if it cannot be recorded, since nothing may prevent it.
        """
        attempts = {name: Attempt(name, None, None, reason, "") for name in names}
        return await self.write(self._clock.now(), attempts, {}, by_s=inf)

    def leases_s(self) -> Mapping[str, float]:
        """Remaining time of the leases that devices are known to hold, by name, s."""
        now_s = self._clock.monotonic_s()
        return {name: end_s - now_s for name, end_s in self._lease_ends_s.items() if end_s > now_s}

    async def _release_all(self, names: Collection[str], begun: "asyncio.Future[None]") -> dict[str, Outcome]:
        if not names:
            return {}
        try:
            await self._thread.ended(begun, RELEASE_RECORD_S)
        except RecordError as error:
            _log.error("released without a record: %s", error)
        return await self._send_all(names, {}, by_s=inf)

    async def _send_recorded(
        self, setpoints: Mapping[str, Setpoint], begun: "asyncio.Future[None]", by_s: float
    ) -> tuple[dict[str, Outcome], RecordError | None]:
        """Outcomes of the setpoints; all are rejected by the error if they are not recorded in time."""
        if not setpoints:
            return {}, None
        try:
            await self._thread.ended(begun)
        except RecordError as error:
            return dict.fromkeys(setpoints, Outcome.REJECTED), error
        return await self._send_all(setpoints, setpoints, by_s), None

    async def _send_all(
        self, names: Collection[str], setpoints: Mapping[str, Setpoint], by_s: float
    ) -> dict[str, Outcome]:
        """Write to all devices at the same time; a device that takes too long delays no other."""
        tasks = {name: asyncio.create_task(self._send(name, setpoints.get(name), by_s)) for name in names}
        self._sending.update(task for name, task in tasks.items() if name in setpoints)
        try:
            await asyncio.wait(tasks.values(), timeout=WRITE_S)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            self._sending.difference_update(tasks.values())
        outcomes = {name: Outcome.UNKNOWN if task.cancelled() else task.result() for name, task in tasks.items()}
        now_s = self._clock.monotonic_s()
        self._doubts.wrote(setpoints, outcomes, now_s)
        self.accepted_s.update({name: now_s for name, outcome in outcomes.items() if outcome is not Outcome.REJECTED})
        verified = {name for name, outcome in outcomes.items() if outcome is Outcome.VERIFIED}
        self._lease_ends_s.update({name: now_s + setpoints[name].lease_s for name in verified & setpoints.keys()})
        for name in verified - setpoints.keys():
            self._lease_ends_s.pop(name, None)
        return outcomes

    async def _send(self, name: str, setpoint: Setpoint | None, by_s: float) -> Outcome:
        converter = self._converters[name]
        late = self._clock.monotonic_s() > by_s  # a process that was suspended must not act on old data
        if setpoint is not None and (self._halted or late or not self._permit.valid):
            return Outcome.REJECTED
        if setpoint is None and self._permit.released(name):
            return Outcome.VERIFIED  # by the stop's own connection, with an epoch that keeps ours out
        try:
            return await (converter.release() if setpoint is None else converter.write(setpoint))
        except Exception:  # a defect of one driver must not affect the others
            _log.exception("%s: write failed", name)
            return Outcome.UNKNOWN
