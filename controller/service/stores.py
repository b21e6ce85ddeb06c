"""All records that a service keeps, open for as long as it lives, and which of them are lost at present.

Control continues without telemetry, journal or heartbeat; without the audit trail nothing is written to a device.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from types import TracebackType
from typing import Self

from controller.process.failures import RecordError
from controller.record.audit import AuditTrail
from controller.record.audit_heads import JournalHead
from controller.record.forwarder import Forwarder
from controller.record.influx import with_token_path
from controller.record.journal import Journal
from controller.record.reading import JOURNAL
from controller.record.recorder import Recorder
from controller.record.records import Severity
from controller.record.retention import Retention
from controller.service.alarms import Finding
from controller.service.memory import Memory, identity
from controller.service.older_journal import identity_of_version_1
from controller.service.setup import Setup
from core.time import Clock

_log = logging.getLogger(__name__)

AUDIT = "audit.jsonl"
SEND_S = 10.0
"""How long the end of a run waits for its database."""


class Stores:
    """Opens and closes all records of a service.

    Attributes:
        audit, memory, recorder, forwarder: present while the block lasts.
    """

    def __init__(self, setup: Setup, clock: Clock) -> None:
        self._setup, self._clock = setup, clock
        self._stack = AsyncExitStack()
        self._lost: dict[str, str] = {}
        self._missed: tuple[str, ...] = ()

    async def __aenter__(self) -> Self:
        """Open all records.

        Raises:
            RecordError: a file cannot be opened.
        """
        setup, telemetry = self._setup, self._setup.config.telemetry
        async with AsyncExitStack() as stack:
            journal = stack.enter_context(Journal(setup.state / JOURNAL))
            self._head = JournalHead(journal, setup.folder / AUDIT)
            self.audit = stack.enter_context(AuditTrail(setup.folder / AUDIT, known=self._head.load))
            owner, older_owner = identity(setup.config), identity_of_version_1(setup.config)
            self.memory = Memory(journal, self._clock, owner, durable=not setup.tables, older_owner=older_owner)
            self.recorder = stack.enter_context(
                Recorder(
                    setup.folder,
                    setup.config.horizon.timezone,
                    telemetry,
                    tables=setup.tables,
                )
            )
            seen = with_token_path(setup.path, telemetry.influx) if telemetry.influx else None
            retention = Retention.of(telemetry)
            forwarder = Forwarder(setup.folder / telemetry.sqlite, seen, self._clock, retention)
            self.forwarder = await stack.enter_async_context(forwarder)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.keep("journal", partial(self._head.keep, self.audit.head))
        await self._stack.aclose()

    @property
    def damaged(self) -> tuple[str, ...]:
        """One line for every record of an earlier run that was damaged and set aside."""
        telemetry = self.recorder.damaged
        return (*self.memory.damaged, *((telemetry,) if telemetry else ()))

    def keep(self, what: str, write: Callable[[], None]) -> None:
        """Write a record that control does not depend on; log once that it is lost, and once that it is back."""
        try:
            write()
        except RecordError as error:
            if what not in self._lost:
                _log.error("%s lost: %s", what, error)
            self._lost[what] = str(error)
            return
        if self._lost.pop(what, None):
            _log.info("%s back", what)

    def look_after(self) -> None:
        """Once a cycle: notice and mend what others have done to the records, and keep the end of the audit trail."""
        self.keep("audit trail", partial(self.audit.check, self._clock.now()))
        self.keep("journal", partial(self._head.keep, self.audit.head))
        self._missed = self.audit.noticed()
        for line in self._missed:
            _log.error("%s", line)

    async def sent(self) -> None:
        """Wait a moment for the database, if it accepts anything, to receive what is queued."""
        if self._setup.config.telemetry.influx and self.forwarder.failure is None:
            await self.forwarder.drain(SEND_S)

    def lost(self) -> Iterator[Finding]:
        """Findings about records that cannot be written at present."""
        for text in self._missed:
            yield Finding("record", Severity.ALARM, text.partition(" ")[0].rstrip(":"), text)
        for what, reason in self._lost.items():
            yield Finding("lost", Severity.ALARM, what, reason)
        if failure := self.forwarder.failure:
            yield Finding("forwarding", Severity.WARNING, "telemetry", failure)
