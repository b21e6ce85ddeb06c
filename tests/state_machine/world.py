"""Plant, service and guardian in one process and one virtual time; the service can be killed and started again.

Everything is real but the clock: sockets, files, the planner's process. Deadlines of requests are shorter than in
operation, as a device that does not answer costs real time; the series of a day are read once.
"""

import asyncio
import logging
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import pytest

from controller.guardian import guardian as guardian_module
from controller.guardian.guardian import Guardian, GuardianSetup
from controller.planner.planner import Planner
from controller.planner.server import listening
from controller.process.clocks import SteppedClock, WallClock
from controller.process.failures import RecordError
from controller.process.follower import at_addresses
from controller.process.lock import GUARDIAN_LOCK, exclusive_lock
from controller.process.modes import Mode
from controller.record import database
from controller.record.records import CycleRecord
from controller.service import connection as connection
from controller.service import days
from controller.service import stores as stores
from controller.service.planning import Replanned
from controller.service.service import Service
from controller.service.setup import Setup
from core.config import Config
from core.config_devices import ModbusMeter
from core.load import load_scenario
from core.scenario import Scenario
from drivers.exchange import Timing
from drivers.factory import DriverSettings
from sim_plant.plant import Plant, open_plant
from sim_plant.reports import address
from sim_plant.settings import PlantConfig, plant_config
from tests.state_machine.witness import Witness
from tests.support.disks import full_disk
from tests.support.paths import CONFIG
from tests.support.service_bench import midsummer, modbus_only

CYCLE_S, POLL_S = 30.0, 5.0
NOON = midsummer().forecast.axis.start + timedelta(hours=12)
QUICK = Timing(request_s=0.3, exchange_s=1.2)
PATIENCE_S = 0.15
"""Real time that a poll, or a look of the guardian, waits for devices that do not answer."""
BUSY_S = 0.02
"""Real time that a locked journal is waited for."""
STALL_S = 0.8 * PATIENCE_S
"""Real time after which a busy machine may have made a device look silent."""
RATED_KVA = 15.0
METERS = ("n1_meter", "n3_meter", "n4_meter", "n5_meter")
CHARGES = {"N3": 0.5, "N4": 0.104, "N5": 0.896}
"""At the begin; two batteries are close to an end of their band (0.1 … 0.9)."""
JOURNAL = "journal.sqlite"
KEPT = (JOURNAL, "telemetry.sqlite")
Doing = Callable[[Service], Coroutine[Any, Any, object]]
NO_VIRTUAL_RETRY_S = 60.0
"""While time stands no attempt is admitted again, so a stop does not wait for one."""


@cache
def site() -> Config:
    """N3, N4 (one link) and N5 with the meters at their nodes and the supply."""
    config = modbus_only()
    devices = tuple(d for d in config.devices if not isinstance(d, ModbusMeter) or d.name in METERS)
    prosumers = tuple(
        p.model_copy(update={"battery": p.battery.model_copy(update={"soc_initial": CHARGES[p.name]})})
        for p in config.prosumers
        if p.battery
    )
    return config.model_copy(update={"devices": devices, "prosumers": prosumers})


@cache
def plant_of_site() -> PlantConfig:
    return replace(plant_config(site(), CONFIG, NOON), free_ports=True)


@cache
def _scenario(horizon: str, variant: str) -> list[Scenario]:
    return []


def _read_once(config: Config, path: Path, variant: Literal["forecast", "realised"] = "forecast") -> Scenario:
    known = _scenario(repr(config.horizon), variant)
    if not known:
        known.append(load_scenario(config, path, variant))
    return known[0]


@contextmanager
def hastened() -> Iterator[None]:
    """See the module."""
    with pytest.MonkeyPatch.context() as patch:
        quick = partial(DriverSettings, timing=QUICK)
        patch.setattr(connection, "DriverSettings", quick)
        patch.setattr(guardian_module, "DriverSettings", quick)
        patch.setattr(connection, "RETRY_S", NO_VIRTUAL_RETRY_S)
        patch.setattr(days, "load_scenario", _read_once)
        patch.setattr(database, "BUSY_S", BUSY_S)
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


