"""A kind of converter as a reader of docs/how-to/add_a_device.md would write it; a test counts its lines.

The device takes P and Q in per mille of its rating, and a setpoint only right after its unlock code.
"""

from core.devices import OperatingState
from drivers.converter import Command, RawReading, ReadBack, WriteRequest
from drivers.modbus import ModbusUnit
from drivers.readings import Values

UNLOCK = 4711
_POWERS = {"p_setpoint_kw": "p_permille", "q_setpoint_kvar": "q_permille"}
_READ = ("p_kw", "q_kvar", "v_v", "following", *_POWERS.values())


class LockedWire:
    """See :class:`drivers.converter.Wire`. ``s_max_kva``: the rating that shares are of."""

    def __init__(self, unit: ModbusUnit, s_max_kva: float) -> None:
        self._unit, self._kva_per_mille = unit, s_max_kva / 1000

    async def read(self) -> RawReading:
        """One reading of everything."""
        image = await self._unit.read(_READ)
        state = OperatingState.REMOTE if image.values["following"] == 1 else OperatingState.SAFE
        values = {**image.values, **self._powers(image.values), "state": state}
        return RawReading(values, describe=lambda problems: f"{problems} ({image.raw(problems)})")

    async def command(self, request: WriteRequest) -> Command:
        """The unlock code by a request of its own, then the setpoint; a release needs neither P nor Q."""
        values = {"run": float(request.follow)}
        if request.setpoint:
            shares = {name: request.powers[power] / self._kva_per_mille for power, name in _POWERS.items()}
            values |= {**shares, "watchdog_s": request.setpoint.lease_s}
        plan = [block for step in ({"unlock": UNLOCK}, values) for block in self._unit.plan(step, request.device)]

        async def read_back() -> ReadBack:
            shown = (await self._unit.read((*_POWERS.values(), "watchdog_left_s", "following"))).values
            powers = {**self._powers(shown), "lease_s": shown["watchdog_left_s"]}
            return ReadBack(request.powers, powers, shown["following"] == 1)

        return Command(lambda: self._unit.write(plan), read_back)

    def _powers(self, values: Values) -> Values:
        shares = {power: values[name] for power, name in _POWERS.items()}
        return {name: None if share is None else share * self._kva_per_mille for name, share in shares.items()}
