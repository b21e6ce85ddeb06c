"""The grid cut into the part of each aggregator: a radial network of its own, with the head of the part as its slack.

A part contains the nodes of its aggregator and the lines that feed them; its head is the node above, which belongs to
the parent. For the parent, a child aggregator is one demand at that node. This loses nothing: given the voltage at its
head, the power flow of a part depends on nothing else, and given the power at the heads of its children, that of the
parent does not depend on what is behind them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from core.arrays import FloatArray
from core.feeders import OPERATOR, Feeder, owners, upstream
from core.hierarchy import Branch, Hierarchy
from core.network import Line, Network
from core.problem import Problem
from mpc.grid.power_flow import Flow, PowerFlow


@dataclass(frozen=True)
class Region:
    """The part of one branch.

    Attributes:
        problem: network and children of the part, its slack being the head; ``nodes`` has the child branches first,
            then the prosumers. Limits of power at the slack are the operator's, as well as the slack's voltage.
        feeder: None for the operator.
        branches: child branches.
    """

    problem: Problem
    feeder: Feeder | None
    branches: tuple[str, ...]

    @property
    def children(self) -> tuple[str, ...]:
        """Child branches, then prosumers."""
        return tuple(self.problem.nodes)


def hierarchy_of(problem: Problem) -> Hierarchy:
    """The operator as the root, the feeders below it, and the prosumers at their nodes."""
    owner = owners(problem.feeders)
    below = (Branch(feeder.name, feeder.parent or OPERATOR) for feeder in problem.feeders)
    leaves = {name: owner.get(node, OPERATOR) for name, node in problem.nodes.items()}
    return Hierarchy((Branch(OPERATOR), *below), leaves)


def regions(problem: Problem) -> dict[str, Region]:
    """The part of every branch, by name."""
    tree, owner = hierarchy_of(problem), owners(problem.feeders)
    feeders = {feeder.name: feeder for feeder in problem.feeders}
    return {
        branch.name: Region(
            _part(problem, tree, owner, branch.name),
            feeders.get(branch.name),
            tuple(child for child in tree.children[branch.name] if child in tree.by_name),
        )
        for branch in tree.branches
    }


def _part(problem: Problem, tree: Hierarchy, owner: Mapping[str, str], name: str) -> Problem:
    """Problem of one branch."""
    whole, above = problem.network, upstream(problem.network)
    own = [node for node in above if owner.get(node, OPERATOR) == name]
    slack = whole.slack if name == OPERATOR else next(above[node] for node in own if above[node] not in own)
    sources = {child: _source(child, above, owner) for child in tree.children[name] if child in tree.by_name}
    lines = [line for line in whole.lines if any(whole.feeds.get(node) == line.name for node in line.ends & {*own})]
    lines += [Line(slack, _terminal(child), 0.0, 0.0) for child, node in sources.items() if node == slack]
    shunts = tuple(shunt for shunt in whole.shunts if shunt.node in own or shunt.node == whole.slack == slack)
    network = Network(slack, whole.voltage_v, tuple(lines), shunts)
    at = {child: _terminal(child) if node == slack else node for child, node in sources.items()}
    nodes = at | {leaf: problem.nodes[leaf] for leaf in tree.children[name] if leaf in tree.leaves}
    return replace(problem, network=network, nodes=nodes, margin_pu=_margin(problem, network), feeders=())


def _source(name: str, above: Mapping[str, str], owner: Mapping[str, str]) -> str:
    """The node above the first node of a feeder."""
    return next(above[node] for node, has in owner.items() if has == name and owner.get(above[node]) != name)


def _terminal(child: str) -> str:
    """Name of the end of a feeder that begins at the slack itself: a coupler leads there, as demands are at nodes."""
    return f"head of {child}"


def _margin(problem: Problem, network: Network) -> float | FloatArray:
    if not isinstance(problem.margin_pu, np.ndarray):
        return problem.margin_pu
    known = dict(zip(problem.network.nodes[1:], problem.margin_pu, strict=True))
    return np.array([known.get(node, 0.0) for node in network.nodes[1:]])


def spread_evenly(problem: Problem, x: FloatArray) -> FloatArray:
    """Profiles [N, T, 2] in which the prosumers of a branch have equal shares of their sum in x [N, T, 2]."""
    branch = list(hierarchy_of(problem).leaves.values())
    same = np.array([[a == b for b in branch] for a in branch], float)
    return np.asarray(np.einsum("mn,ntk->mtk", same / same.sum(axis=1, keepdims=True), x))


def head_powers(problem: Problem, x: FloatArray, flow: Flow) -> dict[str, FloatArray]:
    """Power at the head of each feeder with its losses, kW and kvar, [T, 2]; from the leaves' profiles x [N, T, 2].

    Args:
        flow: power flow of the whole grid at x.
    """
    parts, tree = regions(problem), hierarchy_of(problem)
    v_pu = np.column_stack([flow.v_slack, np.abs(flow.v)])
    known = dict(zip(problem.nodes, x, strict=True))
    for branch in reversed(tree.top_down[1:]):
        part = parts[branch.name].problem
        power_flow, at = PowerFlow(part.network), [part.network.index(node) - 1 for node in part.nodes.values()]
        injections = np.zeros((len(x[0]), len(part.network.nodes) - 1), complex)
        for child, n in zip(part.nodes, at, strict=True):
            injections[:, n] -= known[child] @ [1, 1j]
        head = power_flow.solve(injections, v_pu[:, problem.network.index(part.network.slack)]).s_slack
        known[branch.name] = np.column_stack([head.real, head.imag])
    return {feeder.name: known[feeder.name] for feeder in problem.feeders}
