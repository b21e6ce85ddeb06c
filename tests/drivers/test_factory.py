"""From sections of a configuration to devices."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from core.config_devices import Device
from core.devices import Converter, Meter, Outcome, Quality, Setpoint
from core.errors import InputError
from drivers.factory import DriverSettings, connect
from drivers.registers import load_registers
from tests.drivers.devices import FakeDevice, served
from tests.support.drivers import QUICK, ManualClock
from tests.support.paths import REGISTERS

CONVERTER = load_registers(REGISTERS / "converter_generic.yaml")
METER = load_registers(REGISTERS / "sicam_meter.yaml")
SAYS = {"state": 2.0, "p_kw": 1.0, "q_kvar": 0.0, "v_v": 400.0, "s_max_kva": 15.0, "clock_s": 1529575200.0}
METER_SAYS = {"v_v": 400.0, "i_a": 1.0, "p_kw": 1.0, "q_kvar": 0.0, "clock_s": 1529575200.0}


def section(**keys: Any) -> Device:
    rating = {} if keys["kind"] == "modbus_meter" else {"s_max_kva": 15, "ramp_kva_per_s": 0.25}
    device: Device = TypeAdapter(Device).validate_python({**rating, **keys})
    return device


def sections(port: int) -> list[Device]:
    return [
        section(kind="modbus_converter", name="n3", port=port, unit=1, registers="converter_generic.yaml"),
        section(kind="modbus_meter", name="m3", port=port, unit=2, registers="sicam_meter.yaml", node="N3"),
        section(kind="sunspec_converter", name="n5", port=port, unit=3),
        section(kind="opcua_converter", name="n7", url="opc.tcp://127.0.0.1:1/n7"),
    ]


def settings() -> DriverSettings:
    return DriverSettings(REGISTERS, 400.0, ManualClock(), QUICK)


async def test_devices_of_every_kind_read_at_once_whatever_some_of_them_do() -> None:
    devices = {1: FakeDevice(CONVERTER, SAYS), 2: FakeDevice(METER, METER_SAYS)}
    async with served(devices) as port, connect(sections(port), settings(), writer_epoch=7) as found:
        typed: list[Meter] = list(found.readers.values())
        readings = await asyncio.gather(*(device.read() for device in typed))
        assert {r.device: r.quality for r in readings} == {
            "m3": Quality.GOOD,
            "n3": Quality.GOOD,
            "n5": Quality.INVALID,
            "n7": Quality.INVALID,
        }
        assert found.converters.keys() == {"n3", "n5", "n7"}
        told: Converter = found.converters["n3"]
        assert await told.write(Setpoint(1.0, 0.0, 75.0)) is Outcome.VERIFIED
        assert devices[1].heard("writer_epoch") == 7.0


async def test_who_only_watches_has_nothing_to_write_with() -> None:
    device = FakeDevice(CONVERTER, SAYS)
    async with served({1: device}) as port, connect(sections(port)[:1], settings(), writer_epoch=None) as found:
        watched = found.watched["n3"]
        assert (await watched.read()).quality is Quality.GOOD
        assert watched.status
        assert watched.status.s_max_kva == 15.0
        assert not found.converters
        assert not hasattr(watched, "write")
        assert not hasattr(watched, "release")


async def test_devices_of_one_address_share_a_connection() -> None:
    async def test() -> None:
        connections = 0

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            try:
                while request := await reader.readexactly(12):
                    writer.write(request[:4] + bytes([0, 3, request[6], 0x83, 2]))
            except asyncio.IncompleteReadError:
                writer.close()

        async with await asyncio.start_server(count, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with connect(sections(port)[:3], settings(), writer_epoch=7) as found:
                await asyncio.gather(*(device.read() for device in found.readers.values()))
        assert connections == 1

    await test()


async def test_nothing_is_sent_before_the_first_reading() -> None:
    async with connect(sections(1), settings(), writer_epoch=7) as found:
        assert len(found.readers) == 4


async def test_maps_that_lack_something_are_bad_input(tmp_path: Path) -> None:
    shutil.copy(REGISTERS / "sicam_meter.yaml", tmp_path / "converter_generic.yaml")

    async def test() -> None:
        async with connect(sections(1)[:1], DriverSettings(tmp_path, 400.0, ManualClock()), writer_epoch=7):
            raise AssertionError("not reached")

    with pytest.raises(InputError, match="no register p_setpoint_kw"):
        await test()


async def test_meter_has_no_rating_to_exceed() -> None:
    says = {**METER_SAYS, "p_kw": 5000.0}
    async with (
        served({2: FakeDevice(METER, says)}) as port,
        connect(sections(port)[1:2], settings(), None) as found,
    ):
        reading = await found.meters["m3"].read()
        assert (reading.p_kw, reading.quality) == (5000.0, Quality.GOOD)
