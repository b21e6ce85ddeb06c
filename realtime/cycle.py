"""The decision of one cycle, between its reading and its writing, as a pure function.

    read      outside: one :class:`core.devices.Snapshot` of all devices
    decide    each converter's chain (:mod:`realtime.chain`), that of several of one prosumer together
              (:mod:`realtime.several`) → which are written or released
    write     outside
    next      states for the next cycle, when the outcomes of the writes are known (:func:`next_states`)

No socket and no clock: the caller provides the snapshot and executes the decision. Prosumers are independent of each
other, and so are the chains of one prosumer's converters: if one raises an exception, only its own device is released.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

from core.devices import ConverterStatus, OperatingState, Outcome, Snapshot
from realtime.chain import step_node
from realtime.doubt import HELD_TOLERANCE_KVA, Doubt
from realtime.node import DeviceSetpoint, NodeLimits, NodeNow, NodeResult, NodeState, PlanTargets
from realtime.override import Override
from realtime.plane import ZERO, Power
from realtime.several import NodeInputs, Stepped, chain_failed, step_several
from realtime.shares import converters_by_prosumer, prosumer_result
from realtime.tracker import LoadAndPv

AT_THE_PANEL = (OperatingState.OFF, OperatingState.LOCAL, OperatingState.FAULT)
"""Under local control or without power: nothing is written until the device is given back."""
FOLLOWING = (None, OperatingState.REMOTE)
"""A device that follows setpoints, or may since it does not report its state."""


@dataclass(frozen=True)
class CycleInputs:
    """Inputs of a cycle besides the snapshot.

    Attributes:
        amounts: load and available PV, by prosumer.
        targets: of the plans, by prosumer.
        overrides: of operators, which replace the plans' targets, by converter.
        doubts: converters in doubt, by name.
        voltages_pu: as measured at present at the node of a converter, by its name; none that is in doubt.
        write: False if nothing may be written; then everything is decided, and nothing done.
    """

    amounts: Mapping[str, LoadAndPv] = field(default_factory=dict)
    targets: Mapping[str, PlanTargets] = field(default_factory=dict)
    overrides: Mapping[str, Override] = field(default_factory=dict)
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    voltages_pu: Mapping[str, float] = field(default_factory=dict)
    write: bool = True


@dataclass(frozen=True)
class GuardianRelease:
    """Release of a converter by the guardian: its monotonic time, and the epoch with which it wrote."""

    at_s: float
    epoch: int


@dataclass(frozen=True)
class CycleMemory:
    """State from earlier cycles, by converter; times are monotonic.

    Attributes:
        states: a converter without an entry starts.
        accepted_s: when converters last accepted a write of ours.
        released: converters that the guardian has released.
    """

    states: Mapping[str, NodeState] = field(default_factory=dict)
    accepted_s: Mapping[str, float] = field(default_factory=dict)
    released: Mapping[str, GuardianRelease] = field(default_factory=dict)


@dataclass(frozen=True)
class CycleDecision:
    """Decision of a cycle.

    Attributes:
        nodes: by prosumer.
        states: for the next cycle if every device does as commanded, by converter.
        writes: converters to be written, by name; one whose setpoint is None is to be released.
        releases: converters to be released because they are in doubt, by name.
        withheld: converters that are decided but not written, since another writer is active, or, unless they are to
            be released, since nobody knows what they hold: this process has neither read it nor written it, and what a
            predecessor has sent may never have arrived.
    """

    nodes: Mapping[str, NodeResult]
    states: Mapping[str, NodeState]
    writes: Mapping[str, NodeResult] = field(default_factory=dict)
    releases: Mapping[str, Doubt] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()


def decide(
    snapshot: Snapshot, inputs: CycleInputs, before: CycleMemory, limits: Mapping[str, NodeLimits]
) -> CycleDecision:
    """Decide for every converter of ``limits``, by name; entries missing in the other mappings are unknown."""
    inputs_of = {name: _inputs(name, node, snapshot, inputs, before) for name, node in limits.items()}
    owned = converters_by_prosumer(limits)
    stepped = {name: one for names in owned.values() for name, one in _stepped(snapshot, names, inputs_of).items()}
    results, states = {name: stepped[name][0] for name in limits}, {name: stepped[name][1] for name in limits}
    stopped = {name for name, one in inputs_of.items() if one.now.stop}
    nodes = {prosumer: prosumer_result(names, results, limits) for prosumer, names in owned.items()}
    if not inputs.write:
        return CycleDecision(nodes, {name: replace(state, in_force=None, sent=None) for name, state in states.items()})
    wanted, releases = results.keys() - stopped, _to_release(snapshot, inputs.doubts)
    yields = any(doubt.kind.yields for doubt in inputs.doubts.values())
    unknown = {name for name in wanted if results[name].setpoint and not _known(name, snapshot, before)}
    withheld = frozenset(wanted if yields else unknown)
    writes = {name: result for name, result in results.items() if name in wanted - withheld}
    return CycleDecision(nodes, states, writes, releases, withheld)


def next_states(
    decided: CycleDecision, before: Mapping[str, NodeState], outcomes: Mapping[str, Outcome]
) -> dict[str, NodeState]:
    """States for the next cycle, by converter, from the outcomes of the writes.

    A setpoint that a device refused, or that was not sent, is not in force: the state of ``before`` continues.
    """
    refused = {name for name, outcome in outcomes.items() if outcome is Outcome.REJECTED} | decided.withheld
    return {
        name: replace(state, in_force=was.in_force, sent=was.sent, correction=was.correction)
        if name in refused and (was := before.get(name))
        else state
        for name, state in decided.states.items()
    }


def _stepped(snapshot: Snapshot, names: Sequence[str], inputs: Mapping[str, NodeInputs]) -> Mapping[str, Stepped]:
    """The chains of one prosumer's converters."""
    if len(names) > 1:
        return step_several(snapshot.monotonic_s, {name: inputs[name] for name in names})
    (name,) = names
    one = inputs[name]
    try:
        return {name: step_node(snapshot.monotonic_s, one.reading, one.now, one.targets, one.state, one.node)}
    except Exception as error:  # a fault in one chain must not reach the others
        return {name: chain_failed(error, one.state)}


