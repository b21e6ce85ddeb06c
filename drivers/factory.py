"""Builds drivers from the devices of a configuration."""

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import assert_never

from core.config_devices import (
    Device,
    MappedModbus,
    ModbusAddress,
    ModbusConverter,
    ModbusMeter,
    ModbusTls,
    OpcUaConverter,
    SunspecConverter,
)
from core.devices import ConverterStatus, Measurement, Meter
from core.epochs import NOBODY
from core.time import Clock
from drivers.converter import Wire, WiredConverter
from drivers.converters import generic_modbus, opcua, sunspec
from drivers.exchange import TIMING, Exchanges, Timing
from drivers.fencing import Fence
from drivers.meters import sicam
from drivers.modbus import ModbusLink, ModbusUnit
from drivers.modbus_tls import load_tls
from drivers.opcua import OpcUaSession
from drivers.opcua_security import load_credentials
from drivers.readings import ReadingCheck
from drivers.registers import RegisterMap, load_registers

_NOISY = ("asyncua", "pymodbus")
"""Libraries that log every lost packet; the drivers log what matters, once."""


@dataclass(frozen=True)
class DriverSettings:
    """What devices share: folder of their files, the line-to-line voltage of 1 p.u., the clock, and deadlines."""

    folder: Path
    voltage_v: float
    clock: Clock
    timing: Timing = TIMING


class ReadOnlyConverter:
    """A converter that cannot be written."""

    def __init__(self, converter: WiredConverter) -> None:
        self.name = converter.name
        self.__converter = converter

    @property
    def status(self) -> ConverterStatus | None:
        """Status of the last reading, None if it failed."""
        return self.__converter.status

    async def read(self) -> Measurement:
        """Read all values."""
        return await self.__converter.read()


@dataclass(frozen=True)
class ConnectedDevices:
    """Devices by name. ``watched`` are all converters; ``converters`` is empty if nothing may be written."""

    meters: Mapping[str, Meter]
    watched: Mapping[str, WiredConverter | ReadOnlyConverter]
    converters: Mapping[str, WiredConverter]

    @property
    def readers(self) -> Mapping[str, Meter]:
        """Everything that can be read."""
        return {**self.meters, **self.watched}


@asynccontextmanager
async def connect(
    devices: Iterable[Device],
    settings: DriverSettings,
    writer_epoch: int | None,
    fences: Mapping[str, Fence] = MappingProxyType({}),
) -> AsyncIterator[ConnectedDevices]:
    """Build all devices; nothing is sent before the first reading, and all connections are closed at the end.

    Args:
        writer_epoch: number of this controller among all that ever wrote to the devices; None: nothing can be written.
        fences: of devices of which more is known than that number.

    Raises:
        InputError: a register map, certificate or key cannot be used.
    """
    for library in _NOISY:
        logging.getLogger(library).setLevel(logging.CRITICAL + 1)
    async with AsyncExitStack() as stack:
        build = _Build(settings, stack, writer_epoch or NOBODY, fences)
        objects = [await build.device(device) for device in devices]
        meters = {x.name: x for x in objects if isinstance(x, sicam.SicamMeter)}
        converters = {x.name: x for x in objects if not isinstance(x, sicam.SicamMeter)}
        if writer_epoch is None:
            yield ConnectedDevices(meters, {name: ReadOnlyConverter(x) for name, x in converters.items()}, {})
        else:
            yield ConnectedDevices(meters, converters, converters)


class _Build:
    """Builds devices; those of one host and port share a link, unless they differ in their TLS."""

    def __init__(
        self, settings: DriverSettings, stack: AsyncExitStack, writer_epoch: int, fences: Mapping[str, Fence]
    ) -> None:
        self._settings, self._stack, self._epoch, self._fences = settings, stack, writer_epoch, fences
        self._links: dict[tuple[str, int, ModbusTls | None], ModbusLink] = {}

    async def device(self, device: Device) -> WiredConverter | sicam.SicamMeter:
        exchanges = Exchanges(device.name, self._settings.clock, self._settings.timing)
        check = self._check(device)
        match device:
            case ModbusConverter():
                registers = self._registers(device, generic_modbus.READABLE, generic_modbus.WRITABLE)
                unit = ModbusUnit(await self._link(device), device.unit, registers)
                wire: Wire = generic_modbus.GenericModbusWire(unit)
            case SunspecConverter():
                wire = sunspec.SunspecWire(await self._link(device), device.unit, exchanges)
            case OpcUaConverter():
                wire = opcua.OpcUaWire(await self._session(device))
            case ModbusMeter():
                registers = self._registers(device, sicam.READABLE)
                unit = ModbusUnit(await self._link(device), device.unit, registers)
                return sicam.SicamMeter(unit, check, exchanges)
            case _:
                assert_never(device)
        return WiredConverter(wire, check, exchanges, self._fences.get(device.name) or Fence(self._epoch))

    def _check(self, device: Device) -> ReadingCheck:
        s_max_kva = inf if isinstance(device, ModbusMeter) else device.s_max_kva
        return ReadingCheck(device.name, self._settings.voltage_v, self._settings.clock, s_max_kva)

    def _registers(self, device: MappedModbus, readable: Iterable[str], writable: Iterable[str] = ()) -> RegisterMap:
        path = self._settings.folder / device.registers
        return load_registers(path).require(path, readable, writable)

    async def _link(self, device: ModbusAddress) -> ModbusLink:
        place = device.host, device.port, device.tls
        if place not in self._links:
            tls = load_tls(device.tls, self._settings.folder) if device.tls else None
            link = ModbusLink(device.host, device.port, self._settings.clock, self._settings.timing, tls)
            self._links[place] = await self._stack.enter_async_context(link)
        return self._links[place]

    async def _session(self, device: OpcUaConverter) -> OpcUaSession:
        credentials = load_credentials(device.security, self._settings.folder) if device.security else None
        return await self._stack.enter_async_context(OpcUaSession(device.url, credentials, self._settings.timing))
