"""All records that a service keeps, open for as long as it lives, and which of them are lost at present.

Control continues without telemetry, journal or heartbeat; without the audit trail nothing is written to a device. Each
store has a thread, so that a slow disk delays neither the event loop nor another store.
"""

import asyncio
import logging
from asyncio import Future
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import datetime
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import Self, TypeVar

from controller.process.age import BootClock
from controller.process.modes import Mode
from controller.record.audit import AuditTrail
from controller.record.audit_chain import AuditHead
from controller.record.audit_heads import JournalHead
from controller.record.forwarder import Forwarder
from controller.record.influx import with_token_path
from controller.record.journal import Journal
from controller.record.measurements import Record
from controller.record.reading import JOURNAL
from controller.record.recorder import Recorder
from controller.record.records import Severity
from controller.record.retention import Retention
from controller.record.store_thread import DRAIN_S, RECORD_S, StoreThread
from controller.service.alarms import Finding
from controller.service.memory import Memory, identity
from controller.service.older_journal import identity_of_version_1
from controller.service.setup import Setup
from controller.service.state_files import StateFiles
from core.time import Clock

_log = logging.getLogger(__name__)

T = TypeVar("T")
AUDIT = "audit.jsonl"
LOOK_S = 0.05
"""How long a cycle waits for the check of its records; what is found later belongs to the next one."""
SEND_S = 10.0
"""How long the end of a run waits for its database."""


class Store(StrEnum):
    """The stores, as alarms name them."""

    AUDIT = "audit trail"
    JOURNAL = "journal"
    TELEMETRY = "telemetry"
    HEARTBEAT = "heartbeat"


