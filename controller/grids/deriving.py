"""``gridlab derive-tree``: the grid of a configuration as a tree of aggregators, with rows from its sensitivities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from os.path import relpath
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from controller.grids.radial import Names
from controller.runs.directory import Run
from core.arrays import FloatArray
from core.config import Config
from core.errors import Fault, InputError, shown
from core.load import load_config, load_scenario
from core.network import Network
from core.scenario import Scenario
from core.yaml_text import yaml_text
from mpc.carrying import require_power_flow
from mpc.day_ahead import uncoordinated
from mpc.grid.feeders import Feeders, VoltageRow, voltage_rows
from mpc.grid.power_flow import ComplexArray, Flow
from mpc.grid.rows import GridModel, Violation
from mpc.price import violation_price_chf_per_kwh
from mpc.prosumer import participants

Profiles = Mapping[str, FloatArray]
"""Prosumer → demand (kW, kvar), [T, 2]."""
DIGITS = "%.8g"
VOLTAGE = "v_{}"
"""Name of the row of a node's voltage."""


@dataclass(frozen=True)
class DerivedTree:
    """A tree with its files, and the AC power flow of the profiles around which it was derived.

    Attributes:
        row_error_pu: largest difference of a voltage to the row of the tree that the run around which it was derived
            solved; None without a run, or of a run without rows.
    """

    files: tuple[Path, Path]
    flow: Flow
    violation: Violation
    row_error_pu: float | None


def derive_tree(config_path: Path, out: Path, heads: Sequence[str], around: Path | None) -> DerivedTree:
    """Write the tree, and beside it the series of its limits; nothing is overwritten.

    Args:
        config_path: a configuration of `gridlab plan`.
        heads: nodes where feeders begin; none: :func:`default_heads`.
        around: a run of `plan` or `solve` with the same prosumers; None: around the day without coordination.

    Raises:
        InputError: the configuration, a head or the run is unsuitable, or a file exists.
    """
    files = out, out.with_name(f"{out.stem}_limits.csv")
    if existing := [path for path in files if path.exists()]:
        raise InputError([Fault(str(path), "", "a file that exists", "a new file") for path in existing])
    config = load_config(config_path)
    scenario = load_scenario(config, config_path)
    require_power_flow(scenario, str(config_path))
    grid = GridModel(scenario.problem, violation_price_chf_per_kwh(config.coordination, scenario.tariff))
    feeders = _feeders(scenario, _nodes(scenario.network, heads))
    x = _own_optima(scenario, config) if around is None else _profiles(Run(around), scenario)
    cut = _cut(grid, feeders, x)
    limits = pd.DataFrame({"time": [t.isoformat() for t in scenario.axis.times]})
    document = _document(config, config_path, cut, limits, files)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(yaml_text(document), encoding="utf-8")
    limits.to_csv(files[1], index=False, float_format=DIGITS)
    error = None if around is None else row_error_pu(Run(around), grid, cut.flow)
    return DerivedTree(files, cut.flow, grid.violation(cut.flow), error)


def default_heads(network: Network) -> tuple[str, ...]:
    """The first node from the slack at which the grid forks, and the first node of each way from there."""
    behind: dict[str, list[str]] = {node: [] for node in network.nodes}
    lines = {line.name: line for line in network.lines}
    for node, name in network.feeds.items():
        behind[next(iter(lines[name].ends - {node}))].append(node)
    fork = network.slack
    while len(behind[fork]) == 1:
        (fork,) = behind[fork]
    first = () if fork == network.slack else (fork,)
    return (*first, *behind[fork])


@dataclass(frozen=True)
class _Cut:
    """The feeders with their voltage rows, and the state around which the grid was linearised."""

    feeders: Feeders
    rows: Mapping[str, tuple[VoltageRow, ...]]
    x: Profiles
    flow: Flow


def _nodes(network: Network, heads: Sequence[str]) -> tuple[str, ...]:
    possible = network.nodes[1:]
    if wrong := [head for head in heads if head not in possible]:
        allowed = f"a node of the grid other than the slack: {', '.join(possible)}"
        raise InputError([Fault("--head", "", shown(head), allowed) for head in wrong])
    return tuple(dict.fromkeys(heads)) or default_heads(network)


def _feeders(scenario: Scenario, heads: Sequence[str]) -> Feeders:
    """Feeders that are named as the line that feeds them; those without prosumers are left out."""
    network, names = scenario.network, Names()
    for site in scenario.sites:
        names.new(site.name, "")
    named = {names.new(network.slack, "supply"): network.slack}
    named |= {names.new(network.feeds[head], "feeder"): head for head in heads}
    nodes = {site.name: site.node for site in scenario.sites}
    found = Feeders(network, named, nodes)
    used = {name: head for name, head in named.items() if found.children[name] or head == network.slack}
    return Feeders(network, used, nodes)


def _own_optima(scenario: Scenario, config: Config) -> Profiles:
    day = uncoordinated(scenario.problem, participants(scenario, config.solver.prosumer), config.coordination)
    return {name: agreement.profile.x for name, agreement in day.plan.agreements.items()}


def _profiles(run: Run, scenario: Scenario) -> Profiles:
    """The plans of a run, in the order of the scenario."""
    plan = run.table("plan.csv")
    names, steps = [site.name for site in scenario.sites], scenario.axis.n_steps
    x = {str(name): rows[["p_kw", "q_kvar"]].to_numpy(float) for name, rows in plan.groupby("prosumer")}
    if set(x) != set(names) or any(len(profile) != steps for profile in x.values()):
        allowed = f"a plan of the prosumers of the grid over its {steps} steps"
        raise InputError([Fault(str(run.path), "plan.csv", "other prosumers or steps", allowed)])
    return {name: x[name] for name in names}


