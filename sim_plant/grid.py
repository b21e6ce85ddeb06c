"""AC power flow of the plant, by power-grid-model: on purpose not the model that the controller plans with."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi

import numpy as np
from power_grid_model import ComponentType, DatasetType, LoadGenType, PowerGridModel, initialize_array
from power_grid_model.errors import IterationDiverge, SparseMatrixError  # type: ignore[attr-defined]

from core.network import Line, Network

FREQUENCY_HZ = 50.0
_STIFF_VA = 1e15
"""Short-circuit power of the supply, so large that its voltage does not depend on the load."""
_TOLERANCE_PU = 1e-11
_NEGLIGIBLE_VA = 1e-9
"""Smaller demands count as zero: a converter's power decays exponentially, and no power flow converges on 1e-305 VA."""
_LEAST_OHM = 2e-5
"""Resistance of couplers and of lines with less impedance, that of a joint between busbars: 100 A drop 9e-6 p.u. there.

On larger admittances, also on its own links, the power flow of the library does not converge.
"""


@dataclass(frozen=True)
class GridState:
    """State of the grid for given demands. After a voltage collapse ``solved`` is False and all values are zero.

    Attributes:
        v_pu: voltage of each node.
        i_a: current of each line at its from-end.
        slack_kva: power drawn from the upper grid, P + jQ, P > 0 imports.
    """

    v_pu: Mapping[str, float]
    i_a: Mapping[str, float]
    slack_kva: complex
    solved: bool = True


class Grid:
    """The network with a load at every node but the slack; the model is built once and solved for each instant."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._model = PowerGridModel(_components(network), system_frequency=FREQUENCY_HZ)
        n = len(network.nodes)
        self._source = initialize_array(DatasetType.update, ComponentType.source, 1)
        self._source["id"] = _source_id(network)
        self._loads = initialize_array(DatasetType.update, ComponentType.sym_load, n - 1)
        self._loads["id"] = _load_ids(network)

    def solve(self, demand_kva: Mapping[str, complex], v_slack_pu: float) -> GridState:
        """State of the grid for demands P + jQ (kVA) by node; nodes without an entry draw nothing.

        Demand at the slack node itself is drawn from the upper grid without loading a line.
        """
        nodes = self.network.nodes
        s_va = 1e3 * np.array([demand_kva.get(node, 0j) for node in nodes[1:]])
        self._source["u_ref"] = v_slack_pu
        self._loads["p_specified"], self._loads["q_specified"] = (
            np.where(np.abs(part) < _NEGLIGIBLE_VA, 0.0, part) for part in (s_va.real, s_va.imag)
        )
        self._model.update(update_data={ComponentType.source: self._source, ComponentType.sym_load: self._loads})
        try:
            flow = self._model.calculate_power_flow(error_tolerance=_TOLERANCE_PU)
        except (IterationDiverge, SparseMatrixError):
            return self._collapsed()
        source = flow[ComponentType.source]
        from_lines = complex(source["p"][0], source["q"][0]) / 1e3
        return GridState(
            v_pu=dict(zip(nodes, flow[ComponentType.node]["u_pu"].tolist(), strict=True)),
            i_a=dict(zip(self._lines(), self._currents(flow), strict=True)),
            slack_kva=from_lines + demand_kva.get(self.network.slack, 0j),
        )

    def _currents(self, flow: Mapping[ComponentType, np.ndarray]) -> list[float]:
        """Current of each line at its from-end, A, in the order of the network."""
        current = np.zeros(len(self.network.lines))
        for kind in {_kind(line) for line in self.network.lines}:
            current[flow[kind]["id"] - len(self.network.nodes)] = flow[kind]["i_from"]
        return current.tolist()

    def _lines(self) -> tuple[str, ...]:
        return tuple(line.name for line in self.network.lines)

    def _collapsed(self) -> GridState:
        return GridState(dict.fromkeys(self.network.nodes, 0.0), dict.fromkeys(self._lines(), 0.0), 0j, solved=False)


def _source_id(network: Network) -> int:
    return len(network.nodes) + len(network.lines)


def _load_ids(network: Network) -> np.ndarray:
    return _source_id(network) + np.arange(1, len(network.nodes))


def _kind(line: Line) -> ComponentType:
    """What a line is for the library."""
    return ComponentType.line if line.ratio == 1 else ComponentType.generic_branch


def _components(network: Network) -> dict[ComponentType, np.ndarray]:
    """The network as power-grid-model wants it. Ids are assigned in this order: nodes, lines, source, loads, shunts."""
    n = len(network.nodes)
    node = initialize_array(DatasetType.input, ComponentType.node, n)
    node["id"], node["u_rated"] = np.arange(n), network.voltage_v
    source = initialize_array(DatasetType.input, ComponentType.source, 1)
    source["id"], source["node"], source["status"] = _source_id(network), 0, 1
    source["u_ref"], source["sk"] = 1.0, _STIFF_VA
    load = initialize_array(DatasetType.input, ComponentType.sym_load, n - 1)
    load["id"], load["node"], load["status"] = _load_ids(network), np.arange(1, n), 1
    load["type"], load["p_specified"], load["q_specified"] = LoadGenType.const_power, 0.0, 0.0
    return {
        ComponentType.node: node,
        **{kind: _branches(network, kind) for kind in {_kind(line) for line in network.lines}},
        ComponentType.source: source,
        ComponentType.sym_load: load,
        ComponentType.shunt: _shunts(network),
    }


def _branches(network: Network, kind: ComponentType) -> np.ndarray:
    """The lines of one kind."""
    places = [k for k, line in enumerate(network.lines) if _kind(line) is kind]
    lines = [network.lines[k] for k in places]
    branch = initialize_array(DatasetType.input, kind, len(lines))
    branch["id"] = len(network.nodes) + np.array(places)
    branch["from_node"] = [network.index(line.from_node) for line in lines]
    branch["to_node"] = [network.index(line.to_node) for line in lines]
    branch["from_status"] = branch["to_status"] = 1
    coupled = np.array([abs(complex(line.r_ohm, line.x_ohm)) < _LEAST_OHM for line in lines])
    branch["r1"] = np.where(coupled, _LEAST_OHM, [line.r_ohm for line in lines])
    branch["x1"] = np.where(coupled, 0.0, [line.x_ohm for line in lines])
    susceptance_s = 1e-6 * np.array([line.b_us for line in lines])
    if kind is ComponentType.line:
        branch["c1"], branch["tan1"] = susceptance_s / (2 * pi * FREQUENCY_HZ), 0.0
    else:
        branch["g1"], branch["b1"] = 0.0, susceptance_s
        branch["k"], branch["theta"] = [line.ratio for line in lines], 0.0
    return branch


def _shunts(network: Network) -> np.ndarray:
    shunt = initialize_array(DatasetType.input, ComponentType.shunt, len(network.shunts))
    shunt["id"] = _load_ids(network)[-1] + 1 + np.arange(len(network.shunts))
    shunt["node"] = [network.index(each.node) for each in network.shunts]
    shunt["status"] = 1
    shunt["g1"] = [1e-6 * each.g_us for each in network.shunts]
    shunt["b1"] = [1e-6 * each.b_us for each in network.shunts]
    return shunt
