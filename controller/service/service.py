"""The control service: composes devices, plans, the 30 s loop and its records; alive for as long as a ``with`` block.

It owns no time. Whoever drives it calls :meth:`Service.cycle` every 30 s, :meth:`Service.replan` every 10 min and
:meth:`Service.tomorrow` once a day: :mod:`controller.service.schedule` by the clocks of real life,
:mod:`controller.service.follow` by a clock master.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from controller.live.state import LiveState
from controller.record.audit import AuditTrail
from controller.record.failures import RecordError
from controller.record.forwarder import Forwarder
from controller.record.influx import seen_from
from controller.record.journal import Journal
from controller.record.recorder import Recorder
from controller.record.records import CycleRecord, MpcRecord, Severity
from controller.record.retention import Retention
from controller.service.alarms import Finding
from controller.service.cycle import ControlLoop, Cycle
from controller.service.days import DayBook
from controller.service.desk import Desk, Replanned
from controller.service.doubts import DoubtKind, Doubts
from controller.service.memory import KeptCycle, Memory, identity
from controller.service.model_check import GridCheck, ModelCheck
from controller.service.modes import Mode
from controller.service.overrides import Override, checked
from controller.service.planner import Planner
from controller.service.scribe import Scribe
from controller.service.watch import Watch
from core.config import Config
from core.config_devices import Converter
from core.devices import Outcome
from core.errors import GridlabError
from core.time import Clock
from drivers.factory import Site, connect
from realtime.node import NodeLimits, NodeState
from realtime.timing import MPC_BEST_S, REQUEST_TIMEOUT_S, WRITE_S

_log = logging.getLogger(__name__)

AUDIT = "audit.jsonl"
STOP_S, RETRY_S = 12.0, 1.1
"""How long a stop tries to bring every device to its safe state, and its pause between two attempts."""


@dataclass(frozen=True)
class Setup:
    """What a service is made of.

    Attributes:
        path: where ``config`` was read from.
        folder: of the run: audit trail, telemetry, tables.
        state: folder of what outlives a run: the journal.
        tables: whether to write the CSV tables of a simulated run.
        coordinate: False for the selfish baseline.
        patience_s: real time that a cycle waits for readings, so that a slow device delays no other. In a simulated
            run every device answers within it, for the sake of repeatability.
        live: what a live page shows, if there is one.
    """

    config: Config
    path: Path
    folder: Path
    state: Path
    tables: bool = False
    coordinate: bool = True
    patience_s: float = REQUEST_TIMEOUT_S
    live: LiveState | None = None


class Service:
    """See the module. ``clock`` is the loop's time, ``stopwatch`` the real one.

    Attributes:
        mode: OFF until :meth:`set_mode`.
        check: of the grid model against measured voltages, since the mode last changed; None without meters.
        missed: cycles that the driver skipped so far.
        notices: what its driver wants to be known, by kind, until it takes it away.
    """

    def __init__(self, setup: Setup, clock: Clock, stopwatch: Clock) -> None:
        config = setup.config
        self.mode = Mode.OFF
        self.check: ModelCheck | None = None
        self.missed = 0
        self._setup, self._clock, self._stopwatch = setup, clock, stopwatch
        self._scribe, self._grid_check = Scribe(config, clock), GridCheck(config)
        self._limits = node_limits(config)
        self._stack, self._connection = AsyncExitStack(), AsyncExitStack()
        self._turn = asyncio.Lock()
        self._closing = False
        self._lost: dict[str, str] = {}
        self.notices: dict[str, Finding] = {}
        self._loop: ControlLoop | None = None
        self._states: dict[str, NodeState] = {}

    async def __aenter__(self) -> Self:
        """Open the records, take up what the journal kept, make a plan; no device is touched yet.

        Raises:
            InputError, PlannerError, SolverError: there is no plan for today.
        """
        setup, config = self._setup, self._setup.config
        async with AsyncExitStack() as stack:
            self._audit = stack.enter_context(AuditTrail(setup.folder / AUDIT))
            journal = stack.enter_context(Journal(setup.state / "journal.sqlite"))
            self.memory = Memory(journal, self._clock, identity(config), durable=not setup.tables)
            influx, sqlite = config.telemetry.influx, config.telemetry.sqlite
            recorder = Recorder(
                setup.folder, config.horizon.timezone, sqlite, tables=setup.tables, outbox=influx is not None
            )
            self._recorder = stack.enter_context(recorder)
            seen = seen_from(setup.path, influx) if influx else None
            retention = Retention.of(config.telemetry)
            forwarder = Forwarder(setup.folder / sqlite, seen, self._clock, retention)
            self._forwarder = await stack.enter_async_context(forwarder)
            planner = await stack.enter_async_context(Planner(best_s=min(MPC_BEST_S, config.schedule.mpc_budget_s)))
            days = DayBook(config, setup.path)
            self.desk = Desk(config, days, planner, self._clock, self._stopwatch, coordinate=setup.coordinate)
            await self.desk.open(self.memory.plans(days), self.memory.margin())
            self._keep("journal", partial(self.memory.keep_plans, self.desk.plans))
            self._states = self._start_states()
            self._scribe.costs = self.memory.costs() or self._scribe.costs
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Every device that was commanded goes to its safe state, whatever ended the block."""
        async with self._stack:
            await self.close()

    @property
    def damaged(self) -> tuple[str, ...]:
        """One line for everything of an earlier run that was found damaged and set aside."""
        telemetry = self._recorder.damaged
        return (*self.memory.damaged, *((telemetry,) if telemetry else ()))

    @property
    def states(self) -> Mapping[str, NodeState]:
        """What prosumers remember, by name."""
        return self._loop.state if self._loop else self._states

    async def set_mode(self, mode: Mode, within_s: float = STOP_S) -> Mapping[str, Outcome]:
        """Change what may be done; leaving ACTIVE releases every converter and reads it back.

        Returns:
            Outcomes of the releases, by device; empty if nothing was commanded.

        Raises:
            RecordError: ACTIVE was asked for and cannot be put on record; the mode stays.
            InputError: a register map, certificate or key cannot be used; the mode is OFF.
            GridlabError: it is stopping.
        """
        async with self._turn:
            return await self._set_mode(mode, within_s)

    async def emergency_stop(self, who: str) -> Mapping[str, Outcome]:
        """Release every converter at once, whatever is under way, and go to MONITOR.

        Returns:
            Outcomes of the releases, by device; empty if nothing was commanded.
        """
        self._keep("audit trail", partial(self._audit.note, self._clock.now(), "emergency stop", who))
        if self._loop is None or self.mode is not Mode.ACTIVE:
            return {}
        self._loop.halt()
        await self._loop.release("emergency stop")
        return await self.set_mode(Mode.MONITOR)

    async def override(self, who: str, device: str, p_kw: float, q_kvar: float, for_s: float) -> None:
        """Let a converter aim at a net demand in place of its plan, behind the safety gate; 0 s ends it.

        Raises:
            InputError: no such converter, beyond its rating, longer than an hour.
            GridlabError: the service is not ACTIVE.
            RecordError: it cannot be put on record.
        """
        limits = {node.converter: node for node in self._limits.values()}
        checked(device, p_kw, q_kvar, for_s, {name: node.s_max_kva for name, node in limits.items()})
        async with self._turn:
            if self._loop is None or self.mode is not Mode.ACTIVE:
                raise GridlabError(f"service: asked an override in {self.mode}, allowed in active")
            self._audit.note(self._clock.now(), "override", f"{device}: {p_kw} kW, {q_kvar} kvar, {for_s} s, {who}")
            self._loop.overrides[device] = Override(p_kw, q_kvar, self._clock.monotonic_s() + for_s)

    async def close(self, within_s: float = STOP_S) -> Mapping[str, Outcome]:
        """Go to OFF for good; nobody can ask for another mode any more."""
        self._closing = True
        return await self.set_mode(Mode.OFF, within_s)

    async def poll(self) -> None:
        """Read all devices between cycles."""
        async with self._turn:
            if self._loop:
                await self._watch.poll()

    async def cycle(self) -> CycleRecord | None:
        """One cycle; None in OFF.

        Raises:
            RecordError: nothing can be audited, so nothing was written to any device.
        """
        async with self._turn:
            if self._loop is None:
                return None
            began_s = self._stopwatch.monotonic_s()
            self.desk.turn()
            cycle = await self._loop.run(self.desk.day, self.desk.plans)
            record = self._recorded(cycle, 1e3 * (self._stopwatch.monotonic_s() - began_s))
            kept = KeptCycle(cycle.at, self._loop.state, self._scribe.costs)
            self._keep("journal", partial(self.memory.keep_cycle, kept, self.desk.margin))
            self.desk.saw(cycle)
            self.check = self._grid_check.after(self.check, cycle.image.snapshot.measurements)
            if self.mode is Mode.ACTIVE and (taken := _taken_over(cycle)):
                _log.error("yielding: %s", taken)
                self.notices["yielded"] = Finding("yielded", Severity.ALARM, "service", taken)
                await self._set_mode(Mode.MONITOR, within_s=0.0)
            return record

    async def replan(self) -> Replanned:
        """Compute a new plan for the rest of the day; :meth:`adopt` puts it in force."""
        async with self._turn:
            self.desk.turn()
            soc = {name: state.battery.soc if state.battery else None for name, state in self.states.items()}
            question = self.desk.question(soc)
        return await self.desk.replan(question)

    def adopt(self, done: Replanned) -> MpcRecord:
        """Put a finished plan in force and on record."""
        self.desk.adopt(done)
        self._keep("journal", partial(self.memory.keep_plans, self.desk.plans))
        self._scribe.saw_mpc(done.record)
        self._keep("telemetry", partial(self._recorder.mpc, done.record))
        if self._setup.live:
            self._setup.live.publish_mpc(done.record)
        return done.record

    async def tomorrow(self) -> None:
        """Make the day-ahead plan of the next day.

        Raises:
            InputError, PlannerError, SolverError: there is none yet.
        """
        self.desk.turn()
        await self.desk.tomorrow()
        self._keep("journal", partial(self.memory.keep_plans, self.desk.plans))

    def _recorded(self, cycle: Cycle, cycle_ms: float) -> CycleRecord:
        counts = self._forwarder.counts
        notices = (*self.notices.values(), *self._lost_records())
        record = self._scribe.record(cycle, self.desk, self.mode, cycle_ms, self.missed, counts, notices)
        self._keep("telemetry", partial(self._recorder.cycle, record))
        if self._setup.live:
            self._setup.live.publish(record)
        return record

    def _keep(self, what: str, write: Callable[[], None]) -> None:
        """Control goes on without a record; that it is lost is said once, and once that it is back."""
        try:
            write()
        except RecordError as error:
            if what not in self._lost:
                _log.error("%s lost: %s", what, error)
            self._lost[what] = str(error)
            return
        if self._lost.pop(what, None):
            _log.info("%s back", what)

    def _lost_records(self) -> Iterator[Finding]:
        for what, why in self._lost.items():
            yield Finding("lost", Severity.ALARM, what, why)
        if failure := self._forwarder.failure:
            yield Finding("forwarding", Severity.WARNING, "telemetry", failure)

    async def _set_mode(self, mode: Mode, within_s: float) -> Mapping[str, Outcome]:
        if mode is self.mode:
            return {}
        if self._closing and mode is not Mode.OFF:
            raise GridlabError(f"service: asked mode {mode}, allowed off; it is stopping")
        noted = partial(self._audit.note, self._clock.now(), "mode", f"{self.mode} → {mode}")
        epoch = None
        if mode is Mode.ACTIVE:
            noted()
            self.notices.clear()
            epoch = self.memory.next_epoch(await self._reported_epoch())
        outcomes = await self._disconnect(within_s)
        self.mode, self.check = Mode.OFF, None
        if mode is not Mode.OFF:
            await self._connect(epoch)
        self.mode = mode
        if self._setup.live:
            self._setup.live.publish_mode(mode)
        if mode is not Mode.ACTIVE:
            self._keep("audit trail", noted)
        self._keep("journal", partial(self.memory.keep_mode, mode))
        return outcomes

    async def _reported_epoch(self) -> int:
        """The highest epoch of a writer that any converter knows; from OFF they are read for it."""
        if self._loop is None:
            await self._connect(None)
            await self._watch.poll()
        epochs = [status.writer_epoch or 0 for status in self._watch.statuses.values()]
        return max(epochs, default=0)

    async def _disconnect(self, within_s: float) -> Mapping[str, Outcome]:
        outcomes = await self._release(within_s) if self.mode is Mode.ACTIVE else {}
        self._states, self._loop = dict(self.states), None
        await self._connection.aclose()
        return outcomes

    async def _connect(self, epoch: int | None) -> None:
        config, setup = self._setup.config, self._setup
        site = Site(setup.path.parent, config.grid.voltage_v, self._clock)
        devices = await self._connection.enter_async_context(connect(config.devices, site, epoch))
        self._watch = Watch(devices, self._clock, self._stopwatch, setup.patience_s)
        self._connection.push_async_callback(self._watch.close)
        doubts = Doubts(config, epoch)
        self._loop = ControlLoop(
            self._limits, self._watch, devices.converters, self._audit, self._clock, self._states, doubts
        )

    async def _release(self, within_s: float) -> Mapping[str, Outcome]:
        """Release all, again and again those of which it is not known that they are safe."""
        assert self._loop is not None
        last_round_s = self._stopwatch.monotonic_s() + within_s - WRITE_S
        outcomes = dict(await self._loop.release("stop"))
        while unsafe := sorted(name for name, outcome in outcomes.items() if outcome is not Outcome.VERIFIED):
            if self._stopwatch.monotonic_s() + RETRY_S > last_round_s:
                _log.error("not known to be safe, their leases end within 75 s: %s", ", ".join(unsafe))
                break
            await asyncio.sleep(RETRY_S)
            outcomes.update(await self._loop.release("stop", only=unsafe))
        return outcomes

    def _start_states(self) -> dict[str, NodeState]:
        """As the journal kept them, or with the state of charge that the plan has now."""
        kept, planned = self.memory.states(), self.desk.soc_at(self._clock.now())
        return {
            name: kept.get(name) or NodeState.start(limits.battery, planned.get(name))
            for name, limits in self._limits.items()
        }


def _taken_over(cycle: Cycle) -> str:
    """Whose converters another writer has taken; empty if none."""
    return ", ".join(f"{n}: {doubt.text}" for n, doubt in cycle.doubts.items() if doubt.kind is DoubtKind.OVERTAKEN)


def node_limits(config: Config) -> dict[str, NodeLimits]:
    """What does not change, of every prosumer with a converter."""
    converters = {device.name: device for device in config.devices if isinstance(device, Converter)}
    return {
        p.name: NodeLimits(
            converter=p.converter,
            battery=p.battery.battery() if p.battery else None,
            s_max_kva=converters[p.converter].s_max_kva,
            ramp_kva_per_s=converters[p.converter].ramp_kva_per_s,
            cycle_s=config.schedule.realtime_s,
        )
        for p in config.prosumers
        if p.converter
    }
