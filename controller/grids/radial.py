"""A source as a grid of one voltage: switches resolved, what no closed switch reaches left out, names made unique."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import isclose
from typing import Any
from unicodedata import normalize

from controller.grids.elements import GridCable, GridSource, GridTransformer
from controller.grids.equivalents import open_cable_us, transformer_circuit
from controller.grids.faults import some
from core.config_fields import NOT_IN_NAMES
from core.errors import Fault, InputError

LONGEST = 64


class Names:
    """Names of a configuration from those of a source: allowed characters, not too long, each once."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def new(self, wanted: str, otherwise: str) -> str:
        """A name like ``wanted``; like ``otherwise`` if that is empty."""
        plain = NOT_IN_NAMES.sub("_", normalize("NFC", wanted.strip())).strip("_") or otherwise
        plain, k = plain[:LONGEST], 2
        name = plain
        while name in self._used:
            suffix = f"_{k}"
            name, k = plain[: LONGEST - len(suffix)] + suffix, k + 1
        self._used.add(name)
        return name


@dataclass
class RadialGrid:
    """Sections of the configuration, and the node of each bus that is connected with the supply.

    Attributes:
        base_kv: the lowest nominal voltage, to which everything is referred.
        node_of: bus → name of its node.
        lines, shunts: as in a configuration.
        supply_kva: rating of the transformers at the supply, 0 without, or if anything else begins there.
    """

    base_kv: float
    slack: str
    slack_voltage_pu: float
    node_of: dict[int, str]
    lines: list[dict[str, Any]] = field(default_factory=list)
    shunts: dict[str, complex] = field(default_factory=lambda: defaultdict(complex))
    supply_kva: float = 0.0


def radial_grid(source: GridSource, file: str) -> RadialGrid:
    """The grid of ``source``; what is left out is added to its notes.

    Raises:
        InputError: there is no supply, or more than one.
    """
    joint = _joined(source)
    roots = {joint[bus] for bus, _ in source.supplies}
    if len(roots) != 1:
        raise InputError([Fault(file, "", f"{len(roots)} nodes with an external grid", "one supply, the slack node")])
    (root,) = roots
    reached = _reached(source, joint, root)
    names = Names()
    places = (root, *sorted(reached - {root}))
    node_names = {place: names.new(source.buses[place].name, f"N{place}") for place in places}
    node_of = {bus: node_names[joint[bus]] for bus in source.buses if joint[bus] in reached}
    base_kv = min(source.buses[bus].nominal_kv for bus in node_of)
    grid = RadialGrid(base_kv, node_names[root], float(source.supplies[0][1]), node_of)
    line_names = Names()
    for transformer in source.transformers:
        _add_transformer(grid, transformer, source, line_names)
    transformers = len(grid.lines)
    for cable in source.cables:
        _add_cable(grid, cable, source, line_names)
    lines = [line for line in grid.lines[transformers:] if line.get("in_service", True)]
    if any(grid.slack in (line["from"], line["to"]) for line in lines):
        grid.supply_kva = 0.0
    for bus, y_us in source.shunts:
        if bus in node_of:
            grid.shunts[node_of[bus]] += y_us * (source.buses[bus].nominal_kv / grid.base_kv) ** 2
    source.notes += _left_out(source, grid)
    return grid


def _joined(source: GridSource) -> dict[int, int]:
    """Bus → the first of the buses with which closed switches connect it."""
    joint = {bus: bus for bus in sorted(source.buses)}
    for a, b in source.joints:
        first, other = sorted((joint[a], joint[b]))
        joint = {bus: first if place == other else place for bus, place in joint.items()}
    return joint


