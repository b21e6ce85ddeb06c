"""A converter with registers for setpoint, lease and command, as its map says."""

from core.devices import OperatingState
from drivers.converter import Asked, Command, ReadBack, Said
from drivers.modbus import ModbusUnit

READABLE = ("p_kw", "q_kvar")
WRITABLE = ("p_setpoint_kw", "q_setpoint_kvar", "lease_s", "enable")
"""What a map must have; v_v, i_a, clock_s, state, s_max_kva and writer_epoch are used where it has them."""

_OPTIONAL = ("v_v", "i_a", "clock_s", "state", "s_max_kva", "writer_epoch")
_COMMAND = "enable"


class GenericModbusWire:
    """See :class:`drivers.converter.Wire`."""

    def __init__(self, unit: ModbusUnit) -> None:
        self._unit = unit
        self._names = [n for n in (*READABLE, *_OPTIONAL, *WRITABLE) if n in unit.registers]

    async def read(self) -> Said:
        """One reading of everything."""
        image = await self._unit.read(self._names)
        return Said(image.values, described=lambda troubles: f"{troubles} ({image.raw(troubles)})")

    async def command(self, asked: Asked) -> Command:
        """By one request where the registers are neighbours; ``enable`` comes last."""
        writer = {"writer_epoch": asked.writer_epoch} if "writer_epoch" in self._unit.registers else {}
        values = {**asked.powers, **writer, _COMMAND: float(asked.follow)}
        plan = self._unit.plan(values, asked.device, last=_COMMAND)

        async def held() -> ReadBack:
            state = ["state"] if "state" in self._unit.registers else []
            shown = (await self._unit.read([*values, *state])).values
            return ReadBack(values, shown, shown["state"] == OperatingState.REMOTE if state else None)

        return Command(lambda: self._unit.write(plan), held)
