"""The connection of the service to its devices, and the real-time loop over them."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack

from controller.process.heartbeat import read_takeover
from controller.service.claiming import ClaimedConverter
from controller.service.cycle import ControlLoop, Start
from controller.service.doubts import Doubts
from controller.service.metered_nodes import MeteredNodes
from controller.service.meters import MeterDoubts
from controller.service.setup import Setup, node_limits
from controller.service.stores import Stores
from controller.service.watch import Watch
from controller.service.writer import Writer
from controller.stop.order import Permit
from core.devices import Converter, Outcome, Quality
from core.epochs import NOBODY
from core.time import Clock
from drivers.factory import DriverSettings, connect
from drivers.fencing import Fence
from realtime.cycle import GuardianRelease
from realtime.doubt import Doubt, DoubtKind
from realtime.node import NodeState
from realtime.timing import WRITE_S

_log = logging.getLogger(__name__)

RETRY_S = 1.1
"""Pause between two attempts to bring a device to its safe state."""


class DeviceConnection:
    """Starts unconnected.

    Attributes:
        watch, loop: of the present connection; None without one.
        states: states of prosumers, by name, kept across connections.
    """

    def __init__(self, setup: Setup, stores: Stores, clock: Clock, stopwatch: Clock) -> None:
        self.states: dict[str, NodeState] = {}
        self.watch: Watch | None = None
        self.loop: ControlLoop | None = None
        self._setup, self._stores, self._clock, self._stopwatch = setup, stores, clock, stopwatch
        self._limits, self._nodes = node_limits(setup.config), MeteredNodes.of(setup.config)
        self._meters = MeterDoubts(setup.config)
        self._stack = AsyncExitStack()
        self._fences: Mapping[str, Fence] = {}

    async def connect(self, fences: Mapping[str, Fence] | None, permit: Permit | None = None) -> ControlLoop:
        """Connect to all devices; with ``fences``, by converter, as their writer, who by default is permitted to write
        from now on.

        Raises:
            InputError: a register map, certificate or key cannot be used.
        """
        config, setup, self._fences = self._setup.config, self._setup, fences or {}
        settings = DriverSettings(setup.path.parent, config.grid.voltage_v, self._clock)
        epoch = NOBODY if fences else None
        devices = await self._stack.enter_async_context(connect(config.devices, settings, epoch, self._fences))
        self.watch = Watch(devices, self._clock, self._stopwatch, setup.patience_s)
        self._stack.push_async_callback(self.watch.close)
        doubts, permit = Doubts(config, self._fences), permit or setup.stops.permit()
        converters: Mapping[str, Converter] = devices.converters
        if setup.boot is not None:  # virtual time stands still between two services
            converters = {name: ClaimedConverter(converter, doubts) for name, converter in devices.converters.items()}
        audit, thread = self._stores.audit, self._stores.audit_thread
        writer = Writer(converters, audit, thread, self._clock, doubts, permit)
        start = Start(self.states, self._released(), self._meters)
        self.loop = ControlLoop(self._limits, self.watch, writer, doubts, self._nodes, start)
        return self.loop

    async def disconnect(self) -> None:
        """Close all connections; devices stay as they are."""
        if self.loop:
            self.states = dict(self.loop.state)
        self.watch = self.loop = None
        await self._stack.aclose()

    def _released(self) -> Mapping[str, GuardianRelease]:
        """Converters that the guardian has released, if its times are on the clock of this boot."""
        takeover = read_takeover(self._setup.state)
        if takeover is None or takeover.boot != self._setup.boot:
            return {}
        return {name: GuardianRelease(found.monotonic_s, found.epoch) for name, found in takeover.released.items()}

    def give_way(self, doubts: Mapping[str, Doubt]) -> None:
        """Before a release: leave converters to the writer who has taken them over, and let a twin learn of us."""
        if any(doubt.kind is DoubtKind.TWIN for doubt in doubts.values()):
            for fence in self._fences.values():
                fence.advance()
        if self.loop:
            self.loop.leave({name for name, doubt in doubts.items() if doubt.kind is DoubtKind.OVERTAKEN})

    async def epochs(self) -> Mapping[str, int]:
        """The writer's epoch that each converter reports, read from all of them; those are missing that report none, or
        beside a reading that makes no sense.
        """
        if self.watch is None:
            await self.connect(None)
        assert self.watch is not None
        await self.watch.poll()
        wrong = {name for name, reading in self.watch.devices().items() if reading.quality == Quality.INVALID}
        found = {name: status.writer_epoch for name, status in self.watch.statuses.items() if name not in wrong}
        return {name: epoch for name, epoch in found.items() if epoch is not None}

    async def release(self, within_s: float) -> Mapping[str, Outcome]:
        """Release all converters, and repeat it for those not known to be safe, for at most ``within_s``."""
        if self.loop is None:
            return {}
        last_round_s = self._stopwatch.monotonic_s() + within_s - WRITE_S
        outcomes = dict(await self.loop.release("stop"))
        while unsafe := sorted(name for name, outcome in outcomes.items() if outcome is not Outcome.VERIFIED):
            if self._stopwatch.monotonic_s() + RETRY_S > last_round_s:
                _log.error("not known to be safe, their leases end within 75 s: %s", ", ".join(unsafe))
                break
            await asyncio.sleep(RETRY_S)
            outcomes.update(await self.loop.release("stop", only=unsafe))
        return outcomes
