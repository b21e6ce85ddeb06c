"""Small plants for tests, and clients that share no code with the plant."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from pymodbus.client import AsyncModbusTcpClient

from core.config_devices import Device
from core.devices import OperatingState, Outcome, Quality, Setpoint
from core.network import Line, Network
from drivers.factory import ConnectedDevices
from sim_plant.meter import EXACT
from sim_plant.plant import Plant
from sim_plant.settings import PlantConfig
from tests.support.paths import CONFIGS

START = datetime(2018, 6, 21, tzinfo=UTC)
NETWORK = Network(
    slack="N1",
    voltage_v=400.0,
    lines=(Line("N1", "N2", 0.2, 0.1), Line("N2", "N3", 0.3, 0.2), Line("N4", "N2", 0.1, 0.1)),
)
RATING = {"s_max_kva": 15.0, "ramp_kva_per_s": 0.25}
GENERIC = {"kind": "modbus_converter", "registers": "registers/converter_generic.yaml", **RATING}
SUNSPEC = {"kind": "sunspec_converter", **RATING}
OPCUA = {"kind": "opcua_converter", **RATING}
METER = {"kind": "modbus_meter", "registers": "registers/sicam_meter.yaml"}


def device(name: str, kind: Mapping[str, object], **keys: object) -> Device:
    return TypeAdapter[Device](Device).validate_python({"name": name, "port": 1, **kind, **keys})


def plant_of(*devices: Device, **options: Any) -> PlantConfig:
    """A plant of three nodes besides the slack: given meters, converters at N3; free ports, no noise, lock step."""
    nodes = {d.name: "N3" for d in devices if d.kind != "modbus_meter"}
    return PlantConfig(
        **{
            "network": NETWORK,
            "devices": devices,
            "nodes": nodes,
            "start": START,
            "folder": CONFIGS,
            "free_ports": True,
            "accuracy": EXACT,
            **options,
        }
    )


def opcua_device(name: str, path: str = "", **keys: object) -> Device:
    kind = {key: value for key, value in OPCUA.items() if key != "port"}
    url = f"opc.tcp://127.0.0.1:4840/{path}"
    return TypeAdapter[Device](Device).validate_python({"name": name, "url": url, **kind, **keys})


@asynccontextmanager
async def modbus(plant: Plant, name: str) -> AsyncIterator[AsyncModbusTcpClient]:
    """A plain Modbus client at the port of a device."""
    port = next(d.port for d in plant.devices if d.name == name)  # type: ignore[union-attr]
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0)
    assert await client.connect()
    try:
        yield client
    finally:
        client.close()


class Master:
    """A clock master: JSON lines over the control socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def __call__(self, **request: object) -> dict[str, Any]:
        return await self.send(json.dumps(request))

    async def send(self, line: str) -> dict[str, Any]:
        self._writer.write(line.encode() + b"\n")
        answer: dict[str, Any] = json.loads(await self._reader.readline())
        return answer


@asynccontextmanager
async def master(port: int) -> AsyncIterator[Master]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Master(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


def floats(words: Sequence[int]) -> list[float]:
    """Pairs of registers as big-endian IEEE 754, decoded without the register maps."""
    return list(struct.unpack(f">{len(words) // 2}f", struct.pack(f">{len(words)}H", *words)))


def mbap(unit: int, pdu: bytes, transaction: int = 1) -> bytes:
    """A frame of Modbus TCP."""
    return b"".join((transaction.to_bytes(2, "big"), b"\0\0", (len(pdu) + 1).to_bytes(2, "big"), bytes((unit,)), pdu))


def setpoint_words(p_kw: float, q_kvar: float, lease_s: int = 75, epoch: int = 1, enable: int = 1) -> list[int]:
    """Registers 0 to 6 of the generic converter."""
    return [*struct.unpack(">4H", struct.pack(">2f", p_kw, q_kvar)), lease_s, epoch, enable]


def listening() -> list[tuple[str, int]]:
    """(address, port) of the listening TCP sockets of this process, from the kernel."""
    inodes = {str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()}
    rows = [line.split() for family in ("tcp", "tcp6") for line in Path(f"/proc/net/{family}").read_text().splitlines()]
    mine = [row[1].split(":") for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in inodes]
    return [(address, int(port, 16)) for address, port in mine]


async def obey(plant: Plant, devices: ConnectedDevices) -> None:
    """Assert that three converters at a node follow writer 3, that the meter there sees their sum, and that a release
    ends it.
    """
    for k in range(1, 4):
        told = [await c.write(Setpoint(1.5 * k, -k, lease_s=75)) for c in devices.converters.values()]
        assert told == [Outcome.VERIFIED] * 3
        await plant.advance(30.0 * k)
    for name, converter in devices.converters.items():
        reading, status = await converter.read(), devices.watched[name].status
        assert reading.quality is Quality.GOOD, name
        assert (reading.p_kw, reading.q_kvar) == pytest.approx((4.5, -3.0), abs=2e-3)
        assert status is not None
        assert (status.state, status.writer_epoch) == (OperatingState.REMOTE, 3)
    (meter,) = devices.meters.values()
    seen = await meter.read()
    assert (seen.p_kw, seen.q_kvar) == pytest.approx((13.5, -9.0), abs=2e-3)
    assert [await c.release() for c in devices.converters.values()] == [Outcome.VERIFIED] * 3
    assert {c.state.mode.name for c in plant.laboratory.converters.values()} == {"SAFE"}
    assert plant.laboratory.recorder.tally.violations.total() == 0
