"""A converter with SunSpec models 701, 704 and 715: setpoints in W and var, each with a reversion timer as lease."""

from collections.abc import Mapping
from itertools import count

from core.devices import OperatingState
from drivers.converter import Asked, Command, ReadBack, Said
from drivers.exchange import Exchanges
from drivers.modbus import ModbusLink, ModbusUnit, Plan
from drivers.readings import Values
from drivers.sunspec_discovery import discover
from drivers.sunspec_points import ACTIVE_FIRST, INVERTER_FAULT, VARS, WATTS

Step = Mapping[str, float]

_NEEDED = ("p_kw", "q_kvar")
"""Any other point may be missing: a SunSpec device marks so what it does not implement."""
_LEFT = {"p_left_lease_s": "p_lease_s", "q_left_lease_s": "q_lease_s"}
"""What is left of a lease, where the device tells, and of which."""


class SunspecWire:
    """See :class:`drivers.converter.Wire`; ``exchanges`` are those of its converter: planning a command takes one."""

    def __init__(self, link: ModbusLink, unit: int, exchanges: Exchanges) -> None:
        self._link, self._unit_id, self._exchanges = link, unit, exchanges
        self._count = count(1)
        self._unit: ModbusUnit | None = None

    async def read(self) -> Said:
        """One reading of everything; a device that was lost is discovered anew."""
        try:
            unit = await self.discovered()
            image = await unit.read(register.name for register in unit.registers.registers)
        except BaseException:  # a deadline ends it too, by a cancellation
            self._unit = None
            raise
        said = {name: value for name, value in image.values.items() if value is not None or name in _NEEDED}
        values = {**said, "state": _state(image.values), "writer_epoch": _epoch(image.values)}
        return Said(values, described=lambda troubles: f"{troubles} ({image.raw(troubles)})")

    async def command(self, asked: Asked) -> Command:
        """Who writes, then P and Q by a request each."""
        steps = _steps(asked)
        async with self._exchanges.attempt():
            unit = await self.discovered()
            plan = await self._plan(unit, asked, steps)
        values = {name: value for step in steps for name, value in step.items()}

        async def held() -> ReadBack:
            shown = (await unit.read([*values, *_LEFT, "on", "inverter_state", "local"])).values
            left = {name: values[of] for name, of in _LEFT.items() if of in values and shown[name] is not None}
            return ReadBack({**values, **left}, shown, _state(shown) is OperatingState.REMOTE)

        return Command(lambda: unit.write(plan), held)

    async def discovered(self) -> ModbusUnit:
        """The unit with the registers of its models.

        Raises:
            ExchangeError: no SunSpec device that can be used.
        """
        self._unit = self._unit or await discover(self._link, self._unit_id)
        return self._unit

    async def _plan(self, unit: ModbusUnit, asked: Asked, steps: tuple[Step, ...]) -> Plan:
        """Who writes, then the requests of ``steps``, what shrinks |P| or |Q| before what lets it grow.

        P and Q go by two requests; so the setpoint between them stays in the circle that holds the old and the new one.
        """
        held = (await unit.read(("p_setpoint_kw", "q_setpoint_kvar"))).values

        def grows(step: Step) -> bool:
            return any(name in held and abs(value) > abs(held[name] or 0.0) for name, value in step.items())

        heartbeat = {"heartbeat": asked.writer_epoch * 2**16 + next(self._count) % 2**16}
        return [request for step in (heartbeat, *sorted(steps, key=grows)) for request in unit.plan(step, asked.device)]


def _steps(asked: Asked) -> tuple[Step, ...]:
    """What is written by one request each."""
    setpoint = asked.setpoint
    if setpoint is None:
        return {"p_enable": 0}, {"q_enable": 0}
    leases = {
        "p_enable_after": 0,
        "p_lease_s": setpoint.lease_s,
        "q_enable_after": 0,
        "q_lease_s": setpoint.lease_s,
    }
    p = {"p_enable": 1, "p_mode": WATTS, "p_setpoint_kw": setpoint.p_kw}
    q = {"q_enable": 1, "q_mode": VARS, "q_priority": ACTIVE_FIRST, "q_setpoint_kvar": setpoint.q_kvar}
    return leases, p, q


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
