"""One 30 s cycle over the sockets: read all, decide (:mod:`realtime`), write all, read back."""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from controller.process.failures import RecordError
from controller.process.heartbeat import Released
from controller.record.audit import Attempt, AuditTrail
from controller.service import overrides
from controller.service.days import Day
from controller.service.doubts import Doubt, DoubtKind, Doubts
from controller.service.overrides import Override
from controller.service.plans import Plans
from controller.service.watch import Image, Watch
from core.devices import Converter, ConverterStatus, OperatingState, Outcome, Setpoint
from core.time import Clock
from realtime import cycle as decision
from realtime.cycle import CycleResult
from realtime.node import Held, NodeLimits, NodeNow, NodeResult, NodeState, PlanTargets
from realtime.plane import ZERO, Power
from realtime.timing import CYCLE_DEADLINE_S, WRITE_S
from realtime.tracker import Amounts

_log = logging.getLogger(__name__)

AT_THE_PANEL = (OperatingState.OFF, OperatingState.LOCAL, OperatingState.FAULT)
"""Somebody there has it, or nobody: nothing is written until it is given back."""


@dataclass(frozen=True)
class Cycle:
    """What happened; ``amounts`` by prosumer. By device: ``outcomes`` (only of what was written), what is left of the
    leases of verified setpoints, ``doubts`` that stand, ``overrides`` in force.
    """

    at: datetime
    image: Image
    amounts: Mapping[str, Amounts]
    result: CycleResult
    outcomes: Mapping[str, Outcome]
    lease_s: Mapping[str, float]
    doubts: Mapping[str, Doubt]
    overrides: Mapping[str, Override]