def _cut(grid: GridModel, feeders: Feeders, x: Profiles) -> _Cut:
    profiles = np.stack(list(x.values()))
    flow = grid.flow(profiles)
    sensitivities = grid.nodal_voltage_per_demand(grid.linearise(profiles))
    v_pu = np.abs(flow.v)
    rows = {name: voltage_rows(feeders, name, x, v_pu, sensitivities) for name in feeders.heads}
    return _Cut(feeders, rows, x, flow)


def _document(
    config: Config, config_path: Path, cut: _Cut, limits: pd.DataFrame, files: tuple[Path, Path]
) -> dict[str, Any]:
    """The content of the file; the series of its limits are added to ``limits``."""
    folder = Path(relpath(config_path.parent, files[0].parent))
    given = config.model_dump(mode="json", by_alias=True, exclude_unset=True, context={"folder": folder})
    keys = ("schema_version", "name", "horizon", "currency", "tariff")
    head: dict[str, Any] = {"schema_version": 1, "kind": "tree", **{key: given[key] for key in keys if key in given}}
    branches = [_branch(config, cut, name, limits, files[1].name) for name in cut.feeders.heads]
    parts = ("name", "battery", "pv", "load")
    prosumers = [
        {"branch": cut.feeders.feeder_of(prosumer["node"]), **{key: prosumer[key] for key in parts if key in prosumer}}
        for prosumer in given["prosumers"]
    ]
    return {**head, "branches": branches, "prosumers": prosumers}


def _branch(config: Config, cut: _Cut, name: str, limits: pd.DataFrame, file: str) -> dict[str, Any]:
    section: dict[str, Any] = {"name": name, "parent": cut.feeders.parent(name)}
    for key, values in _power_limits(config, cut, name).items():
        section[key] = _series(limits, f"{name}_{key}", values, file)
    if rows := [_row(config, name, each, limits, file) for each in cut.rows[name]]:
        section["rows"] = rows
    return section


def _row(config: Config, feeder: str, row: VoltageRow, limits: pd.DataFrame, file: str) -> dict[str, Any]:
    name = VOLTAGE.format(row.node)
    bounds = {"lower": config.limits.v_min_pu, "upper": config.limits.v_max_pu}
    return {
        "name": name,
        **{
            side: _series(limits, f"{feeder}_{name}_{side}", v_pu - row.offset_pu, file)
            for side, v_pu in bounds.items()
        },
        "coefficients": {
            child: {"p": float(f"{a[0]:.6g}"), "q": float(f"{a[1]:.6g}")} for child, a in row.coefficients.items()
        },
    }


def _series(limits: pd.DataFrame, column: str, values: FloatArray, file: str) -> dict[str, str]:
    limits[column] = values
    return {"file": file, "column": column}


def _power_limits(config: Config, cut: _Cut, name: str) -> dict[str, FloatArray]:
    """Limits of the power of a feeder's prosumers: what its supply or its line can carry, less the losses behind.

    The disc of a rating becomes a box by the power factor of the supply, on the safe side.
    """
    limits, network = config.limits.limits(), cut.feeders.network
    if name == cut.feeders.root:
        s_kva, through_kva = np.full(len(cut.flow.s_slack), limits.slack_s_max_kva), cut.flow.s_slack
    else:
        k = next(k for k, line in enumerate(network.lines) if line.name == network.feeds[cut.feeders.heads[name]])
        if (i_max_a := network.lines[k].i_max_a) is None:
            return {}
        s_kva, through_kva = _through(cut, name, k, i_max_a)
    demand = np.sum([cut.x[each] for names in cut.feeders.children[name].values() for each in names], axis=0)
    p_kw, q_kvar = limits.slack_pf_min * s_kva, sqrt(1 - limits.slack_pf_min**2) * s_kva
    lost_kw, lost_kvar = through_kva.real - demand[:, 0], through_kva.imag - demand[:, 1]
    return {
        "p_min_kw": -p_kw - lost_kw,
        "p_max_kw": p_kw - lost_kw,
        "q_min_kvar": -q_kvar - lost_kvar,
        "q_max_kvar": q_kvar - lost_kvar,
    }


def _through(cut: _Cut, name: str, k: int, i_max_a: float) -> tuple[FloatArray, ComplexArray]:
    """What line ``k``, which feeds a feeder, can carry at its end toward the slack, and carries there, kVA, [T]."""
    network = cut.feeders.network
    before = network.index(cut.feeders.upstream[cut.feeders.heads[name]])
    v = cut.flow.v_slack.astype(complex) if before == 0 else cut.flow.v[:, before - 1]
    kva_per_a = sqrt(3) * network.voltage_v / 1e3
    outward = 1 if network.index(network.lines[k].from_node) == before else -1
    s_kva: FloatArray = kva_per_a * i_max_a * np.abs(v)
    return s_kva, outward * kva_per_a * v * np.conj(cut.flow.i[:, k])


def row_error_pu(run: Run, grid: GridModel, flow: Flow) -> float | None:
    """Largest difference between the voltages of a power flow and those of the rows that a run of `solve` held."""
    if not (run.path / "rows.csv").exists():
        return None
    rows, network = run.table("rows.csv"), grid.problem.network
    errors = [0.0]
    for (_, name), table in rows.groupby(["branch", "row"]):
        node = str(name).removeprefix(VOLTAGE.format(""))
        if node != name and node in network.nodes[1:] and len(table) == len(flow.v):
            linear = table["value"] - table["lower"] + grid.problem.limits.v_min_pu
            errors.append(float(np.abs(linear - np.abs(flow.v[:, network.index(node) - 1])).max()))
    return max(errors)
