"""What the drivers make of the simulated plant: of links and clocks that do wrong, of writers that came after them."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from core.config_devices import Device
from core.devices import Measurement, Outcome, Quality, Setpoint
from core.epochs import LAST
from drivers.device_clock import READINGS, TOLERANCE_S
from drivers.factory import ConnectedDevices, DriverSettings, connect
from drivers.fencing import Fence
from sim_plant.converter import ControlState
from sim_plant.plant import Plant, open_plant
from tests.support.asynchronous import run
from tests.support.drivers import QUICK, ManualClock
from tests.support.paths import CONFIGS
from tests.support.plant_benches import GENERIC, METER, START, SUNSPEC, device, opcua_device, plant_of

ONE = device("meter", METER, node="N3", port=1)
CONVERTERS = (device("generic", GENERIC, port=1), device("sunspec", SUNSPEC, port=2), opcua_device("opcua", "opcua"))
POLL_S = 5.0
SETPOINT = Setpoint(1.0, 0.0, 75.0)


@dataclass
class Lab:
    """A plant and the drivers of its devices, by one clock."""

    plant: Plant
    devices: ConnectedDevices
    clock: ManualClock

    async def go_on(self, by_s: float = POLL_S) -> None:
        self.clock.move(by_s)
        await self.plant.advance(self.clock.elapsed_s)

    async def readings(self, n: int) -> list[Measurement]:
        """Of the first device, one a poll."""
        device, found = next(iter(self.devices.readers.values())), []
        for _ in range(n):
            await self.go_on()
            found.append(await device.read())
        return found


@asynccontextmanager
async def lab(*devices: Device) -> AsyncIterator[Lab]:
    clock, config = ManualClock(), plant_of(*devices, seed=3)
    async with open_plant(config) as plant:
        settings = DriverSettings(CONFIGS, config.network.voltage_v, clock, QUICK)
        async with connect(plant.devices, settings, writer_epoch=3) as connected:
            yield Lab(plant, connected, clock)


def age_s(reading: Measurement) -> float:
    """By the device's clock, when it came."""
    assert reading.taken_at
    return reading.received_s - (reading.taken_at - START).total_seconds()


def qualities(readings: Sequence[Measurement]) -> list[Quality]:
    return [reading.quality for reading in readings]


GOOD, INVALID = Quality.GOOD, Quality.INVALID


async def test_late_answers_are_never_good() -> None:
    async with lab(ONE) as here:
        assert qualities(await here.readings(2)) == [GOOD] * 2
        await here.plant.switch("late", "meter", on=True)
        assert qualities(await here.readings(4)) == [INVALID] * 4
        await here.plant.switch("late", "meter", on=False)
        *_, last = await here.readings(2)
        assert (last.quality, age_s(last)) == (GOOD, 0.0)


async def test_flipped_bits_in_a_clock_are_seen() -> None:
    async with lab(ONE) as here:
        await here.readings(1)
        await here.plant.switch("corrupt", "meter", on=True, number=2.0)
        readings = await here.readings(40)
        ages_s = [age_s(reading) for reading in readings if reading.quality is GOOD]
        assert 0 < len(ages_s) < len(readings)
        assert max(map(abs, ages_s)) <= TOLERANCE_S
        await here.plant.switch("corrupt", "meter", on=False)
        assert (await here.readings(READINGS))[-1].quality is GOOD


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, -START.timestamp() + 60.0])
async def test_a_clock_that_jumps_is_believed_after_three_readings(jump_s: float) -> None:
    async with lab(ONE) as here:
        await here.readings(2)
        for on in (True, False):
            await here.plant.switch("clock_jumps", "meter", on=on, number=jump_s if on else None)
            assert qualities(await here.readings(READINGS + 1)) == [INVALID, INVALID, GOOD, GOOD]


async def test_a_clock_that_stands_is_not_one_that_jumps() -> None:
    async with lab(ONE) as here:
        assert qualities(await here.readings(1)) == [GOOD]
        await here.plant.switch("frozen", "meter", on=True)
        stood = await here.readings(20)
        assert qualities(stood) == [GOOD] * 20
        assert len({reading.taken_at for reading in stood}) == 1
        await here.plant.switch("frozen", "meter", on=False)
        assert qualities(await here.readings(1)) == [GOOD]


