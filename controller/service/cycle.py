"""One cycle over the sockets: read all, decide (:func:`realtime.cycle.decide`), write all, read back."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from controller.process.failures import RecordError
from controller.record.audit import Attempt
from controller.service.days import Day
from controller.service.doubts import Doubts
from controller.service.metered_nodes import MeteredNodes
from controller.service.meters import BelievedImage, MeterDoubts
from controller.service.overrides import PLAN_ID
from controller.service.plans import Plans
from controller.service.watch import Image, Watch
from controller.service.writer import Writer
from core.devices import Outcome
from realtime.cycle import CycleDecision, CycleInputs, CycleMemory, GuardianRelease, decide, next_states
from realtime.doubt import Doubt
from realtime.houses import HouseDemand
from realtime.node import NodeLimits, NodeState
from realtime.override import Override, standing
from realtime.shares import converters_by_prosumer
from realtime.timing import CYCLE_DEADLINE_S
from realtime.tracker import LoadAndPv, Target

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ObservedHouse:
    """A passive house in a cycle: what it draws, and what the plan expected of it; None without a plan."""

    demand: HouseDemand
    target: Target | None


@dataclass(frozen=True)
class Cycle:
    """Inputs and results of a cycle.

    Attributes:
        amounts: load and PV, by prosumer; of a passive house its measured net demand as load.
        outcomes: of the writes, by device; only of what was written.
        lease_s: remaining time of the leases of verified setpoints, by device.
        doubts, overrides: those that stand, by device.
        houses: passive houses, by prosumer.
        believed: the image without readings that are not believed; everything was decided by it.
    """

    at: datetime
    believed: BelievedImage
    amounts: Mapping[str, LoadAndPv]
    result: CycleDecision
    outcomes: Mapping[str, Outcome]
    lease_s: Mapping[str, float]
    doubts: Mapping[str, Doubt]
    overrides: Mapping[str, Override]
    houses: Mapping[str, ObservedHouse]

    @property
    def image(self) -> Image:
        """The image that is believed."""
        return self.believed.image

    @property
    def other_writers(self) -> str:
        """Converters of which another writer makes the service give way; empty if none."""
        return ", ".join(f"{name}: {doubt.text}" for name, doubt in self.doubts.items() if doubt.kind.yields)


@dataclass(frozen=True)
class Start:
    """Initial state of a loop: states and releases by the guardian, by converter, and what is known of the meters."""

    states: Mapping[str, NodeState]
    released: Mapping[str, GuardianRelease]
    meters: MeterDoubts


class ControlLoop:
    """State of the real-time layer between cycles.

    Args:
        limits: of every converter, by name.
        writer: if it may write nothing (MONITOR), everything is decided and nothing done.

    Attributes:
        state: states by converter.
        overrides: an operator's overrides of converters, by name.
    """

    def __init__(
        self,
        limits: Mapping[str, NodeLimits],
        watch: Watch,
        writer: Writer,
        doubts: Doubts,
        nodes: MeteredNodes,
        start: Start,
    ) -> None:
        self.state = dict(start.states)
        self.overrides: dict[str, Override] = {}
        self._limits, self._released = limits, start.released
        self._watch, self._writer, self._doubts, self._nodes = watch, writer, doubts, nodes
        self._meters = start.meters

    async def run(self, day: Day, plans: Plans) -> Cycle:
        """Run one cycle.

        Raises:
            RecordError: the audit trail was not written in time, so no setpoint was sent.
        """
        await self._watch.poll()
        believed = self._meters.after(self._watch.image())
        image = believed.image
        at, at_s = image.snapshot.at, image.snapshot.monotonic_s
        plans = plans.advanced_to(at)
        self.overrides = standing(self.overrides, at_s)
        inputs = CycleInputs(
            amounts=day.amounts(at),
            targets={name: plans.targets(name, at, at_s) for name in converters_by_prosumer(self._limits)},
            overrides=self.overrides,
            doubts=self._doubts.after(image),
            voltages_pu=self._nodes.voltages.seen(image),
            write=bool(self._writer.devices),
        )
        before = CycleMemory(self.state, self._writer.accepted_s, self._released)
        decided = decide(image.snapshot, inputs, before, self._limits)
        outcomes = await self._write(at, decided, plans, at_s + CYCLE_DEADLINE_S)
        self.state = next_states(decided, self.state, outcomes)
        in_force = self.overrides if inputs.write else {}
        houses = {
            name: ObservedHouse(demand, plans.targets(name, at, at_s).newest)
            for name, demand in self._nodes.houses.seen(image, day).items()
        }
        amounts = {**inputs.amounts, **_measured(houses)}
        doubts = {**inputs.doubts, **self._doubts.interfering}
        return Cycle(at, believed, amounts, decided, outcomes, self._writer.leases_s(), doubts, in_force, houses)

    def halt(self) -> None:
        """Stop sending setpoints, also those in progress; only releases are possible from now on."""
        self._writer.halt()

    def leave(self, names: Collection[str]) -> None:
        """Leave these converters to another writer."""
        self._writer.leave(names)

    async def release(self, reason: str, only: Collection[str] | None = None) -> Mapping[str, Outcome]:
        """Put converters (all, or those of ``only``) into their own safe state and read it back, with or without a
        record.
        """
        names = self._writer.devices if only is None else only
        self._forget_sent(names)
        return await self._writer.release(reason, names)

    def _forget_sent(self, names: Collection[str]) -> None:
        """After a release nothing that was sent before may stand in for a read-back."""
        self.state = {n: replace(state, sent=None) if n in names else state for n, state in self.state.items()}

    async def _write(self, at: datetime, decided: CycleDecision, plans: Plans, by_s: float) -> Mapping[str, Outcome]:
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
        try:
            return await self._writer.write(at, attempts, setpoints, by_s)
        except RecordError:  # whatever has no setpoint was released all the same
            self._forget_sent(attempts.keys() - setpoints.keys())
            raise


def _measured(houses: Mapping[str, ObservedHouse]) -> Mapping[str, LoadAndPv]:
    """Those that were measured, as loads."""
    demands = {name: house.demand for name, house in houses.items() if house.demand.measured}
    return {name: LoadAndPv(demand.power.p_kw, demand.power.q_kvar, 0.0) for name, demand in demands.items()}
