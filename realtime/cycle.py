"""One 30 s cycle of all prosumers. Pure composition of their chains (:mod:`realtime.chain`).

Each chain sees nothing of the others', and if it raises, only its own device is released.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from core.devices import Snapshot
from realtime.chain import step_node
from realtime.fallback import START, Rung, Source
from realtime.node import NodeLimits, NodeNow, NodeResult, NodeState, PlanTargets
from realtime.reasons import Reason


@dataclass(frozen=True)
class CycleResult:
    """Decisions and memory of all prosumers, by name."""

    nodes: Mapping[str, NodeResult]
    state: Mapping[str, NodeState]


def step(
    snapshot: Snapshot,
    nodes: Mapping[str, NodeNow],
    targets: Mapping[str, PlanTargets],
    state: Mapping[str, NodeState],
    limits: Mapping[str, NodeLimits],
) -> CycleResult:
    """Decide for every prosumer of ``limits``; whatever is missing from the other mappings is unknown."""
    results, states = {}, {}
    for name, node in limits.items():
        before = state.get(name) or NodeState.start(node.battery)
        try:
            reading = snapshot.measurements.get(node.converter)
            now, wanted = nodes.get(name, NodeNow()), targets.get(name, PlanTargets())
            results[name], states[name] = step_node(snapshot.monotonic_s, reading, now, wanted, before, node)
        except Exception as error:  # a fault in one chain must not reach the others
            results[name] = _failed(error)
            states[name] = replace(before, ladder=START)
    return CycleResult(results, states)


def _failed(error: Exception) -> NodeResult:
    message = f"{type(error).__name__}: {error}"
    return NodeResult(None, Rung.SAFE, Source.NONE, (Reason.CHAIN_FAILED,), error=message)