@asynccontextmanager
async def planner_unit() -> AsyncIterator[Path]:
    """The socket of a planner that all worlds may share."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "planner.sock"
        async with Planner() as planner, listening(planner, path):
            yield path


@dataclass
class World:
    """One laboratory. ``service`` is None while its process is dead; ``disk_bytes`` is how much a full disk takes;
    ``lock`` is the connection of another process that holds the journal locked.
    """

    plant: Plant
    clock: SteppedClock
    guardian: Guardian
    witness: Witness
    setup: Setup
    service: Service | None = None
    at_s: float = 0.0
    disk_bytes: int | None = None
    lock: sqlite3.Connection | None = None
    _striking: list[asyncio.Task[None]] = field(default_factory=list)
    _switch: Callable[[], Coroutine[Any, Any, None]] | None = None

    @property
    def mode(self) -> Mode:
        """OFF where nobody lives."""
        return self.service.mode if self.service else Mode.OFF

    @property
    def in_force(self) -> Mapping[str, complex]:
        """Setpoints that converters follow now."""
        return {name: station.state.setpoint_kva for name, station in self.plant.laboratory.converters.items()}

    @property
    def unrecordable(self) -> bool:
        """Whether records may rightly fail."""
        return self.disk_bytes is not None or self.lock is not None

    def lock_journal(self) -> None:
        """Another process holds the journal locked."""
        self.lock = sqlite3.connect(self.setup.state / JOURNAL, isolation_level=None)
        self.lock.execute("BEGIN IMMEDIATE")

    def unlock_journal(self) -> None:
        """It is over."""
        if self.lock:
            self.lock.close()
        self.lock = None

    def disk(self) -> AbstractContextManager[None]:
        """As the disk is: for whatever service or guardian do."""
        return nullcontext() if self.disk_bytes is None else full_disk(self.disk_bytes)

    async def settled(self) -> None:
        """All records of the service have been made, or have failed: time stands still until then."""
        if self.service:
            await self.service.settled()

    async def adopt(self, done: Replanned) -> None:
        """A finished plan comes into force."""
        assert self.service
        self.service.adopt(done)
        await self.settled()

    async def pass_to(self, at_s: float) -> None:
        """Time goes on, nobody does anything."""
        self.at_s = at_s
        await self.plant.advance(at_s)
        self.clock.advance_to(at_s)

    async def guard(self) -> None:
        """The guardian looks."""
        with self.disk():
            await self.guardian.step()

    async def poll(self) -> None:
        """Devices are read between two cycles."""
        assert self.service
        with self.disk():
            await self.service.poll()

    async def cycle(self) -> CycleRecord | None:
        """One cycle; None where there is none in this mode, or where it failed as nothing can be recorded."""
        assert self.service
        with self.disk():
            try:
                return await self.service.cycle()
            except RecordError:
                assert self.unrecordable
                return None

    async def start(self) -> bool:
        """A new process, as `serve` begins it; False where it cannot begin as nothing can be recorded."""
        service = Service(self.setup, self.clock, WallClock())
        with self.disk():
            try:
                await service.__aenter__()
            except RecordError:
                assert self.unrecordable
                return False
            try:
                await service.begin()
            except (RecordError, asyncio.CancelledError) as error:
                await service.__aexit__(None, None, None)
                if isinstance(error, asyncio.CancelledError):
                    raise
                assert self.unrecordable
                return False
            await service.settled()
        self.service = service
        return True

    async def start_and_stop(self, turns: int) -> bool:
        """A new process that gets SIGTERM after some turns of its event loop; whether it could begin."""
        starting = asyncio.create_task(self.start())
        for _ in range(turns):
            await asyncio.sleep(0)
        starting.cancel()
        began = (await asyncio.gather(starting, return_exceptions=True))[0]
        if self.service:
            await self.stop()
        if isinstance(began, Exception):
            raise began
        return began is not False

    async def stop(self) -> None:
        """SIGTERM."""
        assert self.service
        with self.disk():
            await self.service.__aexit__(None, None, None)
        self.service = None

    async def kill(self, at_frame: int | None, doing: Doing = Service.cycle) -> None:
        """SIGKILL, with the n-th frame of what it is doing, or between two cycles.

        Sockets are closed, nothing is released, and the databases are as a commit left them: nobody closed them.
        """
        service, self.service = self.service, None
        assert service
        if at_frame is not None:
            await self._die(doing(service), at_frame)
        await service.settled()
        await service._connection.disconnect()
        self.unlock_journal()
        with tempfile.TemporaryDirectory() as aside:
            _copy(self.setup.state, Path(aside))
            await service._stack.aclose()
            _copy(Path(aside), self.setup.state)
        for _ in range(20):
            await asyncio.sleep(0)

    async def _die(self, doing: Coroutine[Any, Any, object], at_frame: int) -> None:
        with self.disk():
            work = asyncio.create_task(doing)

            def count(frames: int) -> None:
                if frames >= at_frame:
                    work.cancel()

            self.witness.on_frame = count
            if not at_frame:
                await asyncio.sleep(0)
                work.cancel()
            try:
                await asyncio.gather(work, return_exceptions=True)
            finally:
                self.witness.on_frame = lambda count: None

    def strike(self, at_frame: int, fault: str, device: str) -> None:
        """Let a fault begin with the n-th frame from now on; :meth:`struck` begins it where there are fewer."""
        switch = partial(self.plant.switch, fault, device, on=True)

        def count(frames: int) -> None:
            if frames == at_frame and not self._striking:
                self._striking.append(asyncio.get_running_loop().create_task(switch()))

        self._switch, self.witness.on_frame = switch, count

    async def struck(self) -> None:
        """The fault has begun."""
        self.witness.on_frame = lambda frames: None
        assert self._switch
        await (self._striking.pop() if self._striking else self._switch())

    async def close(self) -> None:
        """Without any demand on it."""
        self.unlock_journal()
        if self.service:
            await self.service._connection.disconnect()
            await self.service._stack.aclose()
        await self.guardian.close()


@asynccontextmanager
async def opened(planner: Path) -> AsyncIterator[World]:
    """A laboratory at noon whose service has not begun yet."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plant = await stack.enter_async_context(open_plant(plant_of_site()))
        witness = plant.laboratory.recorder.tally = Witness(folder=folder)
        config = at_addresses(site(), {device.name: address(device) for device in plant.devices})
        clock = SteppedClock(NOON)
        guardian = Guardian(GuardianSetup(config, CONFIG, folder, patience_s=PATIENCE_S), clock)
        stack.enter_context(exclusive_lock(folder, GUARDIAN_LOCK, "guardian"))
        setup = Setup(config, CONFIG, folder, folder, patience_s=PATIENCE_S, planner=planner)
        await guardian.step()
        world = World(plant, clock, guardian, witness, setup)
        stack.push_async_callback(world.close)
        yield world


def audit_bytes(world: World) -> int:
    """How long the audit trail is."""
    path = world.setup.folder / stores.AUDIT
    return path.stat().st_size if path.exists() else 0


def _copy(source: Path, target: Path) -> None:
    """Databases with their logs; the index of a log is made anew from it."""
    for name in KEPT:
        for suffix in ("", "-wal"):
            (target / (name + suffix)).unlink(missing_ok=True)
            if (source / (name + suffix)).exists():
                shutil.copy(source / (name + suffix), target / (name + suffix))
        (target / f"{name}-shm").unlink(missing_ok=True)
