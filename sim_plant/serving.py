"""Opens the servers of the configured devices, and reports where they listen."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from ssl import SSLContext
from urllib.parse import urlsplit

from core.config_devices import Device, ModbusConverter, ModbusMeter, OpcUaConverter, SunspecConverter
from drivers.opcua_model import DEFAULT_OBJECT
from drivers.registers import load_registers
from sim_plant.banks import Bank, MapBank
from sim_plant.laboratory import Laboratory
from sim_plant.link_faults import MODBUS, MODBUS_TLS, OPCUA
from sim_plant.links import Link
from sim_plant.modbus_server import LOOPBACK, serve_modbus, server_context
from sim_plant.opcua_guard import OpcUaGuard
from sim_plant.opcua_server import OpcUaServer, serve_opcua
from sim_plant.proxy import Proxy, serve_proxy
from sim_plant.settings import PlantConfig, PlantError
from sim_plant.sunspec import SunspecBank

ModbusDevice = ModbusConverter | SunspecConverter | ModbusMeter


@dataclass(frozen=True)
class Served:
    """A device at the address where it really listens, and the proxy there; devices at one address share the proxy."""

    device: Device
    proxy: Proxy


ServedDevices = dict[str, Served]
"""The served devices by name."""


async def open_modbus(stack: AsyncExitStack, laboratory: Laboratory) -> ServedDevices:
    """One server per configured port; its devices are units of it.

    Raises:
        PlantError: two devices with one address, different TLS settings at one port, or an address of another machine.
        PortError, TlsError: a port is in use; TLS cannot be set up.
        InputError: an invalid register map.
    """
    config = laboratory.config
    served: ServedDevices = {}
    for (host, port), devices in _by_address(config).items():
        banks: dict[int, Bank] = {}
        for device in devices:
            if device.unit in banks:
                raise PlantError(f"{device.name}: asked unit {device.unit} of port {port}, allowed one that is free")
            banks[device.unit] = _bank(device, laboratory)
        tls = _tls(devices, config)
        server_port = await stack.enter_async_context(serve_modbus(banks, tls))
        units = {d.name: None if tls else d.unit for d in devices}
        link = Link(MODBUS_TLS if tls else MODBUS, units, config.seed)
        opening = serve_proxy(link, _port(config, host, port), server_port, laboratory.now_s)
        proxy = await stack.enter_async_context(opening)
        at = {"host": LOOPBACK, "port": proxy.port}
        served |= {d.name: Served(d.model_copy(update=at), proxy) for d in devices}
    return served


async def open_opcua(stack: AsyncExitStack, laboratory: Laboratory) -> tuple[ServedDevices, tuple[OpcUaServer, ...]]:
    """One server per configured port; converters at one port differ by the last part of their address.

    Raises:
        PlantError: two devices with one address, or different security settings at one port.
        PortError, GuardError: a port is in use; security cannot be set up.
    """
    config = laboratory.config
    served: ServedDevices = {}
    servers: list[OpcUaServer] = []
    ports: dict[str, list[OpcUaConverter]] = {}
    for device in config.devices:
        if isinstance(device, OpcUaConverter):
            ports.setdefault(urlsplit(device.url).netloc, []).append(device)
    for netloc, devices in ports.items():
        parts = urlsplit(f"//{netloc}")
        objects = {_object_name(device): laboratory.converters[device.name] for device in devices}
        if len(objects) < len(devices) or len({device.security for device in devices}) > 1:
            names = ", ".join(device.name for device in devices)
            raise PlantError(f"{names}: share {netloc}, allowed with different last parts and the same security")
        server = await stack.enter_async_context(serve_opcua(objects, await _guard(devices, config)))
        servers.append(server)
        link = Link(OPCUA, dict.fromkeys(d.name for d in devices), config.seed)
        port = _port(config, parts.hostname or "", parts.port or 4840)
        proxy = await stack.enter_async_context(serve_proxy(link, port, server.port, laboratory.now_s))
        for device in devices:
            url = urlsplit(device.url)._replace(netloc=f"{LOOPBACK}:{proxy.port}").geturl()
            served[device.name] = Served(device.model_copy(update={"url": url}), proxy)
    return served, tuple(servers)


def _by_address(config: PlantConfig) -> Mapping[tuple[str, int], Sequence[ModbusDevice]]:
    groups: dict[tuple[str, int], list[ModbusDevice]] = {}
    for device in config.devices:
        if isinstance(device, ModbusDevice):
            groups.setdefault((device.host, device.port), []).append(device)
    return groups


def _bank(device: ModbusDevice, laboratory: Laboratory) -> Bank:
    if isinstance(device, SunspecConverter):
        return SunspecBank(laboratory.converters[device.name])
    return MapBank(load_registers(laboratory.config.folder / device.registers), laboratory.station(device.name))


def _port(config: PlantConfig, host: str, port: int) -> int:
    """The port to ask for; only addresses of this machine are allowed."""
    if config.free_ports:
        return 0
    if host != "localhost" and not _is_loopback(host):
        raise PlantError(f"plant: asked to listen on {host}, allowed {LOOPBACK}")
    return port


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _object_name(device: OpcUaConverter) -> str:
    return urlsplit(device.url).path.rstrip("/").rpartition("/")[2] or DEFAULT_OBJECT


def _tls(devices: Sequence[ModbusDevice], config: PlantConfig) -> SSLContext | None:
    first, *others = devices
    if any(device.tls != first.tls for device in others):
        names = ", ".join(device.name for device in devices)
        raise PlantError(f"{names}: share {first.host}:{first.port}, allowed with the same `tls`")
    if first.tls is None:
        return None
    return server_context(first.tls, config.folder, _server_key(first, config))


async def _guard(devices: list[OpcUaConverter], config: PlantConfig) -> OpcUaGuard | None:
    security = devices[0].security
    if security is None:
        return None
    return await OpcUaGuard.load(security, config.folder, _server_key(devices[0], config))


def _server_key(device: Device, config: PlantConfig) -> Path:
    if config.server_key is None:
        raise PlantError(f"{device.name}: secured, allowed with the private key of its server certificate")
    return config.server_key