class ControlLoop:
    """Memory of the 30 s layer between cycles.

    Args:
        limits: of every prosumer with a converter, by name.
        converters: those that may be written; empty in MONITOR, where everything is decided and nothing done.
        state: what prosumers remember, from a journal or fresh.
        released: converters that the guardian has put into their safe state, by name.

    Attributes:
        overrides: what an operator wants of converters, by name, while it lasts.
    """

    def __init__(
        self,
        limits: Mapping[str, NodeLimits],
        watch: Watch,
        converters: Mapping[str, Converter],
        audit: AuditTrail,
        clock: Clock,
        state: Mapping[str, NodeState],
        doubts: Doubts,
        released: Mapping[str, Released],
    ) -> None:
        self.state = dict(state)
        self.overrides: dict[str, Override] = {}
        self._doubts, self._released = doubts, released
        self._halted, self._write_by_s = False, 0.0
        self._telling: set[asyncio.Task[Outcome]] = set()
        self._limits, self._watch, self._converters = limits, watch, converters
        self._audit, self._clock = audit, clock
        self._accepted_s: dict[str, float] = {}
        self._lease_ends_s: dict[str, float] = {}

    async def run(self, day: Day, plans: Plans) -> Cycle:
        """One cycle.

        Raises:
            RecordError: the audit trail cannot be written, so no device was.
        """
        await self._watch.poll()
        image = self._watch.image()
        at, at_s = image.snapshot.at, image.snapshot.monotonic_s
        self._write_by_s = at_s + CYCLE_DEADLINE_S
        plans = plans.turned(at)
        amounts, doubts = day.amounts(at), self._doubts.after(image)
        self.overrides = overrides.standing(self.overrides, at_s)
        nodes = {
            name: self._now(node.converter, image, amounts.get(name), doubts) for name, node in self._limits.items()
        }
        targets = {name: self._targets(name, plans, at, at_s) for name in self._limits}
        result = decision.step(image.snapshot, nodes, targets, self.state, self._limits)
        if not self._converters:
            self.state = {name: replace(state, in_force=None, sent=None) for name, state in result.state.items()}
            return Cycle(at, image, amounts, result, {}, {}, doubts, {})
        decided = {node.converter: result.nodes[name] for name, node in self._limits.items() if not nodes[name].stop}
        yields = any(doubt.kind is DoubtKind.OVERTAKEN for doubt in doubts.values())
        outcomes = await self._write(at, {} if yields else decided, _to_release(doubts, image), plans)
        settled = {**dict.fromkeys(decided if yields else (), Outcome.REJECTED), **outcomes}
        self.state = {
            name: self._settled(state, self.state.get(name), settled.get(self._limits[name].converter))
            for name, state in result.state.items()
        }
        return Cycle(at, image, amounts, result, outcomes, self._leases_s(), doubts, self.overrides)

    def halt(self) -> None:
        """No setpoint leaves any more, not even one that is under way: all that is left to do is to release."""
        self._halted = True
        for task in self._telling:
            task.cancel()

    async def release(self, reason: str, only: Collection[str] | None = None) -> Mapping[str, Outcome]:
        """Put converters (all, or those of ``only``) into their own safe state and read it back.

        This is done even where it cannot be audited: it is what nobody must be kept from.
        """
        names = self._converters if only is None else only
        self.state = {
            name: replace(state, sent=None) if self._limits[name].converter in names else state
            for name, state in self.state.items()
        }
        attempts = {name: Attempt(name, None, None, reason, "") for name in names}
        try:
            return await self._attempt(self._clock.now(), attempts, {})
        except RecordError as error:
            _log.error("released without a record: %s", error)
            return await self._tell_all(names, {})

    def _targets(self, name: str, plans: Plans, at: datetime, at_s: float) -> PlanTargets:
        override = self.overrides.get(self._limits[name].converter)
        return override.targets if override else plans.targets(name, at, at_s)

    def _now(self, converter: str, image: Image, amounts: Amounts | None, doubts: Mapping[str, Doubt]) -> NodeNow:
        status, polls = image.snapshot.statuses.get(converter), image.snapshot.polls.get(converter, 0)
        if status is None:
            return NodeNow(amounts, polls=polls, stop=converter in doubts)
        return NodeNow(
            amounts,
            held=_held(status, self._since_s(converter, status)),
            s_max_kva=status.s_max_kva,
            operated=status.state in (None, OperatingState.REMOTE),
            polls=polls,
            stop=converter in doubts or status.state in AT_THE_PANEL,
        )

    def _since_s(self, converter: str, status: ConverterStatus) -> float | None:
        """When it accepted what it holds: from us, or from the guardian if nobody has written since; else unknown."""
        released = self._released.get(converter)
        if converter in self._accepted_s or released is None:
            return self._accepted_s.get(converter)
        untouched = status.state is OperatingState.SAFE and status.writer_epoch == released.epoch
        return released.monotonic_s if untouched else None

    async def _write(
        self, at: datetime, decided_for: Mapping[str, NodeResult], released: Mapping[str, Doubt], plans: Plans
    ) -> Mapping[str, Outcome]:
        attempts = {
            name: Attempt(name, None, None, f"{doubt.kind}: {doubt.text}", "") for name, doubt in released.items()
        }
        setpoints = {}
        for name, result in decided_for.items():
            setpoint, reason = result.setpoint, " ".join((result.rung, result.source, *result.reasons))
            plan_id = overrides.PLAN_ID if name in self.overrides else plans.id_of(result.source)
            if setpoint is None:
                _log.error("%s: released: %s", name, result.error)
                attempts[name] = Attempt(name, None, None, reason, plan_id)
            else:
                setpoints[name] = setpoint
                attempts[name] = Attempt(name, setpoint.p_kw, setpoint.q_kvar, reason, plan_id)
        return await self._attempt(at, attempts, setpoints)

    async def _attempt(
        self, at: datetime, attempts: Mapping[str, Attempt], setpoints: Mapping[str, Setpoint]
    ) -> Mapping[str, Outcome]:
        """Nothing is sent before it is on record; a device without a setpoint is released."""
        if not attempts:
            return {}
        numbers = self._audit.begin(at, list(attempts.values()))
        outcomes = await self._tell_all(attempts, setpoints)
        try:
            self._audit.complete(at, dict(zip(numbers, outcomes.values(), strict=True)))
        except RecordError as error:
            _log.error("written, but what became of it is not on record: %s", error)
        return outcomes

    async def _tell_all(self, names: Collection[str], setpoints: Mapping[str, Setpoint]) -> dict[str, Outcome]:
        """All at once; a device that takes too long delays no other."""
        tasks = {name: asyncio.create_task(self._tell(name, setpoints.get(name))) for name in names}
        self._telling.update(task for name, task in tasks.items() if name in setpoints)
        try:
            await asyncio.wait(tasks.values(), timeout=WRITE_S)
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)
            self._telling.difference_update(tasks.values())
        outcomes = {name: Outcome.UNKNOWN if task.cancelled() else task.result() for name, task in tasks.items()}
        self._doubts.wrote(setpoints, outcomes)
        now_s = self._clock.monotonic_s()
        self._accepted_s.update({name: now_s for name, outcome in outcomes.items() if outcome is not Outcome.REJECTED})
        verified = {name for name, outcome in outcomes.items() if outcome is Outcome.VERIFIED}
        self._lease_ends_s.update({name: now_s + setpoints[name].lease_s for name in verified & setpoints.keys()})
        for name in verified - setpoints.keys():
            self._lease_ends_s.pop(name, None)
        return outcomes

    def _leases_s(self) -> Mapping[str, float]:
        """What is left of the leases that devices are known to hold."""
        now_s = self._clock.monotonic_s()
        return {name: end_s - now_s for name, end_s in self._lease_ends_s.items() if end_s > now_s}

    async def _tell(self, name: str, setpoint: Setpoint | None) -> Outcome:
        converter = self._converters[name]
        if setpoint is not None and (self._halted or self._clock.monotonic_s() > self._write_by_s):
            return Outcome.REJECTED  # a process that stood still must not act on what it saw before
        try:
            return await (converter.release() if setpoint is None else converter.write(setpoint))
        except Exception:  # a defect of one driver must not lose what is known of the others
            _log.exception("%s: write failed", name)
            return Outcome.UNKNOWN

    @staticmethod
    def _settled(state: NodeState, before: NodeState | None, outcome: Outcome | None) -> NodeState:
        """What the device refused is not in force: it goes on as before."""
        if outcome is not Outcome.REJECTED or before is None:
            return state
        return replace(state, in_force=before.in_force, sent=before.sent)


def _to_release(doubts: Mapping[str, Doubt], image: Image) -> Mapping[str, Doubt]:
    """What is doubted and may still follow a setpoint; what another writer has taken is that one's."""
    safe = {name for name, status in image.snapshot.statuses.items() if status.state not in (None, OperatingState.REMOTE)}
    return {n: doubt for n, doubt in doubts.items() if doubt.kind is not DoubtKind.OVERTAKEN and n not in safe}


def _held(status: ConverterStatus, since_s: float | None) -> Held | None:
    """A device in its safe state may still show the setpoint that it no longer follows."""
    if status.state is OperatingState.SAFE:
        return Held(ZERO, since_s)
    if status.p_setpoint_kw is None or status.q_setpoint_kvar is None:
        return None
    return Held(Power(status.p_setpoint_kw, status.q_setpoint_kvar), since_s)
