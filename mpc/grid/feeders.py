"""A radial grid cut into feeders, and its voltages as rows over the children of each: the trees of paper B on a grid.

A feeder is what lies behind its head, a node, without the feeders that begin further out; the first one begins at the
slack. Its children are the prosumers at its nodes and the feeders that begin there. With K the sensitivities (3) around
profiles x⁰ with the voltages V⁰, and D_b what lies behind the head of feeder b,

    V_n ≈ V⁰_n + Σ_{i ∈ D_b} K_ni (x_i − x⁰_i),   so that   v_min − c_n ≤ Σ_c K_nc s_c ≤ v_max − c_n,
    c_n = V⁰_n − Σ_c K_nc s⁰_c                      n a node of b with a prosumer, or the head of a feeder in b

What lies outside of D_b is held at x⁰: the feeder knows only its own children. So the rows are those of the AC power
flow at a solution that returns x⁰, and a tree is derived around its own solution until that is the case. K_nc of a
feeder c is the mean over its prosumers: for n outside of it, all of them act like a demand at its head.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from core.arrays import FloatArray
from core.network import Network


@dataclass(frozen=True)
class Feeders:
    """A grid with the heads of its feeders.

    Attributes:
        heads: feeder → node where it begins, the slack first.
        nodes: prosumer → node.
    """

    network: Network
    heads: Mapping[str, str]
    nodes: Mapping[str, str]

    @cached_property
    def upstream(self) -> Mapping[str, str]:
        """Node → the next node toward the slack."""
        lines = {line.name: line for line in self.network.lines}
        return {node: next(iter(lines[name].ends - {node})) for node, name in self.network.feeds.items()}

    @cached_property
    def root(self) -> str:
        """The feeder at the slack."""
        return next(name for name, head in self.heads.items() if head == self.network.slack)

    def feeder_of(self, node: str) -> str:
        """The feeder of a node: the nearest head toward the slack, itself included."""
        names = {head: name for name, head in self.heads.items()}
        while node not in names:
            node = self.upstream[node]
        return names[node]

    def parent(self, feeder: str) -> str | None:
        """The feeder in which a feeder begins; None for the first."""
        return None if feeder == self.root else self.feeder_of(self.upstream[self.heads[feeder]])

    @cached_property
    def children(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Feeder → child → the prosumers behind it, which for a prosumer is itself."""
        found: dict[str, dict[str, tuple[str, ...]]] = {name: {} for name in self.heads}
        for prosumer, node in self.nodes.items():
            below, at = prosumer, self.feeder_of(node)
            while True:
                found[at][below] = (*found[at].get(below, ()), prosumer)
                parent = self.parent(at)
                if parent is None:
                    break
                below, at = at, parent
        return found

    def limited_nodes(self, feeder: str) -> tuple[str, ...]:
        """Nodes whose voltage is a row of the feeder: those of its prosumers, and the heads of feeders in it.

        Its own head is a matter of the feeder in which it begins, which sees more of what moves it.
        """
        names = self.children[feeder]
        found = (self.heads[child] if child in self.heads else self.nodes[child] for child in names)
        return tuple(dict.fromkeys(node for node in found if node != self.heads[feeder]))


@dataclass(frozen=True)
class VoltageRow:
    """The linear voltage of a node: offset + Σ_c a_c's_c over the children c of a feeder.

    Attributes:
        coefficients: child → a_c, p.u. per kW and kvar, [2]: means over the steps.
        offset_pu: c_n, [T].
    """

    node: str
    coefficients: Mapping[str, FloatArray]
    offset_pu: FloatArray


def voltage_rows(
    feeders: Feeders, feeder: str, x: Mapping[str, FloatArray], v_pu: FloatArray, sensitivities: FloatArray
) -> tuple[VoltageRow, ...]:
    """The rows of a feeder around the profiles x.

    Args:
        x: prosumer → (kW, kvar), [T, 2], in the order of the last but one axis of ``sensitivities``.
        v_pu: voltages of the nodes without the slack, [T, n].
        sensitivities: of these voltages by the demand of each prosumer, [T, n, N, 2].
    """
    place = {name: k for k, name in enumerate(x)}
    mean = sensitivities.mean(axis=0)
    rows = []
    for node in feeders.limited_nodes(feeder):
        n = feeders.network.index(node) - 1
        coefficients = {
            child: mean[n, [place[name] for name in names]].mean(axis=0)
            for child, names in feeders.children[feeder].items()
        }
        inside = sum(
            (sum(x[name] for name in names) @ coefficients[child]) for child, names in feeders.children[feeder].items()
        )
        rows.append(VoltageRow(node, coefficients, v_pu[:, n] - inside))
    return tuple(rows)
