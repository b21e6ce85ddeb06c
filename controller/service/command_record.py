"""The service's side of the commanded mode: what it could not write is tried again, and what others demand is obeyed.

Until a lowering is on the disk it stands in memory: ACTIVE is refused, there is an alarm, and every poll and cycle
tries to write it again.
"""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from controller.process.commanded import COMMANDED, Commanded, NoCommand, command, lower, read
from controller.process.failures import RecordError
from controller.process.modes import Mode
from controller.process.threads import in_daemon_thread
from controller.record.records import Severity
from controller.service.alarms import Finding

_log = logging.getLogger(__name__)

T = TypeVar("T")
RELEASE_WAITS_S = 2.0
"""How long a release waits for its record. The file has the bytes by then, so that only a power loss within this time
could undo it.
"""
COMMAND_WAITS_S = 10.0
"""How long a command to raise the mode waits before it is refused."""


@dataclass(frozen=True)
class Ticket:
    """What a command to raise the mode was based on; a later lowering makes it void.

    Attributes:
        lowering: of the file, see :class:`controller.process.commanded.Commanded`.
        count: of the lowerings of this process.
    """

    lowering: str
    count: int


class CommandRecord:
    """The commanded mode of one state folder."""

    def __init__(self, state: Path) -> None:
        self._state, self._count = state, 0
        self._owed: tuple[Mode, str] | None = None
        self._writing: asyncio.Future[None] | None = None
        self._failure = self._lost = ""

    async def lower(self, mode: Mode, why: str) -> None:
        """Make ``mode`` the commanded one, unless a lower one is. What cannot be written is owed."""
        self._count += 1
        self._owed, self._writing = (mode.at_most(self._owed[0]) if self._owed else mode, why), None
        await self._write()

    async def order(self, mode: Mode) -> Ticket | None:
        """For a command that is given now: a ticket if it raises the mode, so that it waits for its turn.

        Raises:
            RecordError: it raises the mode, and the last lowering is not on the disk.
        """
        if mode is Mode.ACTIVE:
            return await self.ticket()
        try:
            found = await self._found()
        except RecordError:
            return None
        raises = isinstance(found, Commanded) and not found.mode.allows(mode)
        return await self.ticket() if raises else None

    async def ticket(self) -> Ticket:
        """For a command that is given now.

        Raises:
            RecordError: the last lowering is not on the disk.
        """
        count, found = self._count, await self._found()
        if self._owed or not isinstance(found, Commanded):
            raise RecordError(f"{self._state / COMMANDED}: {self._failure or found}")
        return Ticket(found.lowering, count)

    async def command(self, mode: Mode, why: str, ticket: Ticket) -> None:
        """Make ``mode`` the commanded one, also if it is higher.

        Raises:
            RecordError: it cannot be written, or the mode has been lowered since ``ticket``.
        """
        if self.stands(ticket):
            try:
                write = partial(command, self._state, mode, why, ticket.lowering)
                await _awaited(in_daemon_thread(write), COMMAND_WAITS_S)
            except TimeoutError as error:
                await self.lower(Mode.MONITOR, f"{why}: not recorded in time")
                raise RecordError(f"{self._state / COMMANDED}: {error}") from error
        if not self.stands(ticket):
            raise RecordError(f"{self._state / COMMANDED}: asked {mode}, which was lowered in the meantime")
        self._lost = ""

    def stands(self, ticket: Ticket) -> bool:
        """Whether this process has not lowered the mode since."""
        return ticket.count == self._count

    async def allowed(self, mode: Mode) -> Mode:
        """What others have left of ``mode``, which is in force: it or a lower one.

        What is owed is tried again; a file that is damaged or gone is created anew, which raises an alarm.
        """
        if self._owed:
            await self._write()
            return mode
        try:
            found = await self._found()
        except RecordError as error:
            self._failure = str(error)
            return mode
        self._failure = ""
        if not isinstance(found, Commanded):
            return await self._created_again(mode, found)
        if not found.whole:
            await self.lower(found.mode, found.why)
        return mode.at_most(found.mode)

    def findings(self) -> Iterator[Finding]:
        """Alarms about the record."""
        if self._failure:
            yield Finding("lost", Severity.ALARM, "commanded mode", self._failure)
        if self._lost:
            yield Finding("damaged", Severity.ALARM, "commanded mode", self._lost)

    async def _created_again(self, mode: Mode, found: NoCommand) -> Mode:
        """A new file says MONITOR at first, so that a late write of it cannot raise the mode."""
        why = f"the file was {found}, and is created again"
        _log.error("commanded mode: %s", why)
        await self.lower(mode.at_most(Mode.MONITOR), why)
        try:
            if mode is Mode.ACTIVE:
                await self.command(mode, why, await self.ticket())
        except RecordError:
            return Mode.MONITOR
        finally:
            self._lost = why
        return mode

    async def _found(self) -> Commanded | NoCommand:
        try:
            return await _awaited(in_daemon_thread(partial(read, self._state)), RELEASE_WAITS_S)
        except TimeoutError as error:
            raise RecordError(f"{self._state / COMMANDED}: {error}") from error

    async def _write(self) -> None:
        """Write what is owed; an attempt that still runs is awaited, not repeated."""
        assert self._owed is not None
        owed = self._owed
        if self._writing is None or self._writing.done():
            self._writing = in_daemon_thread(partial(lower, self._state, *owed))
        try:
            await _awaited(self._writing, RELEASE_WAITS_S)
        except (RecordError, TimeoutError) as error:
            if not self._failure:
                _log.error("commanded mode %s not recorded: %s", owed[0], error)
            self._failure = str(error)
            return
        if self._owed is owed:
            self._owed, self._failure = None, ""


async def _awaited(work: asyncio.Future[T], seconds: float) -> T:
    """The result; the work goes on where this is cancelled.

    Raises:
        TimeoutError: it takes longer.
    """
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(work)
    except TimeoutError:
        raise TimeoutError(f"the disk took more than {seconds:g} s") from None
