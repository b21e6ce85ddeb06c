"""Services on one plant: with the same epoch, after an intruder, and with writes that come to nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from controller.process.clocks import SteppedClock, WallClock
from controller.process.follower import at_addresses
from controller.process.modes import Mode
from controller.record.records import CycleRecord
from controller.service.service import Service
from controller.service.setup import Setup
from core.devices import Outcome
from core.epochs import LAST
from realtime.doubt import DoubtKind
from sim_plant.converter import ControlState
from sim_plant.plant import Plant, open_plant
from sim_plant.reports import address
from sim_plant.settings import plant_config
from tests.support.guardians import STANDING_S, living_guardian
from tests.support.paths import CONFIG
from tests.support.service_bench import modbus_only

NOON = datetime(2018, 6, 21, 12, tzinfo=ZoneInfo("Europe/Zurich"))


@dataclass
class Site:
    """Services of one plant, each with a state folder of its own, at one virtual time."""

    plant: Plant
    clock: SteppedClock
    services: Sequence[Service]
    at_s: float = 0.0

    async def pass_by(self, seconds: float) -> None:
        self.at_s += seconds
        await self.plant.advance(self.at_s)
        self.clock.advance_to(self.at_s)

    async def cycle(self) -> list[CycleRecord]:
        """A cycle of every service, one after the other."""
        await self.pass_by(30.0)
        records = [await service.cycle() for service in self.services]
        return [record for record in records if record is not None]

    @property
    def modes(self) -> list[Mode]:
        return [service.mode for service in self.services]

    @property
    def states(self) -> set[ControlState]:
        return {station.state.mode for station in self.plant.laboratory.converters.values()}


@asynccontextmanager
async def site(folder: Path, services: int = 1, boot: str | None = None) -> AsyncIterator[Site]:
    config = modbus_only()
    async with AsyncExitStack() as stack:
        quiet = replace(plant_config(config, CONFIG, NOON), free_ports=True)
        plant = await stack.enter_async_context(open_plant(quiet))
        here = at_addresses(config, {device.name: address(device) for device in plant.devices})
        clock, opened = SteppedClock(NOON), []
        for k in range(services):
            state = folder / str(k)
            state.mkdir()
            setup = Setup(
                here, CONFIG, state, state, coordinate=False, patience_s=6.0, boot=boot, guardian_s=STANDING_S
            )
            await stack.enter_async_context(living_guardian(setup, clock))
            opened.append(await stack.enter_async_context(Service(setup, clock, WallClock())))
        yield Site(plant, clock, opened)


def alarms(record: CycleRecord) -> set[tuple[str, str]]:
    return {(alarm.kind, alarm.place) for alarm in record.alarms}


async def test_of_two_services_with_the_same_epoch_both_find_out_and_neither_fights(tmp_path: Path) -> None:
    async with site(tmp_path, services=2) as lab:
        for service in lab.services:
            await service.set_mode(Mode.ACTIVE)
        first = await lab.cycle()
        assert lab.modes == [Mode.ACTIVE, Mode.MONITOR], "the second one sees a writer of its own epoch"
        second = await lab.cycle()
        assert lab.modes == [Mode.MONITOR] * 2
        assert {kind for kind, _ in alarms(first[1])} >= {DoubtKind.TWIN}
        assert {kind for kind, _ in alarms(second[0])} >= {DoubtKind.OVERTAKEN}
        assert lab.states == {ControlState.SAFE}
        frames = lab.plant.laboratory.recorder.tally.frames.total()
        for _ in range(4):
            records = await lab.cycle()
        assert [("yielded", "service") in alarms(record) for record in records] == [True] * 2
        assert lab.plant.laboratory.recorder.tally.frames.total() == frames
        await lab.services[0].set_mode(Mode.ACTIVE)
        for _ in range(4):
            await lab.cycle()
        assert (lab.modes, lab.states) == ([Mode.ACTIVE, Mode.MONITOR], {ControlState.REMOTE})


async def test_two_services_whose_cycles_coincide_find_out_by_their_delays(tmp_path: Path) -> None:
    """All reads of both come before all writes of both, as with two clocks that are right."""
    async with site(tmp_path, services=2, boot="this") as lab:
        await asyncio.gather(*(service.set_mode(Mode.ACTIVE) for service in lab.services))
        for _ in range(2):
            await lab.pass_by(30.0)
            records = await asyncio.gather(*(service.cycle() for service in lab.services))
        assert lab.modes == [Mode.MONITOR] * 2
        for record in records:
            assert record
            assert {kind for kind, _ in alarms(record)} & {DoubtKind.TWIN, DoubtKind.OVERTAKEN, "yielded"}
        assert lab.states == {ControlState.SAFE}


@pytest.mark.parametrize("firmware", ["ring", "plain_epochs"])
async def test_the_last_epoch_stops_no_service_with_a_fresh_state_folder(tmp_path: Path, firmware: str) -> None:
    async with site(tmp_path) as lab:
        for station in lab.plant.laboratory.converters.values():
            if firmware == "plain_epochs":
                station.switch(firmware, on=True)
            station.claim(LAST)
        (service,) = lab.services
        await lab.pass_by(1.0)
        await service.set_mode(Mode.ACTIVE)
        for _ in range(4):
            (record,) = await lab.cycle()
        assert (lab.modes, lab.states) == ([Mode.ACTIVE], {ControlState.REMOTE})
        assert not {kind for kind, _ in alarms(record)} & {"write", *DoubtKind}
        assert set((await service.emergency_stop("operator")).values()) == {Outcome.VERIFIED}
        assert lab.states == {ControlState.SAFE}


async def test_a_rejected_write_is_an_alarm_until_one_is_verified(tmp_path: Path) -> None:
    async with site(tmp_path) as lab:
        await lab.services[0].set_mode(Mode.ACTIVE)
        for _ in range(3):
            (record,) = await lab.cycle()
            assert "write" not in {kind for kind, _ in alarms(record)}
        names = sorted(lab.plant.laboratory.converters)
        for name in names[:2]:
            lab.plant.laboratory.station(name).switch("ignore_writes", on=True)
        (record,) = await lab.cycle()
        assert alarms(record) >= {("write", name) for name in names[:2]}
        assert ("write", names[2]) not in alarms(record)
        for name in names[:2]:
            lab.plant.laboratory.station(name).switch("ignore_writes", on=False)
        (record,) = await lab.cycle()
        assert "write" not in {kind for kind, _ in alarms(record)}
        assert {alarm.kind for alarm in record.ended} >= {"write"}