class Stores:
    """Opens and closes all records of a service.

    Attributes:
        audit: to be written by ``audit_thread`` only.
        files: the small files of the state folder, to be written by the thread of the heartbeat only.
        memory, recorder, forwarder: present while the block lasts.
    """

    def __init__(self, setup: Setup, clock: Clock) -> None:
        self._setup, self._clock = setup, clock
        self._stack = AsyncExitStack()
        self._missed: tuple[str, ...] = ()
        self.files = setup.files or StateFiles(setup.state)
        self.audit = AuditTrail(setup.folder / AUDIT, known=lambda: self._head.load())
        patient = setup.boot is None
        self.audit_thread = StoreThread(Store.AUDIT, patient=patient, together=self.audit.together)
        others = (StoreThread(name, patient=patient) for name in (Store.JOURNAL, Store.TELEMETRY, Store.HEARTBEAT))
        self._threads = {thread.name: thread for thread in (self.audit_thread, *others)}

    async def __aenter__(self) -> Self:
        """Open all records.

        Raises:
            RecordError: a file cannot be opened.
        """
        setup, telemetry = self._setup, self._setup.config.telemetry
        async with AsyncExitStack() as stack:
            for thread in self._threads.values():
                await stack.enter_async_context(thread)
            journal = self._journal = await self._threads[Store.JOURNAL].enter(Journal(setup.state / JOURNAL))
            self._head = JournalHead(journal, setup.folder / AUDIT)
            await self.audit_thread.enter(self.audit)
            owner, older_owner = identity(setup.config), identity_of_version_1(setup.config)
            clock = BootClock(self._clock, setup.boot, setup.synchronised)
            remember = partial(Memory, durable=not setup.tables, older_owner=older_owner)
            self.memory = await self._threads[Store.JOURNAL].request(partial(remember, journal, clock, owner))
            recorder = Recorder(setup.folder, setup.config.horizon.timezone, telemetry, tables=setup.tables)
            self.recorder = await self._threads[Store.TELEMETRY].enter(recorder)
            seen = with_token_path(setup.path, telemetry.influx) if telemetry.influx else None
            retention = Retention.of(telemetry)
            forwarder = Forwarder(setup.folder / telemetry.sqlite, seen, self._clock, retention)
            self.forwarder = await stack.enter_async_context(forwarder)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.audit_thread.settled(DRAIN_S)
        self.keep(Store.JOURNAL, partial(self._head.keep, self.audit.head))
        await self._stack.aclose()

    @property
    def damaged(self) -> tuple[str, ...]:
        """One line for every record of an earlier run that was damaged and set aside."""
        telemetry = self.recorder.damaged
        return (*self.memory.damaged, *((telemetry,) if telemetry else ()))

    def keep(self, what: str, write: Callable[[], None]) -> None:
        """Request a record that control does not depend on; it is logged once that it is lost, and once that it is
        back.
        """
        self._threads[what].request(write)

    def tell(self, event: str, detail: str, at: datetime | None = None) -> None:
        """Request a line of the audit trail about what has happened (at ``at``; None: now); a full disk delays it."""
        self.keep(Store.AUDIT, partial(self.audit.tell, at or self._clock.now(), event, detail))

    async def done(self, what: str, write: Callable[[], T], within_s: float = RECORD_S) -> T:
        """Request a record and wait for it.

        Raises:
            LateRecordError: it has not been made within ``within_s``; it will be.
            RecordError: it failed.
        """
        return await self._threads[what].done(write, within_s)

    def keep_telemetry(self, record: Record) -> None:
        """Request that a record becomes telemetry; if too many wait, its points are counted as dropped."""
        thread = self._threads[Store.TELEMETRY]
        if thread.full:
            self.recorder.lose(record)
        thread.request(partial(self.recorder.write, record))

    async def settled(self) -> None:
        """Wait until everything that was requested has ended, whether it succeeded or not."""
        for thread in self._threads.values():
            await thread.settled()

    async def look_after(self, mode: Mode) -> None:
        """Once a cycle: notice and mend what others have done to the records, and keep the end of the audit trail."""
        checks: Mapping[Store, Callable[[], tuple[str, ...]]] = {
            Store.AUDIT: partial(self._check_audit, self._clock.now()),
            Store.JOURNAL: lambda: _line(self._journal.check()) if self.files.in_place else (),
            Store.TELEMETRY: lambda: _line(self.recorder.check()),
            Store.HEARTBEAT: partial(self.files.check, mode),
        }
        for store, check in checks.items():
            self._threads[store].request(check, look=True).add_done_callback(self._checked)
        self._threads[Store.AUDIT].request(lambda: self.audit.head, look=True).add_done_callback(self._keep_head)
        await asyncio.gather(*(thread.settled(LOOK_S) for thread in self._threads.values()))

    def _check_audit(self, at: datetime) -> tuple[str, ...]:
        self.audit.check(at)
        return self.audit.noticed()

    def _checked(self, check: "Future[tuple[str, ...]]") -> None:
        missed = () if check.cancelled() or check.exception() else check.result()
        self._missed += missed
        for line in missed:
            _log.error("%s", line)

    def _keep_head(self, head: "Future[AuditHead]") -> None:
        """Only now is everything up to that head on the disk."""
        if not head.cancelled() and not head.exception():
            self.keep(Store.JOURNAL, partial(self._head.keep, head.result()))

    async def sent(self) -> None:
        """Wait a moment for the database, if it accepts anything, to receive what is queued."""
        await self._threads[Store.TELEMETRY].settled(SEND_S)
        if self._setup.config.telemetry.influx and self.forwarder.failure is None:
            await self.forwarder.drain(SEND_S)

    def lost(self) -> Iterator[Finding]:
        """Findings about records that cannot be written at present, or only slowly, and once what others did to
        them.
        """
        missed, self._missed = self._missed, ()
        for text in missed:
            yield Finding("record", Severity.ALARM, text.partition(" ")[0].rstrip(":"), text)
        for thread in self._threads.values():
            if failure := thread.failure:
                yield Finding("lost", Severity.ALARM, thread.name, failure)
        if reason := self.forwarder.failure:
            yield Finding("forwarding", Severity.WARNING, Store.TELEMETRY, reason)


def _line(text: str | None) -> tuple[str, ...]:
    return (text,) if text else ()
