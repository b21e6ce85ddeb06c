"""Power flow by two libraries that share no code with :mod:`mpc.grid.power_flow`, as references for its results."""

from dataclasses import dataclass
from math import pi

import numpy as np
import power_grid_model as pgm

from core.arrays import FloatArray
from core.network import Network
from core.scenario import Scenario
from mpc.grid.power_flow import ComplexArray

FREQUENCY_HZ = 50.0
STIFF_VA = 1e14


@dataclass(frozen=True)
class IndependentFlow:
    """Results with the meaning of :class:`mpc.grid.power_flow.Flow`."""

    v: ComplexArray
    i: ComplexArray
    s_slack: ComplexArray


def power_grid_model_flow(
    network: Network, p_kw: FloatArray, q_kvar: FloatArray, v_slack_pu: FloatArray
) -> IndependentFlow:
    """Demands p, q [T, n] at all nodes but the slack; one batch calculation."""
    n, lines = len(network.nodes), len(network.lines)
    node = pgm.initialize_array("input", "node", n)
    node["id"], node["u_rated"] = np.arange(n), network.voltage_v
    line = pgm.initialize_array("input", "line", lines)
    line["id"] = n + np.arange(lines)
    line["from_node"] = [network.index(each.from_node) for each in network.lines]
    line["to_node"] = [network.index(each.to_node) for each in network.lines]
    line["from_status"] = line["to_status"] = 1
    line["r1"] = [each.r_ohm for each in network.lines]
    line["x1"] = [each.x_ohm for each in network.lines]
    line["c1"] = [each.b_us * 1e-6 / (2 * pi * FREQUENCY_HZ) for each in network.lines]
    line["tan1"] = 0
    source = pgm.initialize_array("input", "source", 1)
    source["id"], source["node"], source["status"], source["u_ref"], source["sk"] = n + lines, 0, 1, 1.0, STIFF_VA
    load = pgm.initialize_array("input", "sym_load", n - 1)
    load["id"], load["node"], load["status"] = n + lines + np.arange(1, n), np.arange(1, n), 1
    load["type"], load["p_specified"], load["q_specified"] = pgm.LoadGenType.const_power, 0, 0
    model = pgm.PowerGridModel(
        {"node": node, "line": line, "source": source, "sym_load": load}, system_frequency=FREQUENCY_HZ
    )
    loads = pgm.initialize_array("update", "sym_load", p_kw.shape)
    loads["id"], loads["p_specified"], loads["q_specified"] = load["id"], 1e3 * p_kw, 1e3 * q_kvar
    sources = pgm.initialize_array("update", "source", (len(p_kw), 1))
    sources["id"], sources["u_ref"] = source["id"], v_slack_pu[:, None]
    out = model.calculate_power_flow(
        update_data={"sym_load": loads, "source": sources}, error_tolerance=1e-12, max_iterations=50
    )
    v = out["node"]["u_pu"] * np.exp(1j * out["node"]["u_angle"])
    v = v * np.exp(-1j * out["node"]["u_angle"][:, :1])
    s_line = out["line"]["p_from"] + 1j * out["line"]["q_from"]
    i = np.conj(s_line / (np.sqrt(3) * network.voltage_v * v[:, line["from_node"]]))
    s_slack = (out["source"]["p"] + 1j * out["source"]["q"])[:, 0] / 1e3
    return IndependentFlow(v[:, 1:], i, s_slack)


def pandapower_flow(network: Network, p_kw: FloatArray, q_kvar: FloatArray, v_slack_pu: FloatArray) -> IndependentFlow:
    """The same by pandapower, step by step."""
    import pandapower as pp

    net = pp.create_empty_network(f_hz=FREQUENCY_HZ, sn_mva=1e-3)
    for name in network.nodes:
        pp.create_bus(net, vn_kv=network.voltage_v / 1e3, name=name)
    for line in network.lines:
        pp.create_line_from_parameters(
            net, network.index(line.from_node), network.index(line.to_node), length_km=1.0, max_i_ka=1.0,
            r_ohm_per_km=line.r_ohm, x_ohm_per_km=line.x_ohm,
            c_nf_per_km=line.b_us * 1e3 / (2 * pi * FREQUENCY_HZ),
        )  # fmt: skip
    pp.create_ext_grid(net, 0)
    for k in range(1, len(network.nodes)):
        pp.create_load(net, k, p_mw=0.0, q_mvar=0.0)
    begin = net.line["from_bus"].to_numpy()
    steps = []
    for p, q, v_slack in zip(p_kw, q_kvar, v_slack_pu, strict=True):
        net.load["p_mw"], net.load["q_mvar"], net.ext_grid["vm_pu"] = p / 1e3, q / 1e3, v_slack
        pp.runpp(net, tolerance_mva=1e-10, numba=False, calculate_voltage_angles=True, init="flat")
        v = net.res_bus["vm_pu"].to_numpy() * np.exp(1j * np.radians(net.res_bus["va_degree"].to_numpy()))
        s_mva = net.res_line["p_from_mw"].to_numpy() + 1j * net.res_line["q_from_mvar"].to_numpy()
        i = np.conj(1e6 * s_mva / (np.sqrt(3) * network.voltage_v * v[begin]))
        s_slack = 1e3 * (net.res_ext_grid["p_mw"].iloc[0] + 1j * net.res_ext_grid["q_mvar"].iloc[0])
        steps.append((v[1:], i, s_slack))
    v_all, i_all, s_all = zip(*steps, strict=True)
    return IndependentFlow(np.array(v_all), np.array(i_all), np.array(s_all))


def nodal_demand(scenario: Scenario, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Demands (p, q), each [T, n], of the profiles x [N, T, 2]."""
    demand = np.zeros((2, scenario.axis.n_steps, len(scenario.network.nodes) - 1))
    for site, profile in zip(scenario.sites, x, strict=True):
        demand[:, :, scenario.network.index(site.node) - 1] += profile.T
    return demand[0], demand[1]


def reference_flow(scenario: Scenario, x: FloatArray) -> IndependentFlow:
    """Power flow of the profiles x [N, T, 2] by power-grid-model."""
    return power_grid_model_flow(scenario.network, *nodal_demand(scenario, x), scenario.slack_voltage_pu)
