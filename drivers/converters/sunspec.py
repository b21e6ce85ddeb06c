"""A converter with SunSpec models 701, 704 and 715: setpoints in W and var, each with a reversion timer as lease."""

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from itertools import count

from core.devices import OperatingState
from drivers.converter import Command, RawReading, ReadBack, WriteRequest
from drivers.exchange import Exchanges, RefusedError
from drivers.modbus import ModbusLink, ModbusUnit, Plan
from drivers.readings import Values
from drivers.sunspec_discovery import discover
from drivers.sunspec_points import ACTIVE_FIRST, INVERTER_FAULT, VARS, WATTS

Step = Mapping[str, float]

_NEEDED = ("p_kw", "q_kvar")
"""Required points; any other may be "not implemented"."""
_REMAINING = {"p_left_lease_s": "p_lease_s", "q_left_lease_s": "q_lease_s"}
"""Remaining time of a lease → the point of that lease, if the device reports it."""


class SunspecWire:
    """Implements :class:`drivers.converter.Wire`; planning a command takes a reading by its converter's
    ``exchanges``.
    """

    def __init__(self, link: ModbusLink, unit: int, exchanges: Exchanges) -> None:
        self._link, self._unit_id, self._exchanges = link, unit, exchanges
        self._count = count(1)
        self._unit: ModbusUnit | None = None

    async def read(self) -> RawReading:
        """Read all points; a device that was lost is discovered again."""
        try:
            unit = await self.discovered()
            image = await unit.read(register.name for register in unit.registers.registers)
        except BaseException:  # a deadline ends it too, by a cancellation
            self._unit = None
            raise
        available = {name: value for name, value in image.values.items() if value is not None or name in _NEEDED}
        left_s = image.values["p_left_lease_s"]
        values = {
            **available,
            "state": _state(image.values),
            "writer_epoch": _epoch(image.values),
            "lease_s": left_s,
        }
        return RawReading(values, describe=lambda problems: f"{problems} ({image.raw(problems)})")

    async def command(self, request: WriteRequest) -> Command:
        """Write the heartbeat first, then the steps of :func:`_steps`; a release does not depend on the heartbeat."""
        steps = _steps(request)
        async with self._exchanges.attempt(urgent=not request.follow):
            unit = await self.discovered()
            plan = await self._plan(unit, request, steps)
        heartbeat = unit.plan(self._heartbeat(request), request.device)

        async def send() -> None:
            with nullcontext() if request.follow else suppress(RefusedError):
                await unit.write(heartbeat)
            await unit.write(plan)

        values = {name: value for step in steps for name, value in step.items()}

        async def read_back() -> ReadBack:
            shown = (await unit.read([*values, *_REMAINING, "on", "inverter_state", "local"])).values
            remaining = {
                name: values[lease] for name, lease in _REMAINING.items() if lease in values and shown[name] is not None
            }
            return ReadBack({**values, **remaining}, shown, _state(shown) is OperatingState.REMOTE)

        return Command(send, read_back)

    async def discovered(self) -> ModbusUnit:
        """The unit with the registers of its models.

        Raises:
            ExchangeError: no SunSpec device that can be used.
        """
        self._unit = self._unit or await discover(self._link, self._unit_id)
        return self._unit

    async def _plan(self, unit: ModbusUnit, request: WriteRequest, steps: tuple[Step, ...]) -> Plan:
        """The requests of ``steps``, those that reduce |P| or |Q| before those that let it grow.

        P and Q are written by two requests; in this order the setpoint between them stays in the circle of old and new.
        """
        held = (await unit.read(("p_setpoint_kw", "q_setpoint_kvar"))).values

        def grows(step: Step) -> bool:
            return any(name in held and abs(value) > abs(held[name] or 0.0) for name, value in step.items())

        return [block for step in sorted(steps, key=grows) for block in unit.plan(step, request.device)]

    def _heartbeat(self, request: WriteRequest) -> Step:
        """The epoch in the upper word, a count in the lower one, never both at their maximum: "not implemented"."""
        return {"heartbeat": request.writer_epoch * 2**16 + next(self._count) % (2**16 - 1)}


def _steps(request: WriteRequest) -> tuple[Step, ...]:
    """Points that are written together, by one request each."""
    setpoint = request.setpoint
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
