"""The example on a real feeder: its rows against the power flow of the original network by another program."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from controller.solve.problem import Solved
from core.load import load_config, load_scenario
from mpc.coordination.solving import SolveStatus
from tests.support.imported_grids import imported_simbench, pandapower_voltages
from tests.support.paths import CONFIGS
from tests.support.solved_trees import TreeFile

FOLDER = CONFIGS / "rural1"
STEPS = range(0, 96, 4)
V_MIN_PU, V_MAX_PU = 0.995, 1.02


@pytest.fixture(scope="module")
def solved() -> Solved:
    return TreeFile.read(FOLDER / "tree.yaml").solve()


@pytest.fixture(scope="module")
def v_pu(solved: Solved, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Voltages of the solved plan by pandapower on the network of SimBench, steps of the test × nodes."""
    _, node_of, net = imported_simbench(tmp_path_factory.mktemp("grid"))
    plan = solved.tables["plan"]
    p, q = (plan.pivot(index="time", columns="prosumer", values=column) for column in ("p_kw", "q_kvar"))
    scenario = load_scenario(load_config(FOLDER / "grid.yaml"), FOLDER / "grid.yaml")
    nodes = {site.name: site.node for site in scenario.sites}
    flows = [pandapower_voltages(net, node_of, {nodes[n]: (p[n].iloc[t], q[n].iloc[t]) for n in nodes}) for t in STEPS]
    return pd.DataFrame(flows, index=list(STEPS)).drop(columns=scenario.network.slack)


def test_it_converges_and_limits_bind(solved: Solved) -> None:
    assert solved.status is SolveStatus.CONVERGED
    branches = solved.tables["branches"]
    root = branches[branches["branch"] == "MV1.101_Bus_4"]
    assert root["uncoordinated_kw"].min() < -200
    assert (root["p_kw"] >= root["lower_kw"] - 0.15).all()


def test_rows_are_the_voltages_of_the_original_network(solved: Solved, v_pu: pd.DataFrame) -> None:
    """The tree was derived around a plan that it returns, to the accuracy of the plan."""
    rows = solved.tables["rows"]
    errors = {}
    for (branch, row), table in rows.groupby(["branch", "row"]):
        linear = (table["value"] - table["lower"] + V_MIN_PU).to_numpy()[list(STEPS)]
        errors[branch, row] = np.abs(linear - v_pu[row.removeprefix("v_")]).max()
    assert len(errors) == 14
    assert max(errors.values()) < 1e-4, "measured: 1e-5"


def test_voltages_keep_the_band(v_pu: pd.DataFrame) -> None:
    assert v_pu.to_numpy().min() > V_MIN_PU - 1e-4
    assert v_pu.to_numpy().max() < V_MAX_PU + 1e-4
    assert v_pu.to_numpy().min() < V_MIN_PU + 1e-3, "the limits bind"
    assert v_pu.to_numpy().max() > V_MAX_PU - 1e-3


def test_the_files_are_those_of_the_import(tmp_path: Path) -> None:
    """But for limits, name, and losses of converters, which README.md tells."""
    done, _, _ = imported_simbench(tmp_path)
    ours = load_config(FOLDER / "grid.yaml")
    assert ours.grid == done.config.grid
    assert [prosumer.name for prosumer in ours.prosumers] == [prosumer.name for prosumer in done.config.prosumers]
    assert (FOLDER / "grid_series.csv").read_bytes() == done.files[1].read_bytes()
