"""Serves converters over OPC UA on the loopback address, with asyncua; the address space follows
``drivers.opcua_model``.

One Write request is one frame: all its values are applied or none. All samples carry the device's clock as their source
timestamp, even if the value has not changed.
"""

# asyncua re-exports without saying so, and its NewTypes of numbers and texts take plain ones.
# mypy: disable-error-code="attr-defined, arg-type"

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from asyncua import Node, Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.address_space import AddressSpace, AttributeService

from drivers.opcua_model import NAMESPACE, VARIABLES, OpcUaVariable
from sim_plant.converter import Refusal
from sim_plant.modbus_server import LOOPBACK
from sim_plant.opcua_guard import GuardedServer, OpcUaGuard
from sim_plant.stations import ConverterStation

LEASE_RANGE_S = (0.0, 600.0)
_V_RANGE_V = (0.0, 600.0)
_CLOCK_RANGE_S = (0.0, 2.0**32)
_UNITS = "http://www.opcfoundation.org/UA/units/un/cefact"
_UNIT_CODES = {"kW": "KWT", "kvar": "KVR", "kVA": "KVA", "V": "VLT", "s": "SEC"}
"""Common codes of UN/CEFACT recommendation 20."""
_TYPES = {"Double": ua.VariantType.Double, "UInt32": ua.VariantType.UInt32, "Boolean": ua.VariantType.Boolean}
_STATUS = {Refusal.EPOCH: ua.StatusCodes.BadUserAccessDenied, Refusal.STATE: ua.StatusCodes.BadInvalidState}


@dataclass(frozen=True)
class _Item:
    """A variable of a converter in the address space."""

    station: ConverterStation
    variable: OpcUaVariable
    path: str
    index: int

    @property
    def node_id(self) -> ua.NodeId:
        return ua.NodeId(self.path, self.index)

    @property
    def type(self) -> ua.VariantType:
        return _TYPES[self.variable.type]

    @property
    def range(self) -> tuple[float, float]:
        """The range of the value, in its unit."""
        s_max_kva = self.station.rating.s_max_kva
        match self.variable.unit:
            case "kW" | "kvar":
                return -s_max_kva, s_max_kva
            case "kVA":
                return 0.0, s_max_kva
            case "V":
                return _V_RANGE_V
        return LEASE_RANGE_S if self.variable.writable else _CLOCK_RANGE_S

    def sample(self, value: float | None, stamped_at: datetime) -> ua.DataValue:
        """The value with its quality and source timestamp."""
        if value is None:
            bad = ua.StatusCode(ua.StatusCodes.BadSensorFailure)
            return ua.DataValue(ua.Variant(None, ua.VariantType.Null), bad, SourceTimestamp=stamped_at)
        typed = {"Double": float, "UInt32": int, "Boolean": bool}[self.variable.type](value)
        return ua.DataValue(ua.Variant(typed, self.type), SourceTimestamp=stamped_at)

    def write_fault(self, write: ua.WriteValue) -> int | None:
        """The status code if no value can be written this way, else None."""
        given = write.Value.Value
        if write.AttributeId != ua.AttributeIds.Value or write.IndexRange:
            return ua.StatusCodes.BadWriteNotSupported
        if not self.variable.writable:
            return ua.StatusCodes.BadNotWritable
        if given is None or given.VariantType is not self.type or given.is_array:
            return ua.StatusCodes.BadTypeMismatch
        return None

    def in_range(self, value: float) -> bool:
        """Whether the value lies in the range; NaN does not."""
        low, high = self.range
        return not self.variable.unit or low <= value <= high


