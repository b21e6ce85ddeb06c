"""The files that devices name, read and judged without a connection to any device."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from core.config_devices import Device, ModbusAddress, ModbusConverter, ModbusMeter, OpcUaConverter
from core.errors import Fault, InputError
from drivers.converters import generic_modbus
from drivers.meters import sicam
from drivers.modbus_tls import load_tls
from drivers.opcua_security import load_credentials
from drivers.registers import load_registers


def file_faults(devices: Iterable[Device], folder: Path) -> list[Fault]:
    """Faults of register maps, certificates, keys and user files, each once; ``folder`` is that of their paths."""
    faults: dict[Fault, None] = {}
    for device in devices:
        for read in _files(device, folder):
            try:
                read()
            except InputError as error:
                faults |= dict.fromkeys(error.faults)
    return list(faults)


def _files(device: Device, folder: Path) -> Iterator[Callable[[], object]]:
    if isinstance(device, ModbusConverter):
        required = generic_modbus.READABLE, generic_modbus.WRITABLE
        yield partial(_registers, folder / device.registers, *required)
    if isinstance(device, ModbusMeter):
        yield partial(_registers, folder / device.registers, sicam.READABLE)
    if isinstance(device, ModbusAddress) and device.tls:
        yield partial(load_tls, device.tls, folder)
    if isinstance(device, OpcUaConverter) and device.security:
        yield partial(load_credentials, device.security, folder)


def _registers(file: Path, readable: Iterable[str], writable: Iterable[str] = ()) -> None:
    load_registers(file).require(file, readable, writable)
