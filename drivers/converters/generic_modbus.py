"""A converter with registers for setpoint, lease and command, as its map says."""

from collections.abc import Mapping

from core.devices import Measurement, Outcome, Quality, Setpoint
from core.errors import GridlabError
from drivers.exchange import ExchangeError, Exchanges
from drivers.modbus import ModbusUnit
from drivers.readings import Gauge, converter_status
from drivers.setpoints import check_setpoint, check_writer, holds
from drivers.status import ConverterStatus, OperatingState

READABLE = ("p_kw", "q_kvar")
WRITABLE = ("p_setpoint_kw", "q_setpoint_kvar", "lease_s", "enable")
"""What a map must have; v_v, i_a, clock_s, state, s_max_kva and writer_epoch are used where it has them."""

_OPTIONAL = ("v_v", "i_a", "clock_s", "state", "s_max_kva", "writer_epoch")
_COMMAND = "enable"


class GenericModbusConverter:
    """See :class:`core.devices.Converter`. ``status`` is that of the last reading, None if it failed."""

    def __init__(self, unit: ModbusUnit, gauge: Gauge, exchanges: Exchanges, writer_epoch: int) -> None:
        self.name = gauge.device
        self.status: ConverterStatus | None = None
        self._unit, self._gauge, self._exchanges = unit, gauge, exchanges
        self._names = [n for n in (*READABLE, *_OPTIONAL, *WRITABLE) if n in unit.registers]
        self._epoch = writer_epoch
        self._writer = {"writer_epoch": writer_epoch} if "writer_epoch" in unit.registers else {}

    async def read(self) -> Measurement:
        """One reading of everything."""
        try:
            async with self._exchanges.attempt():
                image = await self._unit.read(self._names)
        except ExchangeError:
            self.status = None
            return self._gauge.nothing()
        self.status = converter_status(image.values)
        troubles = dict(self._gauge.troubles(image.values))
        self._exchanges.report(f"{troubles} ({image.raw(troubles)})" if troubles else None)
        return self._gauge.measurement(image.values, Quality.INVALID if troubles else Quality.GOOD)

    async def write(self, setpoint: Setpoint) -> Outcome:
        """Verified when the device holds the setpoint and follows it."""
        try:
            check_setpoint(self.name, setpoint, self._gauge.s_max_kva)
        except GridlabError as error:
            return self._exchanges.refuse(error)
        powers = {"p_setpoint_kw": setpoint.p_kw, "q_setpoint_kvar": setpoint.q_kvar, "lease_s": setpoint.lease_s}
        return await self._commanded({**powers, **self._writer, _COMMAND: 1}, follows=True)

    async def release(self) -> Outcome:
        """Verified when the device no longer follows setpoints."""
        return await self._commanded({**self._writer, _COMMAND: 0}, follows=False)

    async def _commanded(self, values: Mapping[str, float], *, follows: bool) -> Outcome:
        try:
            check_writer(self.name, self._epoch, self.status)
            plan = self._unit.plan(values, self.name, last=_COMMAND)
        except GridlabError as error:
            return self._exchanges.refuse(error)

        async def done() -> bool:
            state = ["state"] if "state" in self._unit.registers else []
            held = (await self._unit.read([*values, *state])).values
            remote = not state or held["state"] == OperatingState.REMOTE
            return holds(values, held, self._gauge.s_max_kva) and (remote if follows else not (state and remote))

        return await self._exchanges.settle(lambda: self._unit.write(plan), done)