def test_what_cannot_be_decoded_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with lab(ONE) as here:
            await here.readings(1)
            await here.plant.switch("corrupt", "meter", on=True)
            assert qualities(await here.readings(10)).count(INVALID) > 5

    caplog.set_level(logging.WARNING)
    run(test())
    assert {record.name for record in caplog.records} == {"drivers.exchange"}
    assert len(caplog.records) < 5, caplog.messages


async def test_converters_that_another_writer_has_claimed_are_not_claimed_again() -> None:
    async with lab(*CONVERTERS) as here:
        told = here.devices.converters
        assert [await c.write(SETPOINT) for c in told.values()] == [Outcome.VERIFIED] * 3
        for name in told:
            await here.plant.switch("foreign_write", name, on=True)
        await here.go_on(30.0)
        assert qualities([await c.read() for c in told.values()]) == [GOOD] * 3
        assert {c.status.writer_epoch for c in told.values() if c.status} == {4}
        frames = here.plant.laboratory.recorder.tally.frames.total()
        assert [await c.write(SETPOINT) for c in told.values()] == [Outcome.REJECTED] * 3
        assert here.plant.laboratory.recorder.tally.frames.total() == frames, "nothing was sent"
        assert [await c.release() for c in told.values()] == [Outcome.VERIFIED] * 3, "whoever commands them"
        assert {c.state.mode for c in here.plant.laboratory.converters.values()} == {ControlState.SAFE}
        assert {c.state.epoch for c in here.plant.laboratory.converters.values()} == {4}, "who was replaced stays so"
        assert here.plant.laboratory.recorder.tally.violations.total() == 0


@pytest.mark.parametrize("firmware", ["ring", "plain_epochs"])
@pytest.mark.parametrize("highest", [LAST // 2 + 2, LAST])
async def test_an_intruder_cannot_use_up_the_epochs(firmware: str, highest: int) -> None:
    """It has written with an epoch far ahead; who reads it first can claim, and release, every kind of converter."""
    async with lab(*CONVERTERS) as here:
        stations = here.plant.laboratory.converters
        for station in stations.values():
            if firmware == "plain_epochs":
                station.switch(firmware, on=True)
            frame = {"p_setpoint_kw": 1.0, "q_setpoint_kvar": 0.0, "lease_s": 75.0, "enable": 1.0}
            assert station.write({**frame, "writer_epoch": float(highest)}) is None
        await here.go_on(30.0)
        fences = {name: Fence(1, highest) for name in stations}
        settings = DriverSettings(CONFIGS, 400.0, here.clock, QUICK)
        async with connect(here.plant.devices, settings, 1, fences) as again:
            for converter in again.converters.values():
                await converter.read()
                assert await converter.write(SETPOINT) is Outcome.VERIFIED
            await here.go_on(30.0)
            for name, converter in again.converters.items():
                await converter.read()
                assert converter.status
                assert not converter.fence.overtaken_by(converter.status.writer_epoch)
                assert await converter.write(SETPOINT) is Outcome.VERIFIED, name
        for converter in here.devices.converters.values():
            assert await converter.release() is Outcome.VERIFIED, "by a writer of the fresh epoch 3"
        assert {station.state.mode for station in stations.values()} == {ControlState.SAFE}
        tally, once = here.plant.laboratory.recorder.tally, (firmware, highest) == ("plain_epochs", LAST)
        assert tally.violations.total() == (2 if once else 0), "refused once, then with the only epoch that is left"


async def test_converters_that_have_forgotten_the_other_writer_are_ours_again() -> None:
    async with lab(*CONVERTERS) as here:
        told = here.devices.converters
        for name in told:
            await here.plant.switch("foreign_write", name, on=True, number=9.0)
        await here.go_on(30.0)
        _ = [await c.read() for c in told.values()]
        assert [await c.write(SETPOINT) for c in told.values()] == [Outcome.REJECTED] * 3
        for name in told:
            await here.plant.switch("foreign_write", name, on=False)
            await here.plant.switch("reboot", name, on=True)
        await here.go_on(30.0)
        for name in told:
            await here.plant.switch("reboot", name, on=False)
        await here.go_on(30.0)
        _ = [await c.read() for c in told.values()]
        assert [await c.write(SETPOINT) for c in told.values()] == [Outcome.VERIFIED] * 3