def _inputs(name: str, node: NodeLimits, snapshot: Snapshot, inputs: CycleInputs, before: CycleMemory) -> NodeInputs:
    """What a converter's chain starts from; an operator's target for it comes before those of its prosumer's plans."""
    override = inputs.overrides.get(name)
    targets = override.targets if override else inputs.targets.get(node.prosumer, PlanTargets())
    return NodeInputs(
        reading=snapshot.measurements.get(name),
        now=_now(name, node, snapshot, inputs, before),
        targets=targets,
        state=before.states.get(name) or NodeState.start(node.battery),
        node=node,
        own=override is not None,
    )


def _now(name: str, node: NodeLimits, snapshot: Snapshot, inputs: CycleInputs, before: CycleMemory) -> NodeNow:
    """Knowledge about a converter besides its reading."""
    status, polls = snapshot.statuses.get(name), snapshot.polls.get(name, 0)
    amounts, doubted = inputs.amounts.get(node.prosumer), name in inputs.doubts
    v_pu = inputs.voltages_pu.get(name)
    if status is None:
        return NodeNow(amounts, polls=polls, stop=doubted, v_pu=v_pu)
    return NodeNow(
        amounts,
        held=_held(status, _since_s(name, status, before)),
        s_max_kva=status.s_max_kva,
        operated=status.state in FOLLOWING,
        polls=polls,
        stop=doubted or status.state in AT_THE_PANEL,
        v_pu=v_pu,
    )


def _known(converter: str, snapshot: Snapshot, before: CycleMemory) -> bool:
    """Whether this process knows what the converter holds."""
    status = snapshot.statuses.get(converter)
    return converter in before.accepted_s or (status is not None and _held(status, None) is not None)


def _held(status: ConverterStatus, since_s: float | None) -> DeviceSetpoint | None:
    """The setpoint in the device, zero in its safe state: there it may still show one that it no longer follows."""
    if status.state is OperatingState.SAFE:
        return DeviceSetpoint(ZERO, since_s)
    if status.p_setpoint_kw is None or status.q_setpoint_kvar is None:
        return None
    return DeviceSetpoint(Power(status.p_setpoint_kw, status.q_setpoint_kvar), since_s)


def _since_s(converter: str, status: ConverterStatus, before: CycleMemory) -> float | None:
    """When it accepted its setpoint: from us, or from the guardian if nobody has written since; None is unknown."""
    released = before.released.get(converter)
    if converter in before.accepted_s or released is None:
        return before.accepted_s.get(converter) if _ours(status, before.states.get(converter)) else None
    untouched = status.state is OperatingState.SAFE and status.writer_epoch == released.epoch
    return released.at_s if untouched else None


def _ours(status: ConverterStatus, state: NodeState | None) -> bool:
    """Whether a converter that follows a setpoint follows our last one, and not a later one of somebody else."""
    held, sent = _held(status, None), state.sent if state else None
    if status.state not in FOLLOWING or held is None or sent is None:
        return True
    return held.power.distance_kva(sent) <= sqrt(2) * HELD_TOLERANCE_KVA


def _to_release(snapshot: Snapshot, doubts: Mapping[str, Doubt]) -> Mapping[str, Doubt]:
    """Converters in doubt that may still follow a setpoint; those of another writer are left to whoever yields."""
    safe = {name for name, status in snapshot.statuses.items() if status.state not in FOLLOWING}
    return {n: doubt for n, doubt in doubts.items() if not doubt.kind.yields and n not in safe}
