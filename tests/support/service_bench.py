"""The real-time loop over real sockets, on a plant of three converters in the same process."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path

from controller.process.clocks import SteppedClock, WallClock
from controller.process.follower import at_addresses
from controller.record.audit import AuditTrail
from controller.record.store_thread import StoreThread
from controller.service.cycle import ControlLoop, Cycle, Start
from controller.service.days import Day, DayLoader
from controller.service.doubts import Doubts
from controller.service.metered_nodes import MeteredNodes
from controller.service.meters import MeterDoubts
from controller.service.plans import DatedPlan, Plans
from controller.service.setup import node_limits
from controller.service.watch import Watch
from controller.service.writer import Writer
from controller.stop.order import StopSwitch
from core.config import Config
from core.config_devices import OpcUaConverter
from core.load import load_config
from drivers.factory import DriverSettings, connect
from mpc.intra_day import RunningPlan
from realtime.cycle import GuardianRelease
from realtime.node import NodeState
from sim_plant.plant import Plant, open_plant
from sim_plant.reports import address
from sim_plant.settings import plant_config
from tests.support.coordination import uncoordinated
from tests.support.paths import CONFIG

MIDSUMMER = date(2018, 6, 21)


def modbus_only() -> Config:
    """N3, N4 and N5 with all meters."""
    config = load_config(CONFIG)
    devices = tuple(device for device in config.devices if not isinstance(device, OpcUaConverter))
    return config.model_copy(update={"devices": devices, "prosumers": config.prosumers[:3]})


@cache
def midsummer() -> Day:
    return DayLoader(modbus_only(), CONFIG).load(MIDSUMMER).day


@cache
def selfish_plans() -> Plans:
    day = midsummer()
    running = RunningPlan.of(uncoordinated(day.forecast, modbus_only().coordination))
    return Plans(day_ahead=DatedPlan(day, running, 0.0, "test"))


@dataclass
class Bench:
    """A plant and the loop on it, both at the same virtual time."""

    plant: Plant
    clock: SteppedClock
    loop: ControlLoop
    watch: Watch
    thread: StoreThread
    audit: Path
    day: Day
    plans: Plans
    at_s: float = -30.0

    async def cycle(self, after_s: float = 30.0) -> Cycle:
        """Advance the plant by ``after_s`` and run a cycle."""
        self.at_s += after_s
        await self.plant.advance(self.at_s)
        self.clock.advance_to(self.at_s)
        try:
            return await self.loop.run(self.day, self.plans)
        finally:
            await self.thread.settled()


@asynccontextmanager
async def bench(
    folder: Path, day: Day, plans: Plans, patience_s: float = 1.0, released: Mapping[str, GuardianRelease] | None = None
) -> AsyncIterator[Bench]:
    config, start = modbus_only(), day.forecast.axis.start
    async with open_plant(replace(plant_config(config, CONFIG, start), free_ports=True)) as plant:
        here = at_addresses(config, {device.name: address(device) for device in plant.devices})
        clock, limits = SteppedClock(start), node_limits(here)
        audit = AuditTrail(folder / "audit.jsonl")
        async with StoreThread("audit trail", patient=True, together=audit.together) as thread:
            await thread.enter(audit)
            async with connect(here.devices, DriverSettings(CONFIG.parent, 400.0, clock), writer_epoch=1) as devices:
                watch = Watch(devices, clock, WallClock(), patience_s)
                states = {name: NodeState.start(node.battery) for name, node in limits.items()}
                doubts = Doubts(here, {name: converter.fence for name, converter in devices.converters.items()})
                writer = Writer(devices.converters, audit, thread, clock, doubts, StopSwitch().permit())
                start_states = Start(states, released or {}, MeterDoubts(here))
                loop = ControlLoop(limits, watch, writer, doubts, MeteredNodes.of(here), start_states)
                yield Bench(plant, clock, loop, watch, thread, folder / "audit.jsonl", day, plans)
                await watch.close()


def rungs(cycle: Cycle) -> list[str]:
    return [str(result.rung) for result in cycle.result.nodes.values()]
