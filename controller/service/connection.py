"""The connection of the service to its devices, and the real-time loop over them."""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack

from controller.process.heartbeat import read_takeover
from controller.service.cycle import ControlLoop, Start
from controller.service.doubts import Doubts
from controller.service.metered_nodes import MeteredNodes
from controller.service.setup import Setup, node_limits
from controller.service.stores import Stores
from controller.service.watch import Watch
from controller.service.writer import Writer
from controller.stop.order import Permit
from core.devices import Outcome
from core.time import Clock
from drivers.factory import DriverSettings, connect
from realtime.cycle import GuardianRelease
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
        self._stack = AsyncExitStack()

    async def connect(self, epoch: int | None, permit: Permit | None = None) -> ControlLoop:
        """Connect to all devices; with an ``epoch``, as their writer, who by default is permitted to write from now on.

        Raises:
            InputError: a register map, certificate or key cannot be used.
        """
        config, setup = self._setup.config, self._setup
        settings = DriverSettings(setup.path.parent, config.grid.voltage_v, self._clock)
        devices = await self._stack.enter_async_context(connect(config.devices, settings, epoch))
        self.watch = Watch(devices, self._clock, self._stopwatch, setup.patience_s)
        self._stack.push_async_callback(self.watch.close)
        doubts = Doubts(config, epoch)
        permit = permit or setup.stops.permit()
        audit, thread = self._stores.audit, self._stores.audit_thread
        writer = Writer(devices.converters, audit, thread, self._clock, doubts, permit)
        start = Start(self.states, self._released())
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

    async def highest_epoch(self) -> int:
        """The highest writer's epoch that any converter reports, read from all of them."""
        if self.watch is None:
            await self.connect(None)
        assert self.watch is not None
        await self.watch.poll()
        return max((status.writer_epoch or 0 for status in self.watch.statuses.values()), default=0)

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
