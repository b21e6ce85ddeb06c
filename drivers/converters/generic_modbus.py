"""A converter with registers for setpoint, lease and command, by its register map."""

from core.devices import OperatingState
from drivers.converter import Command, RawReading, ReadBack, WriteRequest
from drivers.modbus import ModbusUnit

READABLE = ("p_kw", "q_kvar")
WRITABLE = ("p_setpoint_kw", "q_setpoint_kvar", "lease_s", "enable")
"""Required registers of a map; v_v, i_a, clock_s, state, s_max_kva and writer_epoch are optional."""

_OPTIONAL = ("v_v", "i_a", "clock_s", "state", "s_max_kva", "writer_epoch")
_COMMAND = "enable"


class GenericModbusWire:
    """Implements :class:`drivers.converter.Wire` with the registers of a unit."""

    def __init__(self, unit: ModbusUnit) -> None:
        self._unit = unit
        self._names = [n for n in (*READABLE, *_OPTIONAL, *WRITABLE) if n in unit.registers]

    async def read(self) -> RawReading:
        """Read all registers that the map has."""
        image = await self._unit.read(self._names)
        return RawReading(image.values, describe=lambda problems: f"{problems} ({image.raw(problems)})")

    async def command(self, request: WriteRequest) -> Command:
        """Write with as few requests as the map allows, ``enable`` in the last one; a release counts whatever epoch the
        device then reports.
        """
        writer = {"writer_epoch": request.writer_epoch} if "writer_epoch" in self._unit.registers else {}
        values = {**request.powers, **writer, _COMMAND: float(request.follow)}
        plan = self._unit.plan(values, request.device, last=_COMMAND)
        expected = values if request.follow else {_COMMAND: values[_COMMAND]}

        async def read_back() -> ReadBack:
            state = ["state"] if "state" in self._unit.registers else []
            shown = (await self._unit.read([*values, *state])).values
            return ReadBack(expected, shown, shown["state"] == OperatingState.REMOTE if state else None)

        return Command(lambda: self._unit.write(plan), read_back)
