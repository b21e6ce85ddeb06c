"""The grid of a configuration as a tree of aggregators: its branches, limits and rows, and what is refused."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from controller.grids.deriving import default_heads, derive_tree
from controller.runs.directory import write_summary, write_table
from core.arrays import FloatArray
from core.config_hierarchy import HierarchyConfig
from core.errors import InputError
from core.hierarchy import Hierarchy
from core.load import load_config, load_problem, load_scenario, load_tree
from core.network import Line, Network
from core.scenario import Scenario
from tests.support.independent_flow import reference_flow
from tests.support.paths import CONFIGS

VILLAGE = CONFIGS / "village12.yaml"


def hierarchy(path: Path) -> Hierarchy:
    config = load_problem(path)
    assert isinstance(config, HierarchyConfig)
    return load_tree(config, path).problem.hierarchy


def village() -> Scenario:
    return load_scenario(load_config(VILLAGE), VILLAGE)


def written_run(folder: Path, x: FloatArray) -> Path:
    """A run with the profiles x [N, T, 2] as its plan, as `plan` and `solve` write it."""
    folder.mkdir()
    day = village()
    frames = [
        pd.DataFrame({"time": [t.isoformat() for t in day.axis.times], "prosumer": site.name, "p_kw": p, "q_kvar": q})
        for site, (p, q) in zip(day.sites, x.swapaxes(1, 2), strict=True)
    ]
    write_table(folder / "plan.csv", pd.concat(frames))
    write_summary(folder, {"command": "solve"})
    return folder


@dataclass(frozen=True)
class Derived:
    """A tree that was derived around random profiles x [N, T, 2], and where the run of these is."""

    path: Path
    run: Path
    x: FloatArray
    tree: Hierarchy


@pytest.fixture(scope="module")
def derived(tmp_path_factory: pytest.TempPathFactory) -> Derived:
    folder = tmp_path_factory.mktemp("derived")
    x = np.random.default_rng(5).uniform(-6, 6, (4, 96, 2))
    run, path = written_run(folder / "run", x), folder / "tree.yaml"
    derive_tree(VILLAGE, path, (), run)
    return Derived(path, run, x, hierarchy(path))


def test_a_branch_for_the_supply_and_for_each_feeder(derived: Derived) -> None:
    assert derived.tree.children == {
        "T": ("T-A1", "T-B1"), "T-A1": ("mill", "school"), "T-B1": ("farm", "house"),
    }  # fmt: skip
    assert [row.name for row in derived.tree.root.rows] == ["v_A1", "v_B1"]
    assert [row.name for row in derived.tree.by_name["T-B1"].rows] == ["v_B5", "v_B3"]


def values(tree: Hierarchy, branch: str, row: int, x: dict[str, FloatArray]) -> FloatArray:
    """A row of a branch at the powers of its children."""
    terms = [x[child] @ a for child, a in tree.by_name[branch].rows[row].coefficients.items()]
    return np.sum(terms, axis=0)


@pytest.mark.parametrize(("branch", "row", "node"), [("T-A1", 1, "A4"), ("T-B1", 0, "B5"), ("T", 1, "B1")])
def test_a_row_has_as_much_room_as_the_voltage(derived: Derived, branch: str, row: int, node: str) -> None:
    """At the profiles of the run, by another program's power flow."""
    day = village()
    powers = {site.name: x for site, x in zip(day.sites, derived.x, strict=True)}
    powers["T-A1"] = powers["mill"] + powers["school"]
    powers["T-B1"] = powers["farm"] + powers["house"]
    v_pu = np.abs(reference_flow(day, derived.x).v[:, day.network.index(node) - 1])
    found = derived.tree.by_name[branch].rows[row]
    assert found.lower is not None
    assert found.upper is not None
    value = values(derived.tree, branch, row, powers)
    np.testing.assert_allclose(value - found.lower, v_pu - day.limits.v_min_pu, atol=1e-6)
    np.testing.assert_allclose(found.upper - value, day.limits.v_max_pu - v_pu, atol=1e-6)


