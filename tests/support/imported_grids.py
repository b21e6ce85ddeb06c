"""Networks of pandapower and SimBench, imported, and their passive state against pandapower's own power flow."""

import csv
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from controller.grids.importing import ImportedGrid, import_grid
from controller.grids.pandapower_file import read_pandapower
from controller.grids.radial import radial_grid
from controller.grids.simbench_folder import read_simbench
from core.load import load_config, load_scenario
from mpc.grid.power_flow import PowerFlow
from tests.support.paths import ROOT

DAY = date(2016, 6, 21)
SIMBENCH = ROOT / "tests/cases/grids/simbench"
NETWORKS = {
    "case33bw": "case33bw",
    "kerber": "create_kerber_vorstadtnetz_kabel_1",
    "rural_1": "create_synthetic_voltage_control_lv_network",
}
"""Name here → function of pandapower.networks."""


@dataclass(frozen=True)
class Difference:
    """Largest difference of a voltage (p.u.) and of the supply (kVA) to pandapower, and the size of the latter."""

    v_pu: float
    supply_kva: float
    size_kva: float


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings of pandapower about itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def known_network(name: str) -> Any:
    """A network that pandapower brings along."""
    import pandapower.networks

    with quiet():
        create = getattr(pandapower.networks, NETWORKS[name])
        return create("rural_1") if name == "rural_1" else create()


def imported(net: Any, folder: Path) -> tuple[ImportedGrid, Mapping[int, str]]:
    """A network of pandapower imported into a folder, and the node of each bus."""
    import pandapower

    with quiet():
        pandapower.to_json(net, str(folder / "net.json"))
    done = import_grid(folder / "net.json", folder / "grid.yaml", DAY)
    return done, radial_grid(read_pandapower(folder / "net.json"), "").node_of


def imported_simbench(folder: Path) -> tuple[ImportedGrid, Mapping[int, str], Any]:
    """The network of SimBench imported into a folder, the node of each bus, and the network of pandapower."""
    import pandapower

    done = import_grid(SIMBENCH, folder / "grid.yaml", DAY)
    source = read_simbench(SIMBENCH, DAY)
    node_of = radial_grid(source, "").node_of
    names = {bus.name: node_of[k] for k, bus in source.buses.items()}
    with quiet():
        net = pandapower.from_json(str(SIMBENCH.with_suffix(".json")))
    return done, {bus: names[name] for bus, name in net.bus.name.items()}, net


def set_powers(net: Any, step: int) -> None:
    """Give the network of SimBench the powers of a quarter hour of the day, by its own profiles; storages rest."""
    for table, rated_file, profile_file, columns in (
        ("load", "Load", "LoadProfile", {"p_mw": ("pLoad", "_pload"), "q_mvar": ("qLoad", "_qload")}),
        ("sgen", "RES", "RESProfile", {"p_mw": ("pRES", "")}),
    ):
        profile = [row for row in _rows(profile_file) if row["time"].startswith(DAY.strftime("%d.%m.%Y"))][step]
        rated = {row["id"]: row for row in _rows(rated_file)}
        for column, (key, suffix) in columns.items():
            net[table][column] = [
                float(rated[name][key]) * float(profile[rated[name]["profile"] + suffix]) for name in net[table].name
            ]
    net.storage[["p_mw", "q_mvar"]] = 0.0


def _rows(name: str) -> list[dict[str, str]]:
    with (SIMBENCH / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def passive_difference(done: ImportedGrid, node_of: Mapping[int, str], net: Any, step: int = 0) -> Difference:
    """Differences in a step with PV at its power and batteries at rest.

    Raises:
        ValueError: a bus with a voltage was not carried over.
    """
    import pandapower

    config = load_config(done.files[0])
    scenario, network = load_scenario(config, done.files[0]), config.grid.network()
    demand = np.zeros(len(network.nodes), complex)
    for site in scenario.sites:
        outlook = site.outlook
        p_kw = outlook.load_kw[step] - outlook.pv_available_kw[step]
        demand[network.index(site.node)] += complex(p_kw, outlook.load_kvar[step])
    flow = PowerFlow(network).solve(-demand[None, 1:], scenario.slack_voltage_pu[:1])
    v_pu = np.abs(np.concatenate([scenario.slack_voltage_pu[:1], flow.v[0]]))
    with quiet():
        pandapower.runpp(net, tolerance_mva=1e-8, numba=False, max_iteration=50)
    expected = net.res_bus.vm_pu.dropna()
    found = np.array([v_pu[network.index(node_of[bus])] for bus in expected.index])
    supply = 1e3 * complex(net.res_ext_grid.p_mw.sum(), net.res_ext_grid.q_mvar.sum())
    differences = np.abs(found - expected.to_numpy()).max(), abs(complex(flow.s_slack[0]) - supply)
    return Difference(float(differences[0]), float(differences[1]), abs(supply))


def pandapower_voltages(
    net: Any, node_of: Mapping[int, str], demand: Mapping[str, tuple[float, float]]
) -> dict[str, float]:
    """Voltage (p.u.) of each node with these demands (kW, kvar) in place of everything that the network had."""
    import pandapower

    for table in ("load", "sgen", "storage"):
        net[table]["in_service"] = False
    bus_of = {node: bus for bus, node in node_of.items()}
    mine = net.load[net.load["name"].isin(demand)].index
    net.load.drop(index=mine, inplace=True)
    for node, (p_kw, q_kvar) in demand.items():
        pandapower.create_load(net, bus_of[node], p_mw=p_kw / 1e3, q_mvar=q_kvar / 1e3, name=node)
    with quiet():
        pandapower.runpp(net, tolerance_mva=1e-8, numba=False, max_iteration=50)
    v_pu = net.res_bus.vm_pu
    return {node: float(v_pu[bus]) for node, bus in bus_of.items() if v_pu[bus] == v_pu[bus]}
