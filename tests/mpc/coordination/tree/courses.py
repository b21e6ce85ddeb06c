"""Coordinations of random trees that several files judge, and nodes that fall silent."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from core.arrays import FloatArray
from core.config_coordination import TreeConfig
from core.hierarchy import Hierarchy
from core.plan import Agreement
from core.resources import Load
from core.scenario import Site
from mpc.coordination.nodes import Message, Node
from mpc.coordination.rounds import Carried, Carrier, run
from mpc.coordination.tree.coordination import coordinate_tree
from mpc.coordination.tree.memory import TreeWarmStart
from mpc.coordination.tree.outcome import TreeOutcome
from mpc.price import violation_price_chf_per_kwh
from mpc.trees.reference import CentralTree, TreeOptimum
from mpc.trees.scenario import TreeScenario
from tests.support.virtual_clock import VirtualClock

SETTINGS = TreeConfig(max_rounds=200)


def agreed(tree: TreeScenario, carry: Carrier = run, warm_start: TreeWarmStart | None = None) -> TreeOutcome:
    return coordinate_tree(tree.problem, tree.participants(), SETTINGS, VirtualClock(), carry, warm_start)


def price_of_violation(tree: TreeScenario) -> float:
    return violation_price_chf_per_kwh(SETTINGS, tree.problem.tariff)


def central(tree: TreeScenario) -> TreeOptimum:
    return CentralTree(tree, price_of_violation(tree)).optimum()


def profiles(outcome: TreeOutcome) -> dict[str, FloatArray]:
    return {name: agreement.profile.x for name, agreement in outcome.agreements.items()}


def scale_chf(optimum: TreeOptimum, outcome: TreeOutcome) -> float:
    return max(abs(optimum.total_chf), outcome.turnover_chf)


def under(hierarchy: Hierarchy, name: str) -> list[str]:
    """The leaves under a branch, or the leaf itself."""
    if name in hierarchy.leaves:
        return [name]
    return [leaf for child in hierarchy.children[name] for leaf in under(hierarchy, child)]


def with_powers(tree: TreeScenario, factor: float) -> TreeScenario:
    """The tree with all limits of own active power times a factor."""

    def cut(series: FloatArray | None) -> FloatArray | None:
        return None if series is None else factor * series

    hierarchy = tree.problem.hierarchy
    branches = tuple(
        replace(b, limits=replace(b.limits, p_min_kw=cut(b.limits.p_min_kw), p_max_kw=cut(b.limits.p_max_kw)))
        for b in hierarchy.branches
    )
    return replace(tree, problem=replace(tree.problem, hierarchy=Hierarchy(branches, hierarchy.leaves)))


def fixed(tree: TreeScenario, agreements: Mapping[str, Agreement], names: Sequence[str]) -> tuple[TreeScenario, float]:
    """The tree with some leaves fixed at what they answered, and their losses and wear, which it then lacks."""
    sites, lost_chf, tariff = [], 0.0, tree.problem.tariff
    for site in tree.sites:
        x = agreements[site.name].profile.x
        if site.name in names:
            bill_chf = tariff.cost_chf(x[:, 0], tree.problem.axis.dt_h)
            lost_chf += own_cost_chf(tree, agreements[site.name]) - bill_chf
            site = Site(site.name, site.name, {"load": Load(x[:, 0], x[:, 1])})
        sites.append(site)
    return replace(tree, sites=tuple(sites)), lost_chf


def own_cost_chf(tree: TreeScenario, agreement: Agreement) -> float:
    x = agreement.profile.x
    retail = tree.problem.tariff.signal(tree.problem.axis.dt_h)
    return agreement.profile.cost_chf - agreement.signal.cost_chf(x) + retail.cost_chf(x)


class FallingSilent:
    """A node that does not react to some of what it receives, by number; the loss is for good."""

    def __init__(self, node: Node, lost: range) -> None:
        self.name = node.name
        self._node, self._lost, self._number = node, lost, -1

    @property
    def done(self) -> bool:
        return self._node.done

    def start(self) -> Sequence[Message[object]]:
        return self._node.start()

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        self._number += 1
        return () if self._number in self._lost else self._node.react(inbox)


def silencing(name: str, reactions: int) -> Carrier:
    """A carrier under which one node reacts so many times, and never again."""
    return skipping(name, range(reactions, 10**9))


def skipping(name: str, lost: range) -> Carrier:
    """A carrier under which one node does not react to some of what it receives."""

    def carry(nodes: Sequence[Node]) -> Carried:
        return run([FallingSilent(node, lost) if node.name == name else node for node in nodes])

    return carry


Ear = Callable[[Sequence[Message[object]]], None]


class Overheard:
    """A node whose messages are shown to somebody else too."""

    def __init__(self, node: Node, hear: Ear) -> None:
        self.name, self._node, self._hear = node.name, node, hear

    @property
    def done(self) -> bool:
        return self._node.done

    def start(self) -> Sequence[Message[object]]:
        return self._shown(self._node.start())

    def react(self, inbox: Sequence[Message[object]]) -> Sequence[Message[object]]:
        return self._shown(self._node.react(inbox))

    def _shown(self, messages: Sequence[Message[object]]) -> Sequence[Message[object]]:
        self._hear(messages)
        return messages


def listening(hear: Ear, carry: Carrier = run) -> Carrier:
    """A carrier that shows all messages, from the start on."""
    return lambda nodes: carry([Overheard(node, hear) for node in nodes])


def wavy(tree: TreeScenario, share: float) -> TreeScenario:
    """The tree with all loads changed by up to ``share``, more at some hours and less at others."""
    factor = 1 + share * np.sin(np.linspace(0, 7, tree.problem.axis.n_steps))
    sites = []
    for site in tree.sites:
        (load,) = site.each(Load)
        changed = Load(load.p_kw * factor, load.q_kvar * factor)
        sites.append(replace(site, resources={**site.resources, "load": changed}))
    return replace(tree, sites=tuple(sites))
