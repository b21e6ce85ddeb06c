"""The radial distribution grid: topology, line parameters and limits. Balanced, per-phase equivalent."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isclose, sqrt
from typing import NamedTuple


@dataclass(frozen=True)
class Line:
    """A line between two nodes; without impedance it is a coupler.

    Attributes:
        b_us: total shunt susceptance (charging) in µS, half at each end.
        i_max_a: limit of the current at the from-end; None: no limit.
        ratio: of an ideal transformer between the from-end and the impedance: without current, the voltage (p.u.) of
            ``to_node`` is that of ``from_node`` divided by it.
        label: the name, if it is not that of the ends.
    """

    from_node: str
    to_node: str
    r_ohm: float
    x_ohm: float
    b_us: float = 0.0
    i_max_a: float | None = None
    ratio: float = 1.0
    label: str | None = None

    @property
    def name(self) -> str:
        """``N1-N2`` or the label, as in lines.csv."""
        return self.label or f"{self.from_node}-{self.to_node}"

    @property
    def ends(self) -> frozenset[str]:
        """Its two nodes, in no order."""
        return frozenset((self.from_node, self.to_node))

    @property
    def is_coupler(self) -> bool:
        """Whether it has no impedance, so that both ends have the same voltage."""
        return self.r_ohm == 0 and self.x_ohm == 0


@dataclass(frozen=True)
class Shunt:
    """An admittance from a node to earth at nominal voltage, in µS; ``b_us`` > 0 is capacitive."""

    node: str
    g_us: float
    b_us: float


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
        ValueError: the lines do not form a tree that reaches every node from the slack, or two have the same name; one
            sentence per fault.
    """

    slack: str
    voltage_v: float
    lines: tuple[Line, ...]
    shunts: tuple[Shunt, ...] = ()

    def __post_init__(self) -> None:
        if faults := [fault.got for fault in topology_faults(self.slack, self.lines)]:
            raise ValueError("; ".join(faults))

    @cached_property
    def nodes(self) -> tuple[str, ...]:
        """Node names: the slack first, then in order of appearance."""
        ends = (node for line in self.lines for node in (line.from_node, line.to_node))
        return tuple(dict.fromkeys((self.slack, *ends)))

    @cached_property
    def feeds(self) -> dict[str, str]:
        """Node → name of the line that feeds it from the side of the slack, outwards; the slack has no entry."""
        feeds: dict[str, str] = {}
        reached, rest = {self.slack}, list(self.lines)
        while rest:
            line = next(line for line in rest if line.ends & reached)
            rest.remove(line)
            (node,) = line.ends - reached
            feeds[node] = line.name
            reached.add(node)
        return feeds

    def index(self, node: str) -> int:
        """Position of a node in :attr:`nodes`; the slack is 0.

        Raises:
            ValueError: there is no such node.
        """
        return self.nodes.index(node)


def joined(lines: Sequence[Line]) -> dict[int, Line]:
    """The lines by their index, with cables that run in parallel joined to one line at the index of the first.

    Cables are parallel if they connect the same nodes and each has a label, and so are transformers of one ratio in one
    direction. The others stay as they are.
    """
    groups: dict[frozenset[str], list[int]] = defaultdict(list)
    for k, line in enumerate(lines):
        groups[line.ends].append(k)
    found: dict[int, Line] = {}
    for places in groups.values():
        cables = [lines[k] for k in places]
        if len({cable.label for cable in cables}) > 1 and _are_parallel(cables):
            found[places[0]] = _as_one(cables)
        else:
            found.update(zip(places, cables, strict=True))
    return dict(sorted(found.items()))


def _are_parallel(lines: Sequence[Line]) -> bool:
    return all(line.label is not None and not line.is_coupler and _have_one_ratio(line, lines[0]) for line in lines)


def _have_one_ratio(a: Line, b: Line) -> bool:
    """Whether neither is a transformer, or both step the same voltage up or down."""
    same = isclose(a.ratio, b.ratio, rel_tol=1e-9)
    return same and (a.from_node == b.from_node or a.ratio == 1)


