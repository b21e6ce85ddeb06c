"""The mode of the service: its record, the connection to the devices that it needs, fencing epoch, and heartbeat."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial

from controller.guardian.site import ReleaseSite
from controller.process.commanded import Commanded, read
from controller.process.failures import RecordError
from controller.process.heartbeat import Heartbeat, NoHeartbeat, read_heartbeat, read_takeover
from controller.process.modes import Mode
from controller.record.store_thread import LateRecordError
from controller.service.alarms import Finding
from controller.service.command_record import CommandRecord, Ticket
from controller.service.connection import DeviceConnection
from controller.service.first_mode import first_mode, unrecorded_mode
from controller.service.setup import Setup
from controller.service.stores import Store, Stores
from controller.stop.order import Permit
from controller.stop.wire import SITE
from core.devices import Outcome
from core.errors import GridlabError
from core.time import Clock
from drivers.fencing import Fence

EVENT = "mode"


@dataclass(frozen=True)
class ModeOrder:
    """A mode that was demanded, and why.

    Attributes:
        permit: of a writer in ACTIVE.
        ticket: if it still has to be recorded as the commanded mode.
    """

    mode: Mode
    why: str
    permit: Permit
    ticket: Ticket | None = None


class ModeControl:
    """Changes the mode, records it, and informs the guardian.

    An order is given (:meth:`order`) before anything is waited for, so that a lowering is on the disk whatever is in
    progress, and then carried out (:meth:`change`).

    Attributes:
        mode: OFF at first.
        closing: once set, only OFF is allowed.
        was_active: whether ACTIVE was commanded when this service began.
        inherited: whether converters may follow setpoints of the predecessor, which nothing has been decided about.
    """

    def __init__(self, setup: Setup, stores: Stores, connection: DeviceConnection, clock: Clock) -> None:
        self.mode, self.closing = Mode.OFF, False
        self._setup, self._stores, self._connection, self._clock = setup, stores, connection, clock
        self._commands, self._epoch = CommandRecord(setup.state), 0
        found, beat = read(setup.state), read_heartbeat(setup.state)
        self.was_active = isinstance(found, Commanded) and found.mode is Mode.ACTIVE
        self.inherited = self.was_active or beat is NoHeartbeat.DAMAGED
        self.inherited |= isinstance(beat, Heartbeat) and beat.mode is Mode.ACTIVE

    async def open(self) -> Mapping[str, Finding]:
        """Make sure that there is a record of the commanded mode; an alarm by its kind if it was lost.

        Raises:
            RecordError: the disk prevents reading.
        """
        found = read(self._setup.state)
        if isinstance(found, Commanded):
            return {}
        first = unrecorded_mode(found, self._stores.memory, self._setup.state)
        await self._commands.lower(first.mode, first.why)
        self._stores.keep(Store.JOURNAL, self._stores.memory.forget_older_mode)
        return first.alarms

    async def first(self, permit: Permit) -> tuple[ModeOrder, Mapping[str, Finding]]:
        """The order to enter the first mode, and alarms that go with it. If it is lower than the commanded mode, it is
        recorded as the commanded one.

        Raises:
            RecordError: the disk prevents it.
        """
        first = first_mode(read(self._setup.state), self._stores.memory)
        if first.mode is Mode.ACTIVE:
            return ModeOrder(first.mode, first.why, permit, await self._commands.ticket()), first.alarms
        await self._commands.lower(first.mode, first.why)
        return ModeOrder(first.mode, first.why, permit), first.alarms

    async def order(self, mode: Mode, why: str, permit: Permit) -> ModeOrder:
        """Demand a mode. A lowering is recorded at once; what cannot be recorded is owed, and tried again.

        Raises:
            RecordError: the mode is higher than the commanded one, and nothing can be recorded.
            GridlabError: an emergency stop, whose record is still to be written, has made the permit void.
        """
        try:
            ticket = await self._commands.order(mode)
        except RecordError:
            permit.require()
            raise
        if ticket is None:
            await self._commands.lower(mode, why)
        return ModeOrder(mode, why, permit, ticket)

    def stands(self, order: ModeOrder) -> bool:
        """Whether nothing has lowered the mode since."""
        return order.permit.valid and (order.ticket is None or self._commands.stands(order.ticket))

    async def stopped(self, why: str) -> None:
        """Record that nothing may be written after a restart; OFF stays OFF."""
        await self._commands.lower(Mode.MONITOR, why)

    async def allowed(self) -> Mode:
        """The mode in force, or a lower one that another process has recorded, see :class:`CommandRecord`."""
        return await self._commands.allowed(self.mode)

    def findings(self) -> Iterator[Finding]:
        """Alarms about the record of the commanded mode."""
        return self._commands.findings()

    async def change(self, order: ModeOrder, within_s: float) -> Mapping[str, Outcome]:
        """Carry out an order; on leaving ACTIVE every converter is released and read back.

        Args:
            within_s: how long releases are repeated, at least once.

        Returns:
            Outcomes of the releases, by device; empty if nothing was commanded.

        Raises:
            RecordError: a higher mode was ordered and cannot be recorded; the mode is unchanged.
            InputError: a register map, certificate or key cannot be used; the mode is OFF.
            GridlabError: the service is stopping, or there was an emergency stop since ACTIVE was requested.
        """
        if self.closing and order.mode is not Mode.OFF:
            raise GridlabError(f"service: asked mode {order.mode}, allowed off; it is stopping")
        if order.ticket is None:
            return await self._enter(order, None, within_s)
        fences = None
        if order.mode is Mode.ACTIVE:
            order.permit.require()
            await self._record_active()
            fences = await self._fences()
        await self._commands.command(order.mode, order.why, order.ticket)
        try:
            outcomes = await self._enter(order, fences, within_s)
        except BaseException:
            await self.stopped(f"{order.mode} could not be entered")
            raise
        if order.mode is Mode.ACTIVE and not self.stands(order):
            await self._enter(replace(order, mode=Mode.MONITOR), None, within_s)
            order.permit.require()
            raise RecordError(f"service: asked mode {order.mode}, which was lowered in the meantime")
        return outcomes

    async def _enter(
        self, order: ModeOrder, fences: Mapping[str, Fence] | None, within_s: float
    ) -> Mapping[str, Outcome]:
        mode = order.mode
        before, at = self.mode, self._clock.now()
        outcomes = await self._connection.release(within_s) if self.mode is Mode.ACTIVE else {}
        await self._connection.disconnect()
        self.mode = Mode.OFF
        if mode is not Mode.OFF:
            await self._connection.connect(fences, order.permit)
        self.mode = mode
        if set(outcomes.values()) <= {Outcome.VERIFIED}:
            self.beat()  # else the guardian continues the release
        if self._setup.live:
            self._setup.live.publish_mode(mode)
        if mode is not Mode.ACTIVE:
            self._stores.tell(EVENT, _changed(before, mode), at)
        self.inherited &= mode is Mode.OFF
        return outcomes

    async def release_inherited(self, within_s: float) -> Mapping[str, Outcome]:
        """Release what may still follow setpoints of the predecessor; no mode was entered since."""
        fences = await self._fences()
        await self._connection.disconnect()
        await self._connection.connect(fences)
        outcomes = await self._connection.release(within_s)
        await self._connection.disconnect()
        if set(outcomes.values()) <= {Outcome.VERIFIED}:
            self.beat()
        self.inherited = False
        return outcomes

    def _name_converters(self) -> None:
        """Write down which converters will be commanded, for whoever has to release them without this service.

        Runs in the heartbeat's thread.
        """
        site, state = ReleaseSite.of(self._setup.config, self._setup.path), self._setup.state
        if ReleaseSite.read(state) != site:
            site.write(state)
        self._stores.files.keep(SITE)

    def beat(self) -> None:
        """Write the heartbeat, which tells the guardian that this service is alive, and its mode."""
        now, setup = self._clock.now(), self._setup
        beat = Heartbeat(self._epoch, self.mode, now, self._clock.monotonic_s(), setup.boot)
        self._stores.keep(Store.HEARTBEAT, partial(self._stores.files.beat, beat))

    async def _record_active(self) -> None:
        """Wait for the record of ACTIVE; one that is late is taken back by another, as the mode is unchanged."""
        noted = partial(self._stores.audit.note, self._clock.now(), EVENT, _changed(self.mode, Mode.ACTIVE))
        try:
            await self._stores.done(Store.AUDIT, noted)
        except LateRecordError:
            self._stores.tell(EVENT, _changed(Mode.ACTIVE, self.mode))
            raise

    async def _fences(self) -> Mapping[str, Fence]:
        """Our epoch at every converter, after that of any earlier writer, the guardian included; kept before it is
        used.
        """
        await self._stores.done(Store.HEARTBEAT, self._name_converters)
        found, takeover = await self._connection.epochs(), read_takeover(self._setup.state)
        before = (takeover.overtaken, takeover.epoch) if takeover else ()
        following = partial(self._stores.memory.next_epoch, (*before, *found.values()))
        with suppress(RecordError) if self.closing else nullcontext():  # a release needs no epoch of its own
            self._epoch = await self._stores.done(Store.JOURNAL, following)
        return {name: Fence(self._epoch, found.get(name)) for name in self._setup.config.converters}


def _changed(before: Mode, after: Mode) -> str:
    return f"{before} → {after}"
