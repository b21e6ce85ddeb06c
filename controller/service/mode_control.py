"""The mode of the service: the connection to the devices that it needs, the fencing epoch, the heartbeat."""

from collections.abc import Callable, Mapping
from functools import partial

from controller.guardian.site import ReleaseSite
from controller.process.heartbeat import Heartbeat, read_takeover
from controller.process.modes import Mode
from controller.record.store_thread import LateRecordError
from controller.service.connection import DeviceConnection
from controller.service.setup import Setup
from controller.service.stores import Store, Stores
from controller.stop.order import Permit
from controller.stop.wire import SITE
from core.devices import Outcome
from core.errors import GridlabError
from core.time import Clock
from drivers.fencing import Fence


class ModeControl:
    """Changes the mode, records it, and informs the guardian.

    Attributes:
        mode: OFF at first.
        closing: once set, only OFF is allowed.
    """

    def __init__(self, setup: Setup, stores: Stores, connection: DeviceConnection, clock: Clock) -> None:
        self.mode, self.closing = Mode.OFF, False
        self._setup, self._stores, self._connection, self._clock = setup, stores, connection, clock
        self._epoch = 0

    async def change(self, mode: Mode, within_s: float, permit: Permit) -> Mapping[str, Outcome]:
        """Change the mode; on leaving ACTIVE every converter is released and read back.

        Args:
            within_s: how long releases are repeated, at least once.
            permit: of a writer in ACTIVE.

        Returns:
            Outcomes of the releases, by device; empty if nothing was commanded.

        Raises:
            RecordError: ACTIVE was requested and cannot be recorded; the mode is unchanged.
            InputError: a register map, certificate or key cannot be used; the mode is OFF.
            GridlabError: the service is stopping, or there was an emergency stop since ACTIVE was requested.
        """
        if mode is Mode.ACTIVE:
            permit.require()
        if self.closing and mode is not Mode.OFF:
            raise GridlabError(f"service: asked mode {mode}, allowed off; it is stopping")
        noted, back = self._noted(self.mode, mode), self._noted(mode, self.mode)
        fences = None
        if mode is Mode.ACTIVE:
            await self._record_active(noted, back)
            fences = await self._fences()
        outcomes = await self._connection.release(within_s) if self.mode is Mode.ACTIVE else {}
        await self._connection.disconnect()
        self.mode = Mode.OFF
        if mode is not Mode.OFF:
            await self._connection.connect(fences, permit)
        self.mode = mode
        if set(outcomes.values()) <= {Outcome.VERIFIED}:
            self.beat()  # else the guardian continues the release
        if self._setup.live:
            self._setup.live.publish_mode(mode)
        if mode is not Mode.ACTIVE:
            self._stores.keep(Store.AUDIT, noted)
        self._stores.keep(Store.JOURNAL, partial(self._stores.memory.keep_mode, mode))
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

    def _noted(self, before: Mode, after: Mode) -> Callable[[], None]:
        return partial(self._stores.audit.note, self._clock.now(), "mode", f"{before} → {after}")

    async def _record_active(self, noted: Callable[[], None], back: Callable[[], None]) -> None:
        """Wait for the record of ACTIVE; one that is late is taken back by another, as the mode is unchanged."""
        try:
            await self._stores.done(Store.AUDIT, noted)
        except LateRecordError:
            self._stores.keep(Store.AUDIT, back)
            raise

    async def _fences(self) -> Mapping[str, Fence]:
        """Our epoch at every converter, after that of any earlier writer, the guardian included; kept before it is
        used.
        """
        await self._stores.done(Store.HEARTBEAT, self._name_converters)
        found, takeover = await self._connection.epochs(), read_takeover(self._setup.state)
        before = (takeover.overtaken, takeover.epoch) if takeover else ()
        following = partial(self._stores.memory.next_epoch, (*before, *found.values()))
        self._epoch = await self._stores.done(Store.JOURNAL, following)
        return {name: Fence(self._epoch, found.get(name)) for name in self._setup.config.converters}
