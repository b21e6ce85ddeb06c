"""The control service: devices, plans, the real-time loop and its records; alive for the duration of a ``with`` block.

It does not keep time. Its driver calls :meth:`Service.cycle` every 30 s, :meth:`Service.replan` every 10 min and
:meth:`Service.tomorrow` once a day: :mod:`controller.service.schedule` by real time, :mod:`controller.api.follow` by
a clock master.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Self

from controller.accounts.grid_check import GridCheck
from controller.accounts.model_check import ModelCheck
from controller.process.modes import Mode
from controller.record.records import CycleRecord, MpcRecord, Severity
from controller.record.store_thread import LateRecordError
from controller.service.alarms import Finding
from controller.service.connection import DeviceConnection
from controller.service.cycle import Cycle
from controller.service.describe import ServiceState
from controller.service.guardian_watch import GuardianWatch
from controller.service.memory import KeptCycle, Memory
from controller.service.mode_control import ModeControl, ModeOrder
from controller.service.obedience import Obedience
from controller.service.opening import first_states, open_planning
from controller.service.overrides import check_override
from controller.service.planning import Replanned
from controller.service.recording import CycleRecorder
from controller.service.setup import Setup, node_limits
from controller.service.stores import Store, Stores
from controller.stop.order import Permit, StopOrder
from core.devices import Outcome
from core.errors import GridlabError
from core.time import Clock
from realtime.emulation import BatteryState
from realtime.node import NodeState
from realtime.override import Override
from realtime.shares import prosumer_batteries

_log = logging.getLogger(__name__)

STOP_S = 12.0
"""How long a stop tries to bring every device to its safe state."""
LOOK_S = 0.02
"""Time (s) between two looks at the progress of an emergency stop that others execute as well."""


class Service:
    """Composition of a control service. ``clock`` is the loop's time, ``stopwatch`` real time.

    Attributes:
        check: the grid model compared with measured voltages since the last change of mode; None without meters.
        record: of the last cycle since the last change of mode.
        missed: number of cycles that the driver has skipped.
        notices: findings of the driver by kind, until it removes them.
        guardian: of this service.
    """

    def __init__(self, setup: Setup, clock: Clock, stopwatch: Clock) -> None:
        config = setup.config
        self.check: ModelCheck | None = None
        self.record: CycleRecord | None = None
        self.missed = 0
        self.notices, self.guardian = dict[str, Finding](), GuardianWatch(setup, clock)
        self._setup, self._clock, self._stopwatch = setup, clock, stopwatch
        self._recorder, self._grid_check = CycleRecorder(config, clock), GridCheck(config)
        self._limits = node_limits(config)
        self._permit = self._first_permit = setup.stops.first_permit()
        self._obedience = Obedience(self._stop)
        self._released: Mapping[str, Outcome] = {}
        self._stack, self._lock = AsyncExitStack(), asyncio.Lock()
        self._stores: Stores
        self._recording = False
        self._connection: DeviceConnection
        self._modes: ModeControl

    async def __aenter__(self) -> Self:
        """Open the records, resume what the journal kept, and make a plan; no device is accessed yet.

        If it is cancelled, everything that may still follow a predecessor is released.

        Raises:
            InputError, PlannerError, SolverError: there is no plan for today.
        """
        async with AsyncExitStack() as stack:
            try:
                await self._open_records(stack)
                self.planning = await open_planning(self._setup, self.memory, (self._clock, self._stopwatch), stack)
            except asyncio.CancelledError:
                if not self._recording:
                    await self._open_records(stack)
                await self.close()
                raise
            stopped = not self._modes.was_active
            self._connection.states = first_states(self._setup, self.memory, self.planning, stopped=stopped)
            self._stores.keep(Store.JOURNAL, partial(self.memory.keep_plans, self.planning.plans))
            self._recorder.costs = self.memory.costs() or self._recorder.costs
            stack.enter_context(self._setup.stops.heard(self._obedience.hear, service=True))
            self._stack = stack.pop_all()
        return self

    async def _open_records(self, stack: AsyncExitStack) -> None:
        stores = self._stores = await stack.enter_async_context(Stores(self._setup, self._clock))
        self._connection = DeviceConnection(self._setup, stores, self._clock, self._stopwatch)
        self._modes = ModeControl(self._setup, stores, self._connection, self._clock)
        self._recording = True
        self.notices.update(await self._modes.open())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Bring every commanded device to its safe state, whatever ended the block."""
        async with self._stack:
            await self.close()

    @property
    def mode(self) -> Mode:
        """The present mode; OFF until :meth:`set_mode`."""
        return self._modes.mode

    @property
    def memory(self) -> Memory:
        """State that a restart resumes."""
        return self._stores.memory

    @property
    def damaged(self) -> tuple[str, ...]:
        """One line for every record of an earlier run that was damaged and set aside."""
        return self._stores.damaged

    @property
    def states(self) -> Mapping[str, NodeState]:
        """States of all converters, by name."""
        return self._connection.loop.state if self._connection.loop else self._connection.states

    @property
    def batteries(self) -> Mapping[str, BatteryState | None]:
        """The accounts of the emulated batteries, by prosumer; None without one."""
        return prosumer_batteries(self.states, self._limits)

    @property
    def overrides(self) -> Mapping[str, Override]:
        """An operator's overrides of converters, by name."""
        return self._connection.loop.overrides if self._connection.loop else {}

    async def note(self, event: str, detail: str) -> None:
        """Record an operator's request in the audit trail.

        Raises:
            LateRecordError: it is not recorded in time; it will be.
            RecordError: it cannot be recorded.
        """
        await self._stores.done(Store.AUDIT, partial(self._stores.audit.note, self._clock.now(), event, detail))

    async def settled(self) -> None:
        """Wait until every record requested so far has been made or has failed: for a driver of virtual time."""
        await self._stores.settled()

    async def begin(self) -> None:
        """Enter the first mode: the commanded one or a lower one, see :mod:`controller.service.first_mode`.

        Raises:
            InputError, RecordError: as :meth:`set_mode`.
        """
        if not self._first_permit.valid:
            await self._modes.stopped("an emergency stop while it started")
        order, alarms = await self._modes.first(self._first_permit)
        self.notices.update(alarms)
        self.guardian.resume()
        await self.guardian.admit(order.mode, self.mode)
        async with self._lock:
            try:
                await self._set_mode(order, STOP_S)
            except GridlabError:
                if self._modes.stands(order):
                    raise
                await self._lower(Mode.MONITOR, "stopped while it started", STOP_S)
        self._modes.inherited = False

    async def set_mode(
        self, mode: Mode, within_s: float = STOP_S, who: str = "", permit: Permit | None = None
    ) -> Mapping[str, Outcome]:
        """Change the mode; leaving ACTIVE releases every converter and reads it back. ``who`` requested it.

        A lower mode is on the disk before anything is waited for.

        Args:
            permit: of the writer in ACTIVE; by default from now on.

        Returns:
            Outcomes of the releases, by device; empty if nothing was commanded.

        Raises:
            RecordError: a higher mode was requested and cannot be recorded, or was lowered in the meantime; the mode is
                unchanged.
            InputError: a register map, certificate or key cannot be used; the mode is OFF.
            GridlabError: the service is stopping; for ACTIVE, no guardian lives, or there was an emergency stop since.
        """
        permit = permit or self._setup.stops.permit()
        order = await self._modes.order(mode, f"mode {mode}, {who or 'requested'}", permit)
        if who:
            event, detail = "command", f"mode {mode}, {who}"
            if mode is Mode.ACTIVE:
                await self.note(event, detail)
            else:
                self._stores.tell(event, detail)
        await self.guardian.admit(mode, self.mode)
        async with self._lock:
            return await self._set_mode(order, within_s)

    def permit(self) -> Permit:
        """For an activation that is asked for now: an emergency stop makes it void."""
        return self._setup.stops.permit()

    async def emergency_stop(self, who: str) -> Mapping[str, Outcome]:
        """Release every converter immediately, whatever is in progress, and go to MONITOR.

        Returns:
            Outcomes of the releases, by device; empty if nothing was commanded.
        """
        order = self._setup.stops.trip(who)
        await self._obedience.obey(order)
        if self._setup.stops.supervised:
            with suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    while not order.ended:
                        await asyncio.sleep(LOOK_S)
        return order.outcomes

    async def _stop(self, order: StopOrder) -> None:
        who, loop = order.who, self._connection.loop
        try:
            if loop and self.mode is Mode.ACTIVE:
                loop.halt()
            await self._modes.stopped(f"emergency stop, {who}")
            self._stores.tell("emergency stop", who)
            if loop is None or self.mode is not Mode.ACTIVE:
                return
            order.report(await loop.release("emergency stop"))
            await self.set_mode(Mode.MONITOR)
            order.report(self._released)
        except GridlabError as error:  # it is stopping, or cannot connect again: in either case it does not write
            _log.error("emergency stop: %s", error)
        finally:
            order.writer_gone = True

    async def override(self, who: str, device: str, p_kw: float, q_kvar: float, for_s: float) -> None:
        """Set a converter's target in place of its plan's; the safety gate still applies. 0 s ends the override.

        Raises:
            InputError: no such converter, a power beyond its rating, or longer than an hour.
            GridlabError: the service is not ACTIVE.
            RecordError: it cannot be recorded.
        """
        check_override(device, p_kw, q_kvar, for_s, {name: node.s_max_kva for name, node in self._limits.items()})
        async with self._lock:
            if self._connection.loop is None or self.mode is not Mode.ACTIVE:
                raise GridlabError(f"service: asked an override in {self.mode}, allowed in active")
            detail = f"{device}: {p_kw} kW, {q_kvar} kvar, {for_s} s, {who}"
            try:
                await self.note("override", detail)
            except LateRecordError:
                self._stores.tell("override", f"{detail}: refused, recorded too late")
                raise
            overrides = self._connection.loop.overrides
            if for_s:
                overrides[device] = Override(p_kw, q_kvar, self._clock.monotonic_s() + for_s)
            else:
                overrides.pop(device, None)

    async def close(self, within_s: float = STOP_S) -> Mapping[str, Outcome]:
        """Go to OFF for good; from now on no other mode can be requested. The next service begins in MONITOR, or in OFF
        if that was commanded.
        """
        self._modes.closing = True
        await self._modes.stopped("the service was stopped")
        async with self._lock:
            if self._modes.inherited:
                return await self._modes.release_inherited(within_s)
            return await self._set_mode(ModeOrder(Mode.OFF, "stopped", self._permit), within_s)

    async def sent(self) -> None:
        """Wait a moment for the telemetry's database to receive what is queued."""
        await self._stores.sent()

    async def poll(self) -> None:
        """Read all devices between cycles."""
        async with self._lock:
            await self._follow_record()
            if watch := self._connection.watch:
                await watch.poll()
                if changed := self._recorder.changed(watch):
                    self._stores.keep_telemetry(changed)

    async def cycle(self) -> CycleRecord | None:
        """Run one cycle; None in OFF.

        Raises:
            RecordError: nothing can be recorded in time, so no setpoint was sent to any device.
        """
        async with self._lock:
            await self._follow_record()
            if (loop := self._connection.loop) is None:
                await self._stores.look_after(self.mode)
                return None
            began_s = self._stopwatch.monotonic_s()
            self.planning.advance_day()
            cycle = await loop.run(self.planning.day, self.planning.plans)
            await self._stores.look_after(self.mode)
            unguarded = await self.guardian.noticed(self.notices, self.mode)
            record = self._recorded(cycle, 1e3 * (self._stopwatch.monotonic_s() - began_s))
            kept = KeptCycle(cycle.at, loop.state, self._recorder.costs, self.memory.stamp())
            self._stores.keep(Store.JOURNAL, partial(self.memory.keep_cycle, kept, self.planning.margin))
            self.planning.observe(cycle)
            self.check = self._grid_check.after(self.check, cycle.image.snapshot.measurements)
            if self.mode is Mode.ACTIVE and self._permit.valid and (why := cycle.other_writers):
                _log.error("yielding: %s", why)
                self.notices["yielded"] = Finding("yielded", Severity.ALARM, "service", why)
                self._connection.give_way(cycle.doubts)
                await self._lower(Mode.MONITOR, f"yielded: {why}", within_s=0.0)
            if self.mode is Mode.ACTIVE and unguarded:
                self._stores.tell("command", f"mode monitor, {unguarded}")
                await self._lower(Mode.MONITOR, unguarded, STOP_S)
            self._modes.beat()
            return record

    async def replan(self) -> Replanned:
        """Compute a new plan for the rest of the day; :meth:`adopt` puts it in force."""
        async with self._lock:
            self.planning.advance_day()
            soc = {name: battery.soc if battery else None for name, battery in self.batteries.items()}
            request = self.planning.request(soc)
        return await self.planning.replan(request)

    def adopt(self, done: Replanned) -> MpcRecord:
        """Put a finished plan in force, and record the run."""
        self.planning.adopt(done)
        self._stores.keep(Store.JOURNAL, partial(self.memory.keep_plans, self.planning.plans))
        self._recorder.remember_mpc(done.record)
        self._stores.keep_telemetry(done.record)
        if self._setup.live:
            self._setup.live.publish_mpc(done.record)
        return done.record

    async def tomorrow(self) -> None:
        """Make the day-ahead plan of the next day.

        Raises:
            InputError, PlannerError, SolverError: there is no plan yet.
        """
        self.planning.advance_day()
        await self.planning.tomorrow()
        self._stores.keep(Store.JOURNAL, partial(self.memory.keep_plans, self.planning.plans))

    def _recorded(self, cycle: Cycle, cycle_ms: float) -> CycleRecord:
        state = ServiceState(self.mode, cycle_ms, self.missed, self._stores.forwarder.counts)
        lost = (*self._stores.lost(), *self._modes.findings())
        notices = (*self.notices.values(), *self.planning.findings, *lost)
        record = self._recorder.record(cycle, self.planning.plans, state, notices)
        self.record = record
        self._stores.keep_telemetry(record)
        if self._setup.live:
            self._setup.live.publish(record)
        return record

    async def _follow_record(self) -> None:
        """Go down to a mode that another process has recorded."""
        if (allowed := await self._modes.allowed()) is not self.mode:
            text = f"lowered to {allowed} from outside"
            _log.error("%s", text)
            self.notices["lowered"] = Finding("lowered", Severity.ALARM, "service", text)
            await self._lower(allowed, text, STOP_S)

    async def _lower(self, mode: Mode, why: str, within_s: float) -> None:
        await self._set_mode(await self._modes.order(mode, why, self._permit), within_s)

    async def _set_mode(self, order: ModeOrder, within_s: float) -> Mapping[str, Outcome]:
        before = self.mode
        if order.mode is before:
            return {}
        try:
            outcomes = await self._modes.change(order, within_s)
        finally:
            if self.mode is not before:
                self.check = self.record = None
        if order.mode is Mode.ACTIVE:
            self._permit = order.permit
            self.notices.clear()
        elif before is Mode.ACTIVE:
            self._released = outcomes
        return outcomes
