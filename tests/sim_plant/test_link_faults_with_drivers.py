"""What the drivers promise, kept under every fault of a link: real sockets, shortened deadlines."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from controller.process.clocks import WallClock
from core.config_devices import Device
from core.devices import Measurement, Outcome, Quality, Setpoint
from drivers.exchange import Timing
from drivers.factory import ConnectedDevices, DriverSettings, connect
from sim_plant.link_faults import LinkFault
from sim_plant.plant import Plant, open_plant
from tests.support.paths import CONFIGS
from tests.support.plant_benches import GENERIC, METER, START, SUNSPEC, device, opcua_device, plant_of

TIMING = Timing(request_s=0.2, exchange_s=0.8, pause_s=0.1, session_s=0.6)
GENERIC_ONE, GENERIC_TWO = device("generic", GENERIC, port=1, unit=1), device("second", GENERIC, port=1, unit=2)
KINDS = (
    GENERIC_ONE,
    device("sunspec", SUNSPEC, port=2),
    opcua_device("opcua", "opcua"),
    device("meter", METER, node="N3", port=3),
)
OTHER = device("other", METER, node="N2", port=4)
DEAF = ("down", "black_hole", "silent", "garbage", "short", "cut", "reset", "slow")
"""Faults under which no answer is right in time."""
HEALED_S, OTHER_S = 10.0, 1.0


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The event loop reports what pymodbus makes of garbage."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("asyncio").setLevel(logging.NOTSET)


@dataclass
class Bench:
    """A plant and the drivers of its devices; time goes on by 30 s a cycle."""

    plant: Plant
    devices: ConnectedDevices
    t_s: float = 0.0

    async def cycle(self) -> None:
        self.t_s += 30.0
        await self.plant.advance(self.t_s)
        await asyncio.sleep(1.2 * TIMING.pause_s)

    async def switch(self, fault: str, *names: str, on: bool) -> None:
        for name in names:
            await self.plant.switch(fault, name, on=on)

    async def read(self, name: str) -> Measurement:
        return await self.devices.readers[name].read()

    async def commanded(self, name: str, p_kw: float) -> Outcome | None:
        """The outcome of a write, where there is something to write to."""
        if name not in self.devices.converters:
            return None
        return await self.devices.converters[name].write(Setpoint(p_kw, 0.0, 75.0))

    def setpoint_kw(self, name: str) -> float:
        return self.plant.laboratory.converters[name].state.setpoint_kva.real

    def right(self, reading: Measurement, within_s: float = 0.0) -> bool:
        """Whether it is what the device says now, or said ``within_s`` ago."""
        assert reading.taken_at is not None
        age = START + timedelta(seconds=self.t_s) - reading.taken_at
        return timedelta() <= age <= timedelta(seconds=within_s)

    async def healed(self, name: str) -> None:
        """Right again soon."""
        async with asyncio.timeout(HEALED_S):
            while (reading := await self.read(name)).quality is not Quality.GOOD:
                await asyncio.sleep(TIMING.pause_s)
            while await self.commanded(name, 1.0) not in (Outcome.VERIFIED, None):
                await asyncio.sleep(TIMING.pause_s)
        assert self.right(reading), name


@asynccontextmanager
async def bench(*devices: Device) -> AsyncIterator[Bench]:
    config = plant_of(*devices, seed=2)
    settings = DriverSettings(CONFIGS, config.network.voltage_v, WallClock(), TIMING)
    async with open_plant(config) as plant, connect(plant.devices, settings, writer_epoch=3) as connected:
        yield Bench(plant, connected)


def resources() -> tuple[int, int]:
    """File descriptors and tasks."""
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())


async def failed(lab: Bench, name: str, *, read_first: bool) -> None:
    """A reading and a write, with a live session for the first of them."""
    reading = await lab.read(name) if read_first else None
    outcome = await lab.commanded(name, 2.0)
    reading = reading or await lab.read(name)
    assert (reading.quality, reading.p_kw) == (Quality.INVALID, None), name
    assert outcome in (Outcome.UNKNOWN, None), name


async def undelayed(lab: Bench) -> None:
    began_s = time.monotonic()
    assert (await lab.read("other")).quality is Quality.GOOD
    assert time.monotonic() - began_s < OTHER_S


async def test_faults_under_which_no_answer_is_right() -> None:
    async with bench(*KINDS, OTHER) as lab:
        names = [kind.name for kind in KINDS]
        await asyncio.gather(*(lab.healed(name) for name in names), undelayed(lab))
        before = resources()
        for k, fault in enumerate(DEAF):
            await lab.cycle()
            await lab.switch(fault, *names, on=True)
            await asyncio.gather(*(failed(lab, name, read_first=k % 2 == 0) for name in names), undelayed(lab))
            await lab.switch(fault, *names, on=False)
            await lab.cycle()
            await asyncio.gather(*(lab.healed(name) for name in names))
            assert resources() == before, fault
        assert lab.plant.laboratory.recorder.tally.violations.total() == 0


async def plausible(lab: Bench, name: str, p_kw: float) -> Outcome | None:
    """What is taken for an answer is one: of now, or, where the last one was late, of the cycle before."""
    reading = await lab.read(name)
    assert reading.quality is Quality.INVALID or lab.right(reading, within_s=30.0), reading
    await asyncio.sleep(1.2 * TIMING.pause_s)
    return await verified_is_so(lab, name, p_kw)


async def verified_is_so(lab: Bench, name: str, p_kw: float) -> Outcome | None:
    outcome = await lab.commanded(name, p_kw)
    if outcome is Outcome.VERIFIED:
        assert lab.setpoint_kw(name) == pytest.approx(p_kw), name
    return outcome


async def test_what_is_claimed_for_an_answer_is_one() -> None:
    async with bench(*KINDS) as lab:
        names = [kind.name for kind in KINDS]
        await asyncio.gather(*(lab.healed(name) for name in names))
        for fault in ("late", "replay", "sliced", "fewer"):
            ill = [name for name in names if (fault, name) != ("fewer", "opcua")]
            await lab.switch(fault, *ill, on=True)
            for k in range(3):
                await lab.cycle()
                await asyncio.gather(*(plausible(lab, name, 1.0 + k / 4) for name in ill))
            await lab.switch(fault, *ill, on=False)
            await lab.cycle()
            await asyncio.gather(*(lab.healed(name) for name in ill))
        assert lab.plant.laboratory.recorder.tally.violations.total() == 0


async def test_flipped_bits_verify_nothing_that_is_not_so() -> None:
    async with bench(*KINDS[:2]) as lab:
        await lab.switch("corrupt", "generic", "sunspec", on=True)
        for k in range(5):
            await lab.cycle()
            outcomes = await asyncio.gather(*(verified_is_so(lab, c.name, 1.0 + k / 4) for c in KINDS[:2]))
            assert outcomes != [Outcome.VERIFIED] * 2
        await lab.switch("corrupt", "generic", "sunspec", on=False)
        await lab.cycle()
        await asyncio.gather(lab.healed("generic"), lab.healed("sunspec"))


async def test_a_write_that_timed_out_is_executed_later() -> None:
    async with bench(GENERIC_ONE) as lab:
        await lab.healed("generic")
        await lab.switch("late_write", "generic", on=True)
        assert await lab.commanded("generic", 2.0) is Outcome.UNKNOWN
        assert lab.setpoint_kw("generic") == 1.0, "not yet"
        await lab.switch("late_write", "generic", on=False)
        await lab.cycle()
        assert lab.setpoint_kw("generic") == 2.0
        assert await lab.commanded("generic", 1.5) is Outcome.VERIFIED
        await lab.cycle()
        assert lab.setpoint_kw("generic") == 1.5, "the newest one counts"


async def test_a_silent_unit_costs_the_others_of_its_address_one_deadline() -> None:
    async with bench(GENERIC_ONE, GENERIC_TWO) as lab:
        await asyncio.gather(lab.healed("generic"), lab.healed("second"))
        await lab.switch("silent", "generic", on=True)
        for _ in range(3):
            await lab.cycle()
            silent, began_s = asyncio.create_task(lab.read("generic")), time.monotonic()
            await asyncio.sleep(0)
            assert (await lab.read("second")).quality is Quality.GOOD
            assert 0.9 * TIMING.request_s < time.monotonic() - began_s < 1.9 * TIMING.request_s
            assert (await silent).quality is Quality.INVALID


async def test_flapping_leaves_nothing_behind() -> None:
    async with bench(GENERIC_ONE) as lab:
        await lab.healed("generic")
        before, seen = resources(), set()
        await lab.plant.switch("flapping", "generic", on=True, number=4.0)
        for _ in range(10):
            await lab.cycle()
            seen.add((await lab.read("generic")).quality)
        await lab.switch("flapping", "generic", on=False)
        await lab.cycle()
        await lab.healed("generic")
        assert seen == {Quality.GOOD, Quality.INVALID}
        assert resources() == before


async def test_a_dead_address_is_tried_once_a_pause() -> None:
    async with bench(GENERIC_ONE) as lab:
        await lab.switch("black_hole", "generic", on=True)
        began_s, tries = time.monotonic(), 0
        while time.monotonic() - began_s < 1.0:
            asked_s = time.monotonic()
            await lab.read("generic")
            tries += time.monotonic() - asked_s > TIMING.request_s / 2
            await asyncio.sleep(0.01)
        assert 2 <= tries <= 1.0 / (TIMING.pause_s + TIMING.request_s) + 1


def test_every_fault_is_tried_here() -> None:
    tried = {*DEAF, "late", "replay", "sliced", "fewer", "corrupt", "late_write", "flapping"}
    assert tried == {fault.value for fault in LinkFault}
