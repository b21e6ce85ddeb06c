"""Converters and meters by register map against a real server: what they read, are told, and what goes wrong."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, nan

import pytest

from core.devices import OperatingState, Outcome, Quality, Setpoint
from drivers.converter import WiredConverter
from drivers.converters.generic_modbus import GenericModbusWire
from drivers.fencing import Fence
from drivers.meters.sicam import SicamMeter
from drivers.modbus import ModbusLink, ModbusUnit
from drivers.registers import load_registers
from tests.drivers.devices import FakeDevice, Words, ignore, obey, refuse, served
from tests.support.drivers import QUICK, ManualClock, parts
from tests.support.paths import REGISTERS
from tests.support.scripted import Event, Exchange, scripted

CONVERTER = load_registers(REGISTERS / "converter_generic.yaml")
METER = load_registers(REGISTERS / "sicam_meter.yaml")
CLOCK_S = 1529575200.0
SAYS = {"state": 2.0, "p_kw": 1.0, "q_kvar": -0.5, "v_v": 400.0, "s_max_kva": 15.0, "clock_s": CLOCK_S}
SETPOINT = Setpoint(6.0, -8.0, 75.0)


@dataclass
class Bench:
    device: FakeDevice
    converter: WiredConverter
    clock: ManualClock


@asynccontextmanager
async def bench(says: dict[str, float | None] | None = None) -> AsyncIterator[Bench]:
    clock, device = ManualClock(), FakeDevice(CONVERTER, {**SAYS, **(says or {})})
    async with served({1: device}) as port, ModbusLink("127.0.0.1", port, clock, QUICK) as link:
        unit = ModbusUnit(link, 1, CONVERTER)
        yield Bench(device, WiredConverter(GenericModbusWire(unit), *parts("n3", clock), fence=Fence(7)), clock)


async def test_a_release_is_sent_also_within_the_pause_after_a_failure() -> None:
    """Virtual time stands still between two attempts of a stop, and an emergency stop may follow any failed reading."""
    async with bench() as b:
        b.converter._exchanges.breaker.failed()
        assert await b.converter.write(SETPOINT) is Outcome.UNKNOWN
        b.device.say({"state": OperatingState.SAFE})
        assert await b.converter.release() is Outcome.VERIFIED
        assert b.device.requests == [16, 3]


async def test_setpoint_is_written_by_one_request_and_read_back() -> None:
    async with bench() as b:
        assert await b.converter.write(SETPOINT) is Outcome.VERIFIED
        assert b.device.requests == [16, 3]
        told = {n: b.device.heard(n) for n in ("p_setpoint_kw", "q_setpoint_kvar", "lease_s", "writer_epoch")}
        assert told == {"p_setpoint_kw": 6.0, "q_setpoint_kvar": -8.0, "lease_s": 75.0, "writer_epoch": 7.0}
        await b.converter.read()
        status = b.converter.status
        assert status
        assert (status.p_setpoint_kw, status.q_setpoint_kvar, status.writer_epoch) == (6.0, -8.0, 7)
        b.device.say({"state": OperatingState.SAFE})
        assert await b.converter.release() is Outcome.VERIFIED
        assert b.device.heard("enable") == 0.0
        assert b.device.heard("p_setpoint_kw") == 6.0, "a release is no setpoint"


@pytest.mark.parametrize(
    "setpoint",
    [
        Setpoint(nan, 0.0, 75.0),
        Setpoint(0.0, inf, 75.0),
        Setpoint(0.0, 0.0, nan),
        Setpoint(15.01, 0.0, 75.0),
        Setpoint(11.0, -11.0, 75.0),
        Setpoint(0.0, 0.0, 0.0),
        Setpoint(0.0, 0.0, 601.0),
    ],
)
async def test_setpoint_out_of_range_is_never_sent(setpoint: Setpoint, caplog: pytest.LogCaptureFixture) -> None:
    async with bench() as b:
        assert await b.converter.write(setpoint) is Outcome.REJECTED
        assert not b.device.requests
    assert "n3: not sent: n3" in caplog.messages[-1]


@pytest.mark.parametrize("state", [OperatingState.OFF, OperatingState.SAFE, OperatingState.LOCAL, OperatingState.FAULT])
async def test_setpoint_that_is_not_followed_is_rejected(state: OperatingState) -> None:
    async with bench({"state": state}) as b:
        assert await b.converter.write(SETPOINT) is Outcome.REJECTED
        assert await b.converter.release() is Outcome.VERIFIED, "it follows nobody"
        await b.converter.read()
        assert b.converter.status
        assert b.converter.status.state is state


@pytest.mark.parametrize("fault", [ignore, refuse])
async def test_setpoint_that_is_refused_or_ignored_is_rejected(fault: object) -> None:
    async with bench() as b:
        b.device.on_write = fault  # type: ignore[assignment]
        assert await b.converter.write(SETPOINT) is Outcome.REJECTED
        b.device.on_write = obey
        assert await b.converter.write(SETPOINT) is Outcome.VERIFIED


async def test_same_setpoint_again_is_verified_by_its_lease() -> None:
    async with bench() as b:
        assert await b.converter.write(SETPOINT) is Outcome.VERIFIED
        b.device.say({"lease_s": 45.0})
        b.device.on_write = ignore
        assert await b.converter.write(SETPOINT) is Outcome.REJECTED


WRITE = "10 0000 0007 0e 40c00000 c1000000 004b 0007 0001"
HELD = "03 10 40c00000 c1000000 {} 0007 0001 0002"


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        ([(WRITE, Event.SILENCE), ("03 0000 0008", HELD.format("004b"))], Outcome.VERIFIED),
        ([(WRITE, Event.CLOSE), ("03 0000 0008", HELD.format("004b"))], Outcome.VERIFIED),
        # the old setpoint still stands: the write may be executed later
        ([(WRITE, Event.SILENCE), ("03 0000 0008", HELD.format("002d"))], Outcome.UNKNOWN),
        ([(WRITE, "10 0000 0001"), ("03 0000 0008", HELD.format("002d"))], Outcome.UNKNOWN),
        ([(WRITE, Event.SILENCE), ("03 0000 0008", Event.SILENCE)], Outcome.UNKNOWN),
        ([(WRITE, "10 0000 0007"), ("03 0000 0008", Event.CLOSE), ("03 0000 0008", Event.CLOSE)], Outcome.UNKNOWN),
        ([(WRITE, "10 0000 0007"), ("03 0000 0008", "03 02 0000")], Outcome.UNKNOWN),
    ],
)
async def test_write_without_answer_is_decided_by_reading_back(lines: list[Exchange], outcome: Outcome) -> None:
    async def test() -> Outcome:
        clock = ManualClock()
        async with scripted(lines) as (port, _), ModbusLink("127.0.0.1", port, clock, QUICK) as link:
            unit = ModbusUnit(link, 1, CONVERTER)
            return await WiredConverter(GenericModbusWire(unit), *parts("n3", clock), fence=Fence(7)).write(SETPOINT)

    assert (await test()) is outcome


async def test_write_that_is_executed_later_shows_in_the_next_reading() -> None:
    later: list[Words] = []

    def postpone(words: Words, written: Words) -> None:
        later.append(written)

    async with bench({"p_setpoint_kw": 1.0}) as b:
        b.device.on_write = postpone
        assert await b.converter.write(SETPOINT) is not Outcome.VERIFIED
        b.device.words.update(later[0])
        await b.converter.read()
        assert b.converter.status
        assert b.converter.status.p_setpoint_kw == 6.0


@pytest.mark.parametrize(
    ("says", "trouble"),
    [
        ({"p_kw": None}, "'p_kw': 'not available'} (p_kw = 7fc0 0000)"),
        ({"q_kvar": None}, "'q_kvar': 'not available'"),
        ({"v_v": None}, "'v_v': 'not available'"),
        ({"clock_s": None}, "'clock_s': 'not available'} (clock_s = 0000 0000 0000 0000)"),
        ({"clock_s": 1e15}, "no date"),
        ({"p_kw": 100.0}, "100.001 kVA, plausible up to 22.5 kVA"),
        ({"v_v": 40.0}, "40 V, plausible 200 … 600 V"),
    ],
)
async def test_values_that_cannot_be_used_are_invalid(
    says: dict[str, float | None], trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with bench(says) as b:
            assert (await b.converter.read()).quality is Quality.INVALID
            b.device.say(SAYS)
            assert (await b.converter.read()).quality is Quality.GOOD

    caplog.set_level(logging.INFO, "drivers")
    await test()
    lost, back = caplog.messages
    assert trouble in lost
    assert back == "n3: back"


async def test_true_zero_is_a_value() -> None:
    async with bench({"p_kw": 0.0, "q_kvar": 0.0}) as b:
        measurement = await b.converter.read()
        assert (measurement.p_kw, measurement.q_kvar, measurement.quality) == (0.0, 0.0, Quality.GOOD)


async def test_dead_device_is_invalid_without_values_and_comes_back() -> None:
    clock, device = ManualClock(), FakeDevice(CONVERTER, SAYS)
    async with served({1: device}) as port:
        pass
    async with ModbusLink("127.0.0.1", port, clock, QUICK) as link:
        wire = GenericModbusWire(ModbusUnit(link, 1, CONVERTER))
        converter = WiredConverter(wire, *parts("n3", clock), fence=Fence(7))
        clock.move(5.0)
        measurement = await converter.read()
        assert measurement.quality is Quality.INVALID
        assert (measurement.p_kw, measurement.q_kvar, measurement.v_pu, measurement.taken_at) == 4 * (None,)
        assert measurement.received_s == 5.0
        assert converter.status is None
        assert await converter.write(SETPOINT) is Outcome.UNKNOWN
        assert await converter.release() is Outcome.UNKNOWN
        clock.move(1.0)
        async with served({1: device}, port):
            measurement = await converter.read()
            assert (measurement.quality, measurement.p_kw) == (Quality.GOOD, 1.0)
            assert measurement.taken_at == datetime.fromtimestamp(CLOCK_S, UTC)


async def test_meters_of_one_gateway() -> None:
    says = {"v_v": 402.0, "i_a": 3.0, "q_kvar": 0.5, "clock_s": CLOCK_S}
    devices = {unit: FakeDevice(METER, {**says, "p_kw": float(unit)}) for unit in (1, 2, 3)}
    devices[2].say({"i_a": None})
    devices[3].say({"status": 4})
    clock = ManualClock()
    async with served(devices) as port, ModbusLink("127.0.0.1", port, clock, QUICK) as link:
        meters = [SicamMeter(ModbusUnit(link, u, METER), *parts(f"m{u}", clock, s_max_kva=inf)) for u in devices]
        readings = await asyncio.gather(*(meter.read() for meter in meters))
        assert [reading.device for reading in readings] == ["m1", "m2", "m3"]
        assert [reading.quality for reading in readings] == [Quality.GOOD, Quality.INVALID, Quality.INVALID]
        assert [reading.p_kw for reading in readings] == [1.0, 2.0, 3.0]
        assert readings[0].v_pu == pytest.approx(402 / 400)
