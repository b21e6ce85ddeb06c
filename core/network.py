"""The radial distribution grid: topology, line parameters and limits. Balanced, per-phase equivalent."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt


@dataclass(frozen=True)
class Line:
    """A line between two nodes. ``b_us``: total shunt susceptance (charging) in µS, half at each end; ``i_max_a`` None:
    no limit.
    """

    from_node: str
    to_node: str
    r_ohm: float
    x_ohm: float
    b_us: float = 0.0
    i_max_a: float | None = None

    @property
    def name(self) -> str:
        """``N1-N2``, as in lines.csv."""
        return f"{self.from_node}-{self.to_node}"


@dataclass(frozen=True)
class GridLimits:
    """Operating limits: voltage band, and apparent power and power factor at the slack (paper A, eq. 24, 25)."""

    v_min_pu: float
    v_max_pu: float
    slack_s_max_kva: float
    slack_pf_min: float

    @property
    def slack_q_max_kvar(self) -> float:
        """Bound on |Q| at the slack that keeps the power factor at full export (25a)."""
        return self.slack_s_max_kva * sqrt(1 - self.slack_pf_min**2)

    @property
    def slack_p_max_kw(self) -> float:
        """Bound on |P| at the slack (25b)."""
        return self.slack_s_max_kva * self.slack_pf_min


@dataclass(frozen=True)
class Network:
    """A tree of lines rooted at the slack node; ``voltage_v``: nominal line-to-line voltage.

    Raises:
        ValueError: the lines do not form a tree that reaches every node from the slack; one sentence per fault.
    """

    slack: str
    voltage_v: float
    lines: tuple[Line, ...]

    def __post_init__(self) -> None:
        if faults := [text for _, text in topology_faults(self.slack, self.lines)]:
            raise ValueError("; ".join(faults))

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Node names: the slack first, then in order of appearance."""
        ends = (node for line in self.lines for node in (line.from_node, line.to_node))
        return tuple(dict.fromkeys((self.slack, *ends)))

    @cached_property
    def feeds(self) -> dict[str, str]:
        """Node → name of the line that feeds it from the side of the slack; the slack has no entry."""
        feeds: dict[str, str] = {}
        reached, rest = {self.slack}, list(self.lines)
        while rest:
            line = next(line for line in rest if {line.from_node, line.to_node} & reached)
            rest.remove(line)
            (node,) = {line.from_node, line.to_node} - reached
            feeds[node] = line.name
            reached.add(node)
        return feeds

    def index(self, node: str) -> int:
        """Position of a node in :attr:`nodes`; the slack is 0.

        Raises:
            ValueError: there is no such node.
        """
        return self.nodes.index(node)


def topology_faults(slack: str, lines: Sequence[Line]) -> Iterator[tuple[int | None, str]]:
    """Yield (index of the line or None, description) for everything that keeps ``lines`` from being a tree."""
    pairs = Counter(frozenset((line.from_node, line.to_node)) for line in lines)
    parent: dict[str, str] = {}

    def root(node: str) -> str:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for k, line in enumerate(lines):
        if line.r_ohm == 0 and line.x_ohm == 0:
            yield k, f"line {line.name} has zero impedance"
        a, b = root(line.from_node), root(line.to_node)
        if a != b:
            parent[a] = b
        elif line.from_node == line.to_node:
            yield k, f"line {line.name} connects a node with itself"
        elif pairs[frozenset((line.from_node, line.to_node))] > 1:
            yield k, f"line {line.name} is given twice"
        else:
            yield k, f"line {line.name} closes a loop; the grid must be radial"
    if slack not in parent:
        yield None, f"the slack node {slack} is at no line"
        return
    islands = sorted(node for node in parent if root(node) != root(slack))
    if islands:
        yield None, f"not connected to the slack node {slack}: {', '.join(islands)}"
