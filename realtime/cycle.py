"""One 30 s cycle between its reading and its writing: the decision, as one pure function.

    read      outside: one :class:`core.devices.Snapshot` of all devices
    decide    each converter's share (:mod:`realtime.shares`) → its chain (:mod:`realtime.chain`)
              → which are written or released
    write     outside
    settled   what is remembered once it is known what became of the writes

No socket and no clock: whoever calls it brings the snapshot, and carries out what is decided. A chain sees nothing of
the others', and if it raises, only its own device is released.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from core.devices import ConverterStatus, OperatingState, Outcome, Snapshot
from realtime.chain import step_node
from realtime.doubt import Doubt, DoubtKind
from realtime.fallback import START, Rung, Source
from realtime.node import Held, NodeLimits, NodeNow, NodeResult, NodeState, PlanTargets
from realtime.override import Override
from realtime.plane import ZERO, Power
from realtime.reasons import Reason
from realtime.shares import by_prosumer, result_of
from realtime.tracker import Amounts

AT_THE_PANEL = (OperatingState.OFF, OperatingState.LOCAL, OperatingState.FAULT)
"""Somebody there has it, or nobody: nothing is written until it is given back."""
FOLLOWING = (None, OperatingState.REMOTE)
"""A device that follows setpoints, or may: it does not tell."""


@dataclass(frozen=True)
class Wanted:
    """What is wanted of the devices in a cycle, and what speaks against it.

    Attributes:
        amounts: load and available PV, by prosumer.
        targets: what the plans want, by prosumer.
        overrides: what operators want in place of it, by converter.
        doubts: converters that are not believed, by name.
        write: False where nothing may be written; all is decided then, and nothing done.
    """

    amounts: Mapping[str, Amounts] = field(default_factory=dict)
    targets: Mapping[str, PlanTargets] = field(default_factory=dict)
    overrides: Mapping[str, Override] = field(default_factory=dict)
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    write: bool = True


@dataclass(frozen=True)
class SafeSince:
    """The guardian has released a converter: at this monotonic time, as the writer of this epoch."""

    at_s: float
    epoch: int


@dataclass(frozen=True)
class Remembered:
    """What goes from one cycle to the next, by converter; times are monotonic.

    Attributes:
        states: who is missing begins.
        accepted_s: when converters last accepted something of ours.
        released: converters that the guardian has released.
    """

    states: Mapping[str, NodeState] = field(default_factory=dict)
    accepted_s: Mapping[str, float] = field(default_factory=dict)
    released: Mapping[str, SafeSince] = field(default_factory=dict)


@dataclass(frozen=True)
class Decided:
    """What a cycle has decided.

    Attributes:
        nodes: by prosumer.
        states: what is remembered if every device does as it is told, by converter.
        writes: converters to be written, by name; one whose setpoint is None is to be released.
        releases: converters to be released because they are doubted, by name.
        withheld: converters for which all is decided, but which nobody writes as another writer is at work.
    """

    nodes: Mapping[str, NodeResult]
    states: Mapping[str, NodeState]
    writes: Mapping[str, NodeResult] = field(default_factory=dict)
    releases: Mapping[str, Doubt] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()


def decide(snapshot: Snapshot, wanted: Wanted, before: Remembered, limits: Mapping[str, NodeLimits]) -> Decided:
    """Decide for every converter of ``limits``, by name; whatever is missing from the other mappings is unknown."""
    results, states, stopped = {}, {}, set()
    for name, node in limits.items():
        now = _now(name, node, snapshot, wanted, before)
        state = before.states.get(name) or NodeState.start(node.battery)
        reading, targets = snapshot.measurements.get(name), _targets(name, node, wanted)
        try:
            results[name], states[name] = step_node(snapshot.monotonic_s, reading, now, targets, state, node)
        except Exception as error:  # a fault in one chain must not reach the others
            results[name], states[name] = _failed(error), replace(state, ladder=START)
        stopped |= {name} if now.stop else set()
    nodes = {prosumer: result_of(names, results, limits) for prosumer, names in by_prosumer(limits).items()}
    if not wanted.write:
        return Decided(nodes, {name: replace(state, in_force=None, sent=None) for name, state in states.items()})
    writes = {name: result for name, result in results.items() if name not in stopped}
    releases = _to_release(snapshot, wanted.doubts)
    if any(doubt.kind is DoubtKind.OVERTAKEN for doubt in wanted.doubts.values()):
        return Decided(nodes, states, releases=releases, withheld=frozenset(writes))
    return Decided(nodes, states, writes, releases)


def settled(decided: Decided, before: Mapping[str, NodeState], outcomes: Mapping[str, Outcome]) -> dict[str, NodeState]:
    """What is remembered once the outcomes of the writes are known, by converter.

    What a device refused, or nobody sent, is not in force: it goes on as ``before``.
    """
    refused = {name for name, outcome in outcomes.items() if outcome is Outcome.REJECTED} | decided.withheld
    return {
        name: replace(state, in_force=was.in_force, sent=was.sent)
        if name in refused and (was := before.get(name))
        else state
        for name, state in decided.states.items()
    }


def _targets(name: str, node: NodeLimits, wanted: Wanted) -> PlanTargets:
    """What an operator wants of this very converter, else its share of what the plans want."""
    override = wanted.overrides.get(name)
    return override.targets if override else wanted.targets.get(node.prosumer, PlanTargets()).scaled(node.share)


def _now(name: str, node: NodeLimits, snapshot: Snapshot, wanted: Wanted, before: Remembered) -> NodeNow:
    """What is known of a converter beside its reading."""
    status, polls = snapshot.statuses.get(name), snapshot.polls.get(name, 0)
    amounts, doubted = wanted.amounts.get(node.prosumer), name in wanted.doubts
    amounts = amounts.scaled(node.share) if amounts else None
    if status is None:
        return NodeNow(amounts, polls=polls, stop=doubted)
    return NodeNow(
        amounts,
        held=_held(status, _since_s(name, status, before)),
        s_max_kva=status.s_max_kva,
        operated=status.state in FOLLOWING,
        polls=polls,
        stop=doubted or status.state in AT_THE_PANEL,
    )


def _held(status: ConverterStatus, since_s: float | None) -> Held | None:
    """A device in its safe state may still show the setpoint that it no longer follows."""
    if status.state is OperatingState.SAFE:
        return Held(ZERO, since_s)
    if status.p_setpoint_kw is None or status.q_setpoint_kvar is None:
        return None
    return Held(Power(status.p_setpoint_kw, status.q_setpoint_kvar), since_s)


def _since_s(converter: str, status: ConverterStatus, before: Remembered) -> float | None:
    """When it accepted what it holds: from us, or from the guardian if nobody has written since; else unknown."""
    released = before.released.get(converter)
    if converter in before.accepted_s or released is None:
        return before.accepted_s.get(converter)
    untouched = status.state is OperatingState.SAFE and status.writer_epoch == released.epoch
    return released.at_s if untouched else None


def _to_release(snapshot: Snapshot, doubts: Mapping[str, Doubt]) -> Mapping[str, Doubt]:
    """What is doubted and may still follow a setpoint; what another writer has taken is that one's."""
    safe = {name for name, status in snapshot.statuses.items() if status.state not in FOLLOWING}
    return {n: doubt for n, doubt in doubts.items() if doubt.kind is not DoubtKind.OVERTAKEN and n not in safe}


def _failed(error: Exception) -> NodeResult:
    message = f"{type(error).__name__}: {error}"
    return NodeResult(None, Rung.SAFE, Source.NONE, (Reason.CHAIN_FAILED,), error=message)