def test_the_supply_has_its_limit_and_the_losses(derived: Derived) -> None:
    day, limits = village(), derived.tree.root.limits
    lost_kw = reference_flow(day, derived.x).s_slack.real - derived.x[:, :, 0].sum(axis=0)
    assert lost_kw.min() > 0
    np.testing.assert_allclose(limits.p_max_kw, 90 - lost_kw, atol=1e-4)
    np.testing.assert_allclose(limits.p_min_kw, -90 - lost_kw, atol=1e-4)


def test_a_feeder_has_the_limit_of_its_line(derived: Derived) -> None:
    """120 A at 400 V are 83.14 kVA; the box inside by a power factor of 0.9."""
    limits = derived.tree.by_name["T-A1"].limits
    assert limits.p_max_kw is not None
    assert limits.q_max_kvar is not None
    np.testing.assert_allclose(limits.p_max_kw, 0.9 * 83.14, atol=1.5)
    np.testing.assert_allclose(limits.q_max_kvar, 0.4359 * 83.14, atol=1.5)


def test_the_error_of_rows_that_were_solved(derived: Derived, tmp_path: Path) -> None:
    day = village()
    powers = {site.name: x for site, x in zip(day.sites, derived.x, strict=True)}
    row = derived.tree.by_name["T-B1"].rows[0]
    frame = pd.DataFrame({"time": [t.isoformat() for t in day.axis.times], "branch": "T-B1", "row": row.name})
    held = frame.assign(value=values(derived.tree, "T-B1", 0, powers), lower=row.lower, upper=row.upper)
    for shift, expected in ((0.0, 0.0), (0.002, 0.002)):
        run = written_run(tmp_path / f"run{shift}", derived.x)
        write_table(run / "rows.csv", held.assign(value=held["value"] + shift))
        found = derive_tree(VILLAGE, tmp_path / f"tree{shift}.yaml", (), run)
        assert found.row_error_pu == pytest.approx(expected, abs=1e-6)


def test_around_the_day_without_coordination(tmp_path: Path) -> None:
    found = derive_tree(VILLAGE, tmp_path / "tree.yaml", ["A1", "B1", "B4"], None)
    assert found.row_error_pu is None
    assert found.violation.v_pu == pytest.approx(0.0100, abs=2e-4)
    assert hierarchy(found.files[0]).children == {
        "T": ("T-A1", "T-B1"), "T-A1": ("mill", "school"), "T-B1": ("B3-B4", "house"), "B3-B4": ("farm",),
    }  # fmt: skip


def test_paths_lead_from_the_tree_to_the_series(derived: Derived) -> None:
    config = load_problem(derived.path)
    assert isinstance(config, HierarchyConfig)
    file = config.prosumers[0].load.forecast.file
    assert not file.is_absolute()
    assert (derived.path.parent / file).resolve() == CONFIGS / "profiles/load_commercial_15min.csv"


def test_heads_where_the_grid_forks_first() -> None:
    ends = ("S", "A"), ("A", "B"), ("B", "C"), ("B", "D"), ("D", "E")
    chain = Network("S", 400.0, tuple(Line(a, b, 0.1, 0.1) for a, b in ends))
    assert default_heads(chain) == ("B", "C", "D")
    fork = Network("S", 400.0, tuple(Line("S", node, 0.1, 0.1) for node in ("A", "B")))
    assert default_heads(fork) == ("A", "B")


def test_what_is_refused(derived: Derived, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'--head: got "Q9"; allowed: a node of the grid other than the slack: A1'):
        derive_tree(VILLAGE, tmp_path / "tree.yaml", ["Q9"], None)
    with pytest.raises(InputError, match="a file that exists"):
        derive_tree(VILLAGE, derived.path, (), None)
    with pytest.raises(InputError, match="other prosumers or steps"):
        derive_tree(CONFIGS / "gridlab9.yaml", tmp_path / "tree.yaml", (), derived.run)
    with pytest.raises(InputError, match="kind"):
        derive_tree(derived.path, tmp_path / "tree.yaml", (), None)
    assert list(tmp_path.iterdir()) == []
