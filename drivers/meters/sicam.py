"""A SICAM-like meter: measured values, a status word that is 0 when all is well, and a clock, by its register map."""

from core.devices import Measurement, Quality
from drivers.exchange import ExchangeError, Exchanges
from drivers.modbus import ModbusUnit
from drivers.readings import MEASURED, ReadingCheck

READABLE = ("v_v", "p_kw", "q_kvar")
"""Required registers of a map; i_a, clock_s and status are optional."""


class SicamMeter:
    """Implements :class:`core.devices.Meter` with the registers of a unit."""

    def __init__(self, unit: ModbusUnit, check: ReadingCheck, exchanges: Exchanges) -> None:
        self.name = check.device
        self._unit, self._check, self._exchanges = unit, check, exchanges
        self._names = [name for name in (*MEASURED, "status") if name in unit.registers]

    async def read(self) -> Measurement:
        """Read all registers; a reading with problems is INVALID."""
        try:
            async with self._exchanges.attempt():
                image = await self._unit.read(self._names)
        except ExchangeError:
            return self._check.failed()
        problems = dict(self._check.problems(image.values))
        if image.values.get("status", 0) != 0:
            problems["status"] = "measurand not valid"
        self._exchanges.report(f"{problems} ({image.raw(problems)})" if problems else None)
        return self._check.measurement(image.values, Quality.INVALID if problems else Quality.GOOD)
