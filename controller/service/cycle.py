"""One 30 s cycle over the sockets: read all, decide (:func:`realtime.cycle.decide`), write all, read back."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from controller.record.audit import Attempt
from controller.service.days import Day
from controller.service.doubts import Doubts
from controller.service.overrides import PLAN_ID
from controller.service.plans import Plans
from controller.service.watch import Image, Watch
from controller.service.writer import Writer
from core.devices import Outcome
from realtime.cycle import Decided, Remembered, SafeSince, Wanted, decide, settled
from realtime.doubt import Doubt
from realtime.node import NodeLimits, NodeState
from realtime.override import Override, standing
from realtime.shares import by_prosumer
from realtime.timing import CYCLE_DEADLINE_S
from realtime.tracker import Amounts

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cycle:
    """What happened; ``amounts`` by prosumer. By device: ``outcomes`` (only of what was written), what is left of the
    leases of verified setpoints, ``doubts`` that stand, ``overrides`` in force.
    """

    at: datetime
    image: Image
    amounts: Mapping[str, Amounts]
    result: Decided
    outcomes: Mapping[str, Outcome]
    lease_s: Mapping[str, float]
    doubts: Mapping[str, Doubt]
    overrides: Mapping[str, Override]


@dataclass(frozen=True)
class Start:
    """What a loop begins with, by converter: what is remembered, and who was released by the guardian."""

    states: Mapping[str, NodeState]
    released: Mapping[str, SafeSince]


class ControlLoop:
    """Memory of the 30 s layer between cycles.

    Args:
        limits: of every converter, by name.
        writer: with nothing that may be written (MONITOR) everything is decided and nothing done.

    Attributes:
        state: what is remembered, by converter.
        overrides: what an operator wants of converters, by name, while it lasts.
    """

    def __init__(
        self, limits: Mapping[str, NodeLimits], watch: Watch, writer: Writer, doubts: Doubts, start: Start
    ) -> None:
        self.state = dict(start.states)
        self.overrides: dict[str, Override] = {}
        self._limits, self._released = limits, start.released
        self._watch, self._writer, self._doubts = watch, writer, doubts

    async def run(self, day: Day, plans: Plans) -> Cycle:
        """One cycle.

        Raises:
            RecordError: the audit trail cannot be written, so no device was.
        """
        await self._watch.poll()
        image = self._watch.image()
        at, at_s = image.snapshot.at, image.snapshot.monotonic_s
        plans = plans.turned(at)
        self.overrides = standing(self.overrides, at_s)
        wanted = Wanted(
            amounts=day.amounts(at),
            targets={name: plans.targets(name, at, at_s) for name in by_prosumer(self._limits)},
            overrides=self.overrides,
            doubts=self._doubts.after(image),
            write=bool(self._writer.devices),
        )
        before = Remembered(self.state, self._writer.accepted_s, self._released)
        decided = decide(image.snapshot, wanted, before, self._limits)
        outcomes = await self._write(at, decided, plans, at_s + CYCLE_DEADLINE_S)
        self.state = settled(decided, self.state, outcomes)
        in_force = self.overrides if wanted.write else {}
        leases_s = self._writer.leases_s()
        return Cycle(at, image, wanted.amounts, decided, outcomes, leases_s, wanted.doubts, in_force)

    def halt(self) -> None:
        """No setpoint leaves any more, not even one that is under way: all that is left to do is to release."""
        self._writer.halt()

    async def release(self, reason: str, only: Collection[str] | None = None) -> Mapping[str, Outcome]:
        """Put converters (all, or those of ``only``) into their own safe state and read it back, on record or not."""
        names = self._writer.devices if only is None else only
        self.state = {n: replace(state, sent=None) if n in names else state for n, state in self.state.items()}
        return await self._writer.release(reason, names)

    async def _write(self, at: datetime, decided: Decided, plans: Plans, by_s: float) -> Mapping[str, Outcome]:
        attempts = {
            name: Attempt(name, None, None, f"{doubt.kind}: {doubt.text}", "")
            for name, doubt in decided.releases.items()
        }
        setpoints = {}
        for name, result in decided.writes.items():
            setpoint, reason = result.setpoint, " ".join((result.rung, result.source, *result.reasons))
            plan_id = PLAN_ID if name in self.overrides else plans.id_of(result.source)
            if setpoint is None:
                _log.error("%s: released: %s", name, result.error)
                attempts[name] = Attempt(name, None, None, reason, plan_id)
            else:
                setpoints[name] = setpoint
                attempts[name] = Attempt(name, setpoint.p_kw, setpoint.q_kvar, reason, plan_id)
        return await self._writer.write(at, attempts, setpoints, by_s)
