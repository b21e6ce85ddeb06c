"""A SICAM-like meter: measurands, a status word that is 0 when all is well, and a clock, as its map says."""

from core.devices import Measurement, Quality
from drivers.exchange import ExchangeError, Exchanges
from drivers.modbus import ModbusUnit
from drivers.readings import MEASURED, Gauge

READABLE = ("v_v", "p_kw", "q_kvar")
"""What a map must have; i_a, clock_s and status are used where it has them."""


class SicamMeter:
    """See :class:`core.devices.Meter`."""

    def __init__(self, unit: ModbusUnit, gauge: Gauge, exchanges: Exchanges) -> None:
        self.name = gauge.device
        self._unit, self._gauge, self._exchanges = unit, gauge, exchanges
        self._names = [name for name in (*MEASURED, "status") if name in unit.registers]

    async def read(self) -> Measurement:
        """One reading of everything."""
        try:
            async with self._exchanges.attempt():
                image = await self._unit.read(self._names)
        except ExchangeError:
            return self._gauge.nothing()
        troubles = dict(self._gauge.troubles(image.values))
        if image.values.get("status", 0) != 0:
            troubles["status"] = "measurand not valid"
        self._exchanges.report(f"{troubles} ({image.raw(troubles)})" if troubles else None)
        return self._gauge.measurement(image.values, Quality.INVALID if troubles else Quality.GOOD)
