"""Aggregators between a grid operator and its prosumers: each has the nodes of one feeder, and limits of its power.

A feeder is a connected part of the grid below one node of its parent's, its *source*; the first line from there, which
carries its power, belongs to it. What no aggregator has belongs to the operator.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from core.errors import shown
from core.network import Network

OPERATOR = "operator"
"""Name of the grid operator among the aggregators: the parent of those without one."""


@dataclass(frozen=True)
class Feeder:
    """An aggregator: its parent (None: the operator), its own nodes, and limits of the power at its head, kW.

    Nodes of aggregators below it are theirs alone. The power at the head contains the losses of the feeder.
    """

    name: str
    parent: str | None
    nodes: tuple[str, ...]
    p_min_kw: float | None = None
    p_max_kw: float | None = None


class FeederFault(NamedTuple):
    """What is wrong with the feeder at ``place`` of a list, and the key of it that is at fault."""

    place: int
    key: str
    got: str
    allowed: str


def upstream(network: Network) -> dict[str, str]:
    """Node → its neighbour on the way to the slack; the slack has no entry."""
    ends = {line.name: line.ends for line in network.lines}
    found: dict[str, str] = {}
    for node, line in network.feeds.items():
        (found[node],) = ends[line] - {node}
    return found


def owners(feeders: Sequence[Feeder]) -> dict[str, str]:
    """Node → the aggregator that has it; a node of the operator has no entry."""
    return {node: feeder.name for feeder in feeders for node in feeder.nodes}


def feeder_faults(feeders: Sequence[Feeder], network: Network, prosumers: Mapping[str, str]) -> Iterator[FeederFault]:
    """Every fault of a hierarchy; none for what only follows from another. ``prosumers``: name → node."""
    found = [*_names(feeders, prosumers), *_parents(feeders), *_limits(feeders), *_nodes(feeders, network)]
    yield from found
    if not found:
        yield from _connected(feeders, network)
        yield from _empty(feeders, prosumers)


def _names(feeders: Sequence[Feeder], prosumers: Mapping[str, str]) -> Iterator[FeederFault]:
    seen = {OPERATOR, *prosumers}
    for k, feeder in enumerate(feeders):
        if feeder.name in seen:
            allowed = f"a name that no other aggregator or prosumer has, and not {OPERATOR}"
            yield FeederFault(k, "name", shown(feeder.name), allowed)
        seen.add(feeder.name)


def _parents(feeders: Sequence[Feeder]) -> Iterator[FeederFault]:
    parents = {feeder.name: feeder.parent for feeder in feeders}
    for k, feeder in enumerate(feeders):
        if feeder.parent is not None and feeder.parent not in parents:
            allowed = f"null, the operator, or an aggregator: {', '.join(parents)}"
            yield FeederFault(k, "parent", shown(feeder.parent), allowed)
        elif len(way := _way_up(feeder.name, parents)) > 1 and way[-1] == feeder.name == min(way):
            yield FeederFault(k, "parent", shown(feeder.parent), f"no loop of parents ({' → '.join(way)})")


def _way_up(name: str, parents: Mapping[str, str | None]) -> list[str]:
    """The aggregator and those above it, up to the first that comes twice."""
    way, at = [name], parents.get(name)
    while at is not None and at not in way:
        way.append(at)
        at = parents.get(at)
    return way if at is None else [*way, at]


def _limits(feeders: Sequence[Feeder]) -> Iterator[FeederFault]:
    for k, feeder in enumerate(feeders):
        low, high = feeder.p_min_kw, feeder.p_max_kw
        if low is not None and high is not None and low > high:
            yield FeederFault(k, "p_min_kw", f"{low:g}", f"at most p_max_kw, {high:g} kW")


def _nodes(feeders: Sequence[Feeder], network: Network) -> Iterator[FeederFault]:
    counts, owner = Counter(node for feeder in feeders for node in feeder.nodes), dict[str, str]()
    for k, feeder in enumerate(feeders):
        for i, node in enumerate(feeder.nodes):
            key = f"nodes[{i}]"
            if node not in network.nodes[1:]:
                allowed = f"a node of the grid other than the slack: {', '.join(network.nodes[1:])}"
                yield FeederFault(k, key, shown(node), allowed)
            elif counts[node] > 1 and owner.setdefault(node, feeder.name) != feeder.name:
                yield FeederFault(k, key, shown(node), f"a node that {owner[node]} does not have")
            elif node in feeder.nodes[:i]:
                yield FeederFault(k, key, shown(node), "each node once")


def _connected(feeders: Sequence[Feeder], network: Network) -> Iterator[FeederFault]:
    """A feeder begins below one node of its parent; nothing of the operator's lies below a feeder."""
    above, owner = upstream(network), owners(feeders)
    left = {owner[source]: f"not {node}, below {source}" for node, source in above.items()
            if node not in owner and source in owner}  # fmt: skip
    for k, feeder in enumerate(feeders):
        heads = [node for node in feeder.nodes if owner.get(above[node]) != feeder.name]
        parent = feeder.parent or OPERATOR
        if feeder.name in left:
            allowed = "all nodes below its own, or an aggregator of its own for them"
            yield FeederFault(k, "nodes", left[feeder.name], allowed)
        elif strangers := [node for node in heads if owner.get(above[node], OPERATOR) != parent]:
            got = ", ".join(f"{node} below {above[node]} of {owner.get(above[node], OPERATOR)}" for node in strangers)
            yield FeederFault(k, "nodes", got, f"nodes that are connected, below a node of the parent, {parent}")
        elif len({above[node] for node in heads}) > 1:
            got = ", ".join(f"{node} below {above[node]}" for node in heads)
            yield FeederFault(k, "nodes", got, f"nodes below one node of the parent, {parent}")


def _empty(feeders: Sequence[Feeder], prosumers: Mapping[str, str]) -> Iterator[FeederFault]:
    """Every aggregator has a prosumer, or an aggregator with one."""
    parents, owner = {feeder.name: feeder.parent for feeder in feeders}, owners(feeders)
    used = {name for node in prosumers.values() if node in owner for name in _way_up(owner[node], parents)}
    for k, feeder in enumerate(feeders):
        if feeder.name not in used:
            yield FeederFault(k, "nodes", ", ".join(feeder.nodes) or "none", "the node of at least one prosumer")
