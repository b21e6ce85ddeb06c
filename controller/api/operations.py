"""Executes the requests of the API on a running service; independent of HTTP."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from controller.accounts.model_check import ModelCheck
from controller.api.arming import ARMED_S, Arming
from controller.api.messages import (
    Activate,
    Armed,
    Changed,
    Devices,
    GuardianState,
    Horizon,
    LastCycle,
    Lower,
    Nothing,
    OverrideOrder,
    PlannedProsumer,
    PlansNow,
    StandingOverride,
    Status,
)
from controller.process.modes import Mode
from controller.service.plans import DatedPlan
from controller.service.service import Service
from core.arrays import FloatArray
from core.errors import GridlabError
from core.time import Clock

WHO = "operator over HTTP"


class Operations:
    """The requests to one service; ``clock`` is that of its control loop.

    Every method raises GridlabError if the state of the service does not allow the request.
    """

    def __init__(self, service: Service, clock: Clock) -> None:
        self._service, self._clock = service, clock
        self._arming, self._permit = Arming(clock), service.permit()

    async def status(self, _: Nothing) -> Status:
        """The current status."""
        service, record = self._service, self._service.record
        current = service.planning.plans.plan_at(self._clock.now())
        cycle = None
        if record:
            cycle = LastCycle(record.time, record.cycle_ms, record.plan_age_s, record.violation_pu, record.alarms)
        life = await service.guardian.look()
        guardian, plan_id = GuardianState(life.living, life.absent), current.plan_id if current else None
        zone = service.planning.day.forecast.axis.timezone
        return Status(service.mode, guardian, service.missed, plan_id, service.check, cycle, zone)

    async def devices(self, _: Nothing) -> Devices:
        """The current devices and overrides."""
        record, now_s = self._service.record, self._clock.monotonic_s()
        overrides = {
            name: StandingOverride(override.p_kw, override.q_kvar, override.until_s - now_s)
            for name, override in self._service.overrides.items()
            if override.until_s > now_s
        }
        return Devices(record.time, record.devices, overrides) if record else Devices(overrides=overrides)

    async def plan(self, _: Nothing) -> PlansNow:
        """The current plans."""
        plans = self._service.planning.plans
        current = plans.plan_at(self._clock.now())
        return PlansNow(
            _name(plans.intraday),
            _name(plans.day_ahead),
            _name(plans.tomorrow),
            self._horizon(current) if current else None,
        )

    async def arm(self, _: Nothing) -> Armed:
        """Arm ACTIVE, the first of two steps."""
        service = self._service
        if service.mode is Mode.ACTIVE:
            raise GridlabError("service: asked to arm in active, allowed in off, monitor")
        self._permit = service.permit()
        await service.guardian.require()
        return Armed(self._arming.arm(service.mode), ARMED_S, self._warnings(service.check), service.check)

    async def mode(self, order: Lower | Activate) -> Changed:
        """Change the mode."""
        service, permit = self._service, self._permit
        confirmed = isinstance(order, Activate) and self._arming.confirms(order.nonce, service.mode) and permit.valid
        if isinstance(order, Activate) and not confirmed:
            raise GridlabError(f"nonce: asked one that is not good, allowed once, within {ARMED_S:g} s of mode/arm")
        self._arming.disarm()
        released = await service.set_mode(Mode(order.mode), permit=permit)
        return Changed(service.mode, released)

    async def override(self, order: OverrideOrder) -> Devices:
        """Override one converter for a while."""
        await self._service.override(WHO, order.device, order.p_kw, order.q_kvar, order.for_s)
        return await self.devices(Nothing())

    async def stop(self, _: Nothing) -> Changed:
        """Execute the emergency stop."""
        self._arming.disarm()
        released = await self._service.emergency_stop(WHO)
        return Changed(self._service.mode, released)

    def _warnings(self, check: ModelCheck | None) -> tuple[str, ...]:
        """What an operator should know before ACTIVE."""
        record = self._service.record
        if record is None:
            return ("no cycle since the mode last changed: no device was looked at",)
        alarms = [f"{alarm.kind} {alarm.place}: {alarm.text}" for alarm in record.alarms]
        if check is None:
            return "the grid model was not compared with measured voltages", *alarms
        if check.doubtful:
            return f"the grid model is off by {check.worst_pu:.4f} p.u. at {check.worst_node}", *alarms
        return tuple(alarms)

    def _horizon(self, dated: DatedPlan) -> Horizon:
        step = dated.day.step_of(self._clock.now())
        row, times = dated.running.row(step), dated.day.forecast.axis.times[step:]
        prosumers = {
            name: PlannedProsumer(
                _from(row, plan.p_kw),
                _from(row, plan.q_kvar),
                _from(row, plan.battery_kw),
                None if plan.soc is None else _from(row, plan.soc),
            )
            for name, plan in dated.running.plan.prosumers.items()
        }
        return Horizon(dated.plan_id, self._clock.monotonic_s() - dated.made_s, tuple(times), prosumers)


HANDLERS: Mapping[str, Callable[[Operations, Any], Awaitable[object]]] = {
    "status": Operations.status,
    "devices": Operations.devices,
    "plan": Operations.plan,
    "mode/arm": Operations.arm,
    "mode": Operations.mode,
    "override": Operations.override,
    "stop": Operations.stop,
}
"""Name of an endpoint → function from body to answer."""


def _name(plan: DatedPlan | None) -> str | None:
    return plan.plan_id if plan else None


def _from(row: int, values: FloatArray) -> tuple[float, ...]:
    return tuple(values[row:].tolist())
