"""Devices of the configuration, distinguished by ``kind``. A new kind is a class here and one entry in ``Device``."""

from typing import Annotated, Literal

from pydantic import Field

from core.config_fields import FilePath, Kva, Name, Number, Port, Positive, Section, Text, Unit

_KIND = Field(description="modbus_converter, sunspec_converter, opcua_converter or modbus_meter")


class ModbusTls(Section):
    """Modbus/TCP Security: TLS 1.2 or later, a certificate on both sides, that of the device pinned."""

    certificate: FilePath
    key: FilePath
    server_certificate: FilePath


class ModbusAddress(Section):
    """Address of a Modbus TCP device; with ``tls`` it speaks TLS (its registered port is 802)."""

    host: Annotated[Text, Field(description="a host name or address")] = "127.0.0.1"
    port: Port
    unit: Unit = 1
    tls: ModbusTls | None = None


class Rating(Section):
    """Rating of a converter: apparent power, how fast it may change, and whether it has ``reactive`` power.

    Of several converters of a prosumer, those with the lowest ``priority`` are used first.
    """

    s_max_kva: Kva
    ramp_kva_per_s: Annotated[Positive, Field(description="a number > 0 kVA/s")]
    reactive: Annotated[bool, Field(strict=True, description="true or false")] = True
    priority: Annotated[Number, Field(description="a number; the lowest is used first")] = 0.0


class MappedModbus(ModbusAddress):
    """A Modbus device with a register map of its own, a YAML file."""

    registers: FilePath


class ModbusConverter(MappedModbus, Rating):
    """A converter with a register map."""

    kind: Annotated[Literal["modbus_converter"], _KIND]
    name: Name


class SunspecConverter(ModbusAddress, Rating):
    """A converter with SunSpec models 1, 701, 704 and 715."""

    kind: Annotated[Literal["sunspec_converter"], _KIND]
    name: Name


class OpcUaSecurity(Section):
    """SignAndEncrypt with pinned certificates. ``user_file`` holds user name and password, each on a line."""

    policy: Annotated[
        Literal["Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"],
        Field(description="Basic256Sha256, Aes128Sha256RsaOaep or Aes256Sha256RsaPss"),
    ]
    certificate: FilePath
    key: FilePath
    server_certificate: FilePath
    user_file: FilePath | None = None


class OpcUaConverter(Rating):
    """A converter behind an OPC UA server; without ``security`` only on loopback."""

    kind: Annotated[Literal["opcua_converter"], _KIND]
    name: Name
    url: Annotated[
        str, Field(pattern=r"^opc\.tcp://[^\s/]+", description="an address such as opc.tcp://127.0.0.1:14847/")
    ]
    security: OpcUaSecurity | None = None


class ModbusMeter(MappedModbus):
    """A meter at ``node`` of the grid, with a register map."""

    kind: Annotated[Literal["modbus_meter"], _KIND]
    name: Name
    node: Name


Converter = ModbusConverter | SunspecConverter | OpcUaConverter
Device = Annotated[Converter | ModbusMeter, Field(discriminator="kind")]
