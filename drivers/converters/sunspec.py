"""A converter with SunSpec models 701, 704 and 715: setpoints in W and var, each with a reversion timer as lease."""

from collections.abc import Mapping
from itertools import count

from core.devices import Measurement, Outcome, Quality, Setpoint
from core.errors import GridlabError
from drivers.exchange import ExchangeError, Exchanges
from drivers.modbus import ModbusLink, ModbusUnit, Plan
from drivers.readings import Gauge, Values, converter_status
from drivers.setpoints import check_setpoint, check_writer, holds
from drivers.status import ConverterStatus, OperatingState
from drivers.sunspec_discovery import discover
from drivers.sunspec_points import ACTIVE_FIRST, INVERTER_FAULT, VARS, WATTS

Step = Mapping[str, float]

_NEEDED = ("p_kw", "q_kvar")
"""Any other point may be missing: a SunSpec device marks so what it does not implement."""
_LEFT = {"p_left_lease_s": "p_lease_s", "q_left_lease_s": "q_lease_s"}
"""What is left of a lease, where the device tells, and of which."""


class SunspecConverter:
    """See :class:`core.devices.Converter`. ``status`` is that of the last reading, None if it failed."""

    def __init__(self, link: ModbusLink, unit: int, gauge: Gauge, exchanges: Exchanges, writer_epoch: int) -> None:
        self.name = gauge.device
        self.status: ConverterStatus | None = None
        self._link, self._unit_id, self._gauge, self._exchanges = link, unit, gauge, exchanges
        self._epoch, self._count = writer_epoch, count(1)
        self._unit: ModbusUnit | None = None

    async def read(self) -> Measurement:
        """One reading of everything; a device that was lost is discovered anew."""
        try:
            async with self._exchanges.attempt():
                unit = await self._discovered()
                image = await unit.read(register.name for register in unit.registers.registers)
        except ExchangeError:
            self._unit = self.status = None
            return self._gauge.nothing()
        told = {name: value for name, value in image.values.items() if value is not None or name in _NEEDED}
        values = {**told, "state": _state(image.values), "writer_epoch": _epoch(image.values)}
        self.status = converter_status(values)
        troubles = dict(self._gauge.troubles(values))
        self._exchanges.report(f"{troubles} ({image.raw(troubles)})" if troubles else None)
        return self._gauge.measurement(values, Quality.INVALID if troubles else Quality.GOOD)

    async def write(self, setpoint: Setpoint) -> Outcome:
        """Verified when the device holds the setpoint and follows it."""
        try:
            check_setpoint(self.name, setpoint, self._gauge.s_max_kva)
        except GridlabError as error:
            return self._exchanges.refuse(error)
        leases = {
            "p_enable_after": 0,
            "p_lease_s": setpoint.lease_s,
            "q_enable_after": 0,
            "q_lease_s": setpoint.lease_s,
        }
        p = {"p_enable": 1, "p_mode": WATTS, "p_setpoint_kw": setpoint.p_kw}
        q = {"q_enable": 1, "q_mode": VARS, "q_priority": ACTIVE_FIRST, "q_setpoint_kvar": setpoint.q_kvar}
        return await self._commanded(leases, p, q, follows=True)

    async def release(self) -> Outcome:
        """Verified when the device no longer follows setpoints."""
        return await self._commanded({"p_enable": 0}, {"q_enable": 0}, follows=False)

    async def _commanded(self, *steps: Step, follows: bool) -> Outcome:
        try:
            check_writer(self.name, self._epoch, self.status)
            async with self._exchanges.attempt():
                unit = await self._discovered()
                plan = await self._plan(unit, steps)
        except ExchangeError:
            return Outcome.UNKNOWN
        except GridlabError as error:
            return self._exchanges.refuse(error)
        asked = {name: value for step in steps for name, value in step.items()}

        async def done() -> bool:
            held = (await unit.read([*asked, *_LEFT, "on", "inverter_state", "local"])).values
            left = {name: asked[of] for name, of in _LEFT.items() if of in asked and held[name] is not None}
            remote = _state(held) is OperatingState.REMOTE
            return holds({**asked, **left}, held, self._gauge.s_max_kva) and remote is follows

        return await self._exchanges.settle(lambda: unit.write(plan), done)

    async def _discovered(self) -> ModbusUnit:
        self._unit = self._unit or await discover(self._link, self._unit_id)
        return self._unit

    async def _plan(self, unit: ModbusUnit, steps: tuple[Step, ...]) -> Plan:
        """Who writes, then the requests of ``steps``, what shrinks |P| or |Q| before what lets it grow.

        P and Q go by two requests; so the setpoint between them stays in the circle that holds the old and the new one.
        """
        held = (await unit.read(("p_setpoint_kw", "q_setpoint_kvar"))).values

        def grows(step: Step) -> bool:
            return any(name in held and abs(value) > abs(held[name] or 0.0) for name, value in step.items())

        heartbeat = {"heartbeat": self._epoch * 2**16 + next(self._count) % 2**16}
        return [request for step in (heartbeat, *sorted(steps, key=grows)) for request in unit.plan(step, self.name)]


def _state(values: Values) -> OperatingState:
    if values["local"] == 1:
        return OperatingState.LOCAL
    if values["inverter_state"] == INVERTER_FAULT:
        return OperatingState.FAULT
    if values["on"] == 0:
        return OperatingState.OFF
    return OperatingState.REMOTE if values.get("p_enable") == 1 else OperatingState.SAFE


def _epoch(values: Values) -> float | None:
    heartbeat = values["heartbeat"]
    return None if heartbeat is None else heartbeat // 2**16