def _reached(source: GridSource, joint: dict[int, int], root: int) -> set[int]:
    """Places that closed branches connect with the supply."""
    around: dict[int, set[int]] = defaultdict(set)
    closed = [cable.ends for cable in source.cables if not cable.open_ends]
    for a, b in (*closed, *(each.ends for each in source.transformers if not each.is_open)):
        around[joint[a]].add(joint[b])
        around[joint[b]].add(joint[a])
    reached, waiting = {root}, [root]
    while waiting:
        new = around[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached


def _add_transformer(grid: RadialGrid, transformer: GridTransformer, source: GridSource, names: Names) -> None:
    if transformer.is_open or transformer.ends[0] not in grid.node_of:
        return
    high, low = (source.buses[bus] for bus in transformer.ends)
    circuit = transformer_circuit(transformer, high, low, grid.base_kv)
    ends = [grid.node_of[bus] for bus in transformer.ends]
    line: dict[str, Any] = {
        "name": names.new(transformer.name, "transformer"), "from": ends[0], "to": ends[1],
        **_impedance(circuit.z_ohm), "i_max_a": _short(circuit.i_max_a),
    }  # fmt: skip
    if not isclose(circuit.ratio, 1.0, abs_tol=1e-12):
        line["ratio"] = circuit.ratio
    grid.lines.append(line)
    for node, y_us in zip(ends, circuit.y_us, strict=True):
        grid.shunts[node] += y_us
    if grid.slack in ends:
        grid.supply_kva += transformer.s_kva * transformer.parallel


def _add_cable(grid: RadialGrid, cable: GridCable, source: GridSource, names: Names) -> None:
    """The line of a cable; what an open one draws stays as a shunt at its closed end."""
    kv = source.buses[cable.ends[0]].nominal_kv
    to_base = (grid.base_kv / kv) ** 2
    for end in {0, 1} - cable.open_ends if cable.open_ends else ():
        if cable.ends[end] in grid.node_of and (y_us := open_cable_us(cable)):
            grid.shunts[grid.node_of[cable.ends[end]]] += y_us / to_base
    if not all(bus in grid.node_of for bus in cable.ends):
        return
    ends = [grid.node_of[bus] for bus in cable.ends]
    if ends[0] == ends[1]:
        source.notes.append(f"line {cable.name}: both ends are at node {ends[0]}; left out")
        return
    line: dict[str, Any] = {"name": names.new(cable.name, "-".join(ends)), "from": ends[0], "to": ends[1]}
    line |= _impedance(cable.z_ohm * to_base) if cable.z_ohm else {"coupler": True}
    y_us = cable.y_us / to_base
    if cable.z_ohm and y_us.imag and not cable.open_ends:
        line["b_us"] = _short(y_us.imag)
    if cable.i_max_a is not None:
        line["i_max_a"] = _short(cable.i_max_a * kv / grid.base_kv)
    if cable.open_ends:
        line["in_service"] = False
    elif y_us.real:
        for node in ends:
            grid.shunts[node] += y_us.real / 2
    grid.lines.append(line)


def _impedance(z_ohm: complex) -> dict[str, Any]:
    return {"r_mohm": _short(1e3 * z_ohm.real), "x_mohm": _short(1e3 * z_ohm.imag)}


def _short(value: float) -> float:
    """Ten digits: enough for 1e-9 p.u., and readable."""
    return float(f"{value:.10g}")


def _left_out(source: GridSource, grid: RadialGrid) -> Iterator[str]:
    dead = [bus for bus in source.buses if bus not in grid.node_of]
    if dead:
        yield f"not connected with the supply, left out: {some(_titles(source, dead))}"
    groups: dict[str, list[int]] = defaultdict(list)
    for bus, node in grid.node_of.items():
        groups[node].append(bus)
    several = [f"{node} is {', '.join(_titles(source, buses))}" for node, buses in groups.items() if len(buses) > 1]
    if several:
        yield f"joined by closed switches: {some(several, separator='; ')}"
    for other in sorted({source.buses[bus].nominal_kv for bus in grid.node_of} - {grid.base_kv}):
        factor = other / grid.base_kv
        change = f"impedances / {factor**2:g}, currents × {factor:g}"
        yield f"what is at {other:g} kV is referred to {grid.base_kv:g} kV: {change}"


def _titles(source: GridSource, buses: Iterable[int]) -> Iterator[str]:
    return (source.buses[bus].name or f"bus {bus}" for bus in buses)