def _as_one(cables: Sequence[Line]) -> Line:
    """One line in place of parallel cables; its current limit is reached when the first of them is fully loaded."""
    admittances = [1 / complex(cable.r_ohm, cable.x_ohm) for cable in cables]
    total = sum(admittances)
    limits = [
        cable.i_max_a * abs(total / admittance)
        for cable, admittance in zip(cables, admittances, strict=True)
        if cable.i_max_a is not None
    ]
    return replace(
        cables[0],
        r_ohm=(1 / total).real,
        x_ohm=(1 / total).imag,
        b_us=sum(cable.b_us for cable in cables),
        i_max_a=min(limits) if limits else None,
        label="+".join(cable.name for cable in cables),
    )


class TopologyFault(NamedTuple):
    """What keeps lines from being a tree with unique names; ``line``: index, None for the grid as a whole."""

    line: int | None
    got: str
    allowed: str


def topology_faults(slack: str, lines: Sequence[Line]) -> Iterator[TopologyFault]:
    """Every fault that keeps ``lines`` from being a tree in which each line has a name of its own."""
    names: dict[str, Line] = {}
    forest: dict[str, dict[str, str]] = {slack: {}}
    for k, line in enumerate(lines):
        a, b = line.from_node, line.to_node
        other = names.setdefault(line.name, line)
        around = _path(forest, a, b) if a in forest and b in forest else None
        if a == b:
            yield TopologyFault(
                k, f"line {line.name} connects a node with itself", "a line between two nodes, without loops"
            )
        elif around is not None and len(around) == 1:
            yield _given_twice(k, line, next(each for each in lines if each.name == around[0]))
        elif around is not None:
            got = f"line {line.name} closes a loop with {', '.join(around)}; the grid must be radial"
            yield TopologyFault(k, got, "a grid without loops; one line of each loop is open, `in_service: false`")
        elif other is not line:
            got = f"line {line.name} has the name of the line from {other.from_node} to {other.to_node}"
            yield TopologyFault(k, got, "a name of its own for each line; the key `name` gives it another")
        if a == b or around is None:
            forest.setdefault(a, {})[b] = forest.setdefault(b, {})[a] = line.name
    yield from _not_connected(slack, forest)


def _given_twice(index: int, line: Line, other: Line) -> TopologyFault:
    """A line between the nodes of another one."""
    if _have_one_ratio(line, other):
        allowed = "each line once; parallel cables: `parallel: 2`, or each with a `name` of its own"
        return TopologyFault(index, f"line {line.name} is given twice", allowed)
    ratios = " and ".join(f"{each.ratio:g} from {each.from_node}" for each in (other, line))
    got = f"line {line.name} is parallel with {other.name}, with ratios of {ratios}"
    return TopologyFault(index, got, "transformers in parallel with one ratio, in one direction")


def _not_connected(slack: str, forest: Mapping[str, Mapping[str, str]]) -> Iterator[TopologyFault]:
    allowed = "lines in service that connect every node with the slack node"
    if not forest[slack]:
        yield TopologyFault(None, f"the slack node {slack} is at no line", allowed)
        return
    if islands := sorted(forest.keys() - _reach(forest, slack).keys()):
        yield TopologyFault(None, f"not connected to the slack node {slack}: {', '.join(islands)}", allowed)


def _path(forest: Mapping[str, Mapping[str, str]], start: str, goal: str) -> list[str] | None:
    """Names of the lines between two nodes of a forest (node → neighbour → line); None if there is no way."""
    before = _reach(forest, goal)
    if start not in before:
        return None
    path, node = list[str](), start
    while node != goal:
        path.append(forest[node][before[node]])
        node = before[node]
    return path


def _reach(forest: Mapping[str, Mapping[str, str]], start: str) -> dict[str, str]:
    """Every node that is connected with ``start`` → the next node on the way there."""
    toward, waiting = {start: start}, [start]
    while waiting:
        node = waiting.pop()
        new = [neighbour for neighbour in forest[node] if neighbour not in toward]
        toward.update(dict.fromkeys(new, node))
        waiting += new
    return toward