class OpcUaServer:
    """Converters in one address space; ``publish`` updates their values."""

    def __init__(self, server: Server) -> None:
        self.port = 0
        self._server = server
        self._stations: list[ConverterStation] = []
        self._items: dict[ua.NodeId, _Item] = {}

    async def publish(self, only: ConverterStation | None = None) -> None:
        """Sample every variable, or those of one converter."""
        for station in self._stations if only is None else (only,):
            values = station.values()
            stamped_at = datetime.fromtimestamp(values["clock_s"] or 0.0, UTC)
            for node_id, item in self._items.items():
                if item.station is station:
                    sample = item.sample(values[item.variable.name], stamped_at)
                    await self._server.write_attribute_value(node_id, sample)

    async def add(self, index: int, name: str, station: ConverterStation) -> None:
        """Add one converter as an object of the information model."""
        objects = self._server.nodes.objects
        parent = await objects.add_object(ua.NodeId(name, index), ua.QualifiedName(name, index))
        self._stations.append(station)
        for variable in VARIABLES:
            item = _Item(station, variable, f"{name}.{variable.name}", index)
            await _add_variable(parent, item)
            self._items[item.node_id] = item

    async def write(self, writes: Sequence[ua.WriteValue]) -> list[int]:
        """Apply one Write request; returns a status code per value. If one value is refused, all are."""
        items = [self._items.get(write.NodeId) for write in writes]
        faults = [
            self._fault_of_other_node(write.NodeId) if item is None else item.write_fault(write)
            for item, write in zip(items, writes, strict=True)
        ]
        if first := next((fault for fault in faults if fault is not None), None):
            return [fault or first for fault in faults]
        pairs = [(item, float(w.Value.Value.Value)) for item, w in zip(items, writes, strict=True) if item]
        stations = {item.station.name: item.station for item, _ in pairs}
        status = {name: await self._frame(station, pairs) for name, station in stations.items()}
        return [status[item.station.name] for item, _ in pairs]

    def _fault_of_other_node(self, node_id: ua.NodeId) -> int:
        known = node_id in self._server.iserver.aspace
        return ua.StatusCodes.BadNotWritable if known else ua.StatusCodes.BadNodeIdUnknown

    async def _frame(self, station: ConverterStation, pairs: Sequence[tuple[_Item, float]]) -> int:
        mine = [(item, value) for item, value in pairs if item.station is station]
        in_range = all(item.in_range(value) for item, value in mine)
        refusal = station.write({item.variable.name: value for item, value in mine}, in_range=in_range)
        await self.publish(station)
        return ua.StatusCodes.Good if refusal is None else _STATUS.get(refusal, ua.StatusCodes.BadOutOfRange)


class _FrameWrites(AttributeService):
    """Turns the Write requests of clients into frames; writes of the server itself are not affected."""

    def __init__(self, space: AddressSpace, server: OpcUaServer) -> None:
        super().__init__(space)
        self._server = server

    async def write(self, params: ua.WriteParameters, user: User = User(UserRole.Admin)) -> list[ua.StatusCode]:  # noqa: B008
        if user.role is UserRole.Admin:
            return await super().write(params, user)
        return [ua.StatusCode(code) for code in await self._server.write(params.NodesToWrite)]


@asynccontextmanager
async def serve_opcua(
    converters: Mapping[str, ConverterStation], guard: OpcUaGuard | None = None
) -> AsyncIterator[OpcUaServer]:
    """Serve the converters, by object name, at a free port until the block ends."""
    server = await _bare_server(guard)
    opcua = OpcUaServer(server)
    server.iserver.attribute_service = _FrameWrites(server.iserver.aspace, opcua)
    index = await server.register_namespace(NAMESPACE)
    for name, station in converters.items():
        await opcua.add(index, name, station)
    await opcua.publish()
    await server.start()
    try:
        assert server.bserver
        opcua.port = server.bserver.port
        yield opcua
    finally:
        await server.stop()


async def _bare_server(guard: OpcUaGuard | None) -> Server:
    """A server without converters. Its own clock node is off: the devices' clocks provide the time."""
    server = Server(GuardedServer(guard))
    server.disable_clock()
    server.allow_remote_admin(False)
    await server.init()
    server.set_server_name("gridlab simulated plant")
    server.set_endpoint(f"opc.tcp://{LOOPBACK}:0")
    if guard is None:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_identity_tokens([ua.AnonymousIdentityToken])
    else:
        await guard.protect(server)
    return server


async def _add_variable(parent: Node, item: _Item) -> None:
    variable, index = item.variable, item.index
    start = item.sample(0.0, datetime.now(UTC)).Value
    node = await parent.add_variable(item.node_id, ua.QualifiedName(variable.name, index), start)
    text = ua.Variant(ua.LocalizedText(variable.description), ua.VariantType.LocalizedText)
    await node.write_attribute(ua.AttributeIds.Description, ua.DataValue(text))
    if variable.writable:
        await node.set_writable()
    if not variable.unit:
        return
    plain, analog = ua.ObjectIds.BaseDataVariableType, ua.ObjectIds.AnalogItemType
    await node.delete_reference(ua.NodeId(plain), ua.ObjectIds.HasTypeDefinition)
    await node.add_reference(ua.NodeId(analog), ua.ObjectIds.HasTypeDefinition)
    unit = ua.EUInformation(
        NamespaceUri=_UNITS,
        UnitId=int.from_bytes(_UNIT_CODES[variable.unit].encode(), "big"),
        DisplayName=ua.LocalizedText(variable.unit),
    )
    for name, value in {"EURange": ua.Range(*item.range), "EngineeringUnits": unit}.items():
        await node.add_property(ua.NodeId(f"{item.path}.{name}", index), ua.QualifiedName(name, 0), value)
