"""The plant's Modbus servers in TLS, through the proxy: the drivers, strangers, and faults of the link."""

import asyncio
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from controller.process.clocks import WallClock
from core.config_devices import Device, ModbusAddress, ModbusTls
from core.devices import Meter, Quality
from drivers.exchange import Timing
from drivers.factory import DriverSettings, connect
from sim_plant.faults import FaultError
from sim_plant.modbus_server import TlsError
from sim_plant.plant import Plant, open_plant
from sim_plant.settings import PlantConfig, PlantError
from tests.support.paths import CONFIGS
from tests.support.plant_benches import GENERIC, METER, SUNSPEC, device, listening, obey, plant_of
from tests.support.self_signed import write_certificate

TIMING = Timing(request_s=0.3, exchange_s=1.0, pause_s=0.1)
READ_STATE = bytes.fromhex("0001 0000 0006 01 03 0007 0001")
SAFE = bytes.fromhex("0001 0000 0005 01 03 02 0001")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("modbus_tls")
    for name in ("server", "client", "stranger"):
        write_certificate(folder, name)
    return folder


def tls(folder: Path, client: str = "client", server: str = "server") -> ModbusTls:
    return ModbusTls(
        certificate=folder / f"{client}.pem",
        key=folder / f"{client}.key.pem",
        server_certificate=folder / f"{server}.pem",
    )


def secured(folder: Path) -> PlantConfig:
    """Two converters and a meter at an address each, and a second converter's unit at that of the first."""
    pinned = tls(folder)
    devices = (
        device("mapped", GENERIC, port=1, unit=1, tls=pinned),
        device("second", GENERIC, port=1, unit=2, tls=pinned),
        device("sunspec", SUNSPEC, port=2, tls=pinned),
        device("meter", METER, node="N3", port=3, tls=pinned),
    )
    return plant_of(*devices, server_key=folder / "server.key.pem")


def settings(config: PlantConfig) -> DriverSettings:
    return DriverSettings(CONFIGS, config.network.voltage_v, WallClock(), TIMING)


async def test_setpoints_and_readings_of_every_kind(folder: Path) -> None:
    config = secured(folder)
    async with open_plant(config) as plant, connect(plant.devices, settings(config), writer_epoch=3) as devices:
        await obey(plant, devices)


async def answer(port: int, context: ssl.SSLContext | None) -> bytes:
    """To a request for the state, as a client gets it that knows the protocol only; nothing where it is refused."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
            writer.write(READ_STATE)
            try:
                return await reader.readexactly(len(SAFE))
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return b""


def client(folder: Path, name: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=folder / "server.pem")
    if name:
        context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key.pem")
    return context


def port_of(plant: Plant, name: str) -> int:
    found = next(d for d in plant.devices if d.name == name)
    assert isinstance(found, ModbusAddress)
    return found.port


async def test_who_is_not_pinned_is_refused(folder: Path) -> None:
    async with open_plant(secured(folder)) as plant:
        port = port_of(plant, "mapped")
        assert await answer(port, client(folder, "client")) == SAFE
        assert await answer(port, client(folder, "stranger")) == b""
        assert await answer(port, client(folder, None)) == b""
        assert await answer(port, None) == b""


async def test_it_listens_on_this_machine_only(folder: Path) -> None:
    others = set(listening())
    async with open_plant(secured(folder)):
        sockets = set(listening()) - others
        assert len(sockets) == 3 * 2 + 1
        assert {address for address, _ in sockets} == {"0100007F"}
    assert set(listening()) == others


@pytest.mark.parametrize("fault", ["down", "black_hole", "silent", "garbage", "corrupt", "cut", "reset", "slow"])
async def test_faults_of_the_link_are_noticed_and_pass(folder: Path, fault: str) -> None:
    config = secured(folder)
    async with open_plant(config) as plant, connect(plant.devices, settings(config), writer_epoch=3) as devices:
        mapped, sunspec = devices.converters["mapped"], devices.converters["sunspec"]
        assert (await mapped.read()).quality is Quality.GOOD
        await plant.switch(fault, "mapped", on=True)
        assert (await mapped.read()).quality is Quality.INVALID
        assert (await sunspec.read()).quality is Quality.GOOD
        await plant.switch(fault, "mapped", on=False)
        await recovered(plant, mapped, devices.converters["second"])


async def recovered(plant: Plant, *converters: Meter) -> None:
    async with asyncio.timeout(10.0):
        while {(await converter.read()).quality for converter in converters} != {Quality.GOOD}:
            await plant.advance(plant.laboratory.now_s() + 1.0)
            await asyncio.sleep(TIMING.pause_s)


@pytest.mark.parametrize("fault", ["late", "replay"])
async def test_a_record_out_of_turn_ends_the_connection(folder: Path, fault: str) -> None:
    config = secured(folder)
    async with open_plant(config) as plant, connect(plant.devices, settings(config), writer_epoch=3) as devices:
        mapped = devices.converters["mapped"]
        assert (await mapped.read()).quality is Quality.GOOD
        await plant.switch(fault, "mapped", on=True)
        assert Quality.INVALID in {(await mapped.read()).quality for _ in range(2)}
        await plant.switch(fault, "mapped", on=False)
        await recovered(plant, mapped)


async def test_records_may_come_in_single_bytes(folder: Path) -> None:
    config = secured(folder)
    async with open_plant(config) as plant, connect(plant.devices, settings(config), writer_epoch=3) as devices:
        await plant.switch("sliced", "mapped", on=True)
        assert (await devices.converters["mapped"].read()).quality is Quality.GOOD


@pytest.mark.parametrize("fault", ["late_write", "fewer"])
async def test_faults_that_need_to_see_the_messages(folder: Path, fault: str) -> None:
    async with open_plant(secured(folder)) as plant:
        with pytest.raises(FaultError, match=f"mapped: asked fault {fault}, allowed for Modbus without TLS"):
            await plant.switch(fault, "mapped", on=True)


async def test_tls_that_cannot_be_set_up(folder: Path) -> None:
    def pair(*sections: ModbusTls | None) -> tuple[Device, ...]:
        return tuple(device(f"c{k}", GENERIC, port=1, unit=k, tls=section) for k, section in enumerate(sections))

    good = secured(folder)
    for config, error, words in (
        (replace(good, server_key=None), PlantError, "mapped: secured, allowed with the private key"),
        (replace(good, server_key=folder / "client.key.pem"), TlsError, "KEY_VALUES_MISMATCH"),
        (replace(good, server_key=folder / "none.pem"), TlsError, "No such file"),
        (plant_of(*pair(tls(folder), None)), PlantError, "c0, c1: share 127.0.0.1:1"),
        (plant_of(*pair(tls(folder), tls(folder, "stranger"))), PlantError, "allowed with the same `tls`"),
    ):
        with pytest.raises(error, match=words):
            async with open_plant(config):
                raise AssertionError
