"""Trees of aggregators as configuration files: what a good one holds, and that every fault of a bad one is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from core.config_hierarchy import HierarchyConfig
from core.errors import InputError
from core.load import load_problem, load_tree
from core.scenario import LoadedTree
from tests.support.paths import BAD_INPUT, CONFIGS
from tests.support.user_data import cases

Write = Callable[[dict[str, Any]], Path]


@pytest.fixture
def source() -> str:
    return "tree.yaml"


def loaded(path: Path) -> LoadedTree:
    config = load_problem(path)
    assert isinstance(config, HierarchyConfig)
    return load_tree(config, path)


def test_the_tree_with_its_series() -> None:
    scenario = loaded(BAD_INPUT / "tree.yaml")
    problem, hierarchy = scenario.problem, scenario.problem.hierarchy
    hour = np.arange(24)
    assert (hierarchy.root.name, hierarchy.level) == ("root", {"root": 0, "feeder": 1})
    assert hierarchy.children == {"root": ("feeder", "third"), "feeder": ("first", "second")}
    root, feeder = hierarchy.branches
    for name, kw in (("p_min_kw", -20), ("p_max_kw", 20), ("q_min_kvar", -5), ("q_max_kvar", 5)):
        np.testing.assert_array_equal(getattr(root.limits, name), np.full(24, kw))
    np.testing.assert_allclose(feeder.limits.p_max_kw, 10 * (1 + 0.001 * (hour % 4)))
    assert feeder.limits.p_min_kw is None
    (row,) = feeder.rows
    assert {child: list(a) for child, a in row.coefficients.items()} == {
        "first": [-0.004, 0], "second": [-0.002, -0.001],
    }  # fmt: skip
    np.testing.assert_array_equal([row.lower, row.upper], [np.full(24, -0.05), np.full(24, 0.05)])
    assert (problem.peak_weight_per_kw2, problem.target.sum()) == (1e-4, 0)
    assert problem.tariff.sell_chf_per_kwh[0] == 0.05
    assert [site.node for site in scenario.sites] == ["feeder", "feeder", "root"]
    assert scenario.sites[0].battery is not None


def test_what_may_be_left_out(write: Write) -> None:
    optional = ["currency", "objective", "violation_price_chf_per_kwh", "branches[1].rows", "branches[1].p_max_kw"]
    scenario = loaded(write({"drop": [*optional, "tariff.feed_in"]}))
    assert scenario.problem.peak_weight_per_kw2 == 0
    assert scenario.problem.hierarchy.by_name["feeder"].rows == ()
    np.testing.assert_array_equal(scenario.problem.tariff.sell_chf_per_kwh, scenario.problem.tariff.buy_chf_per_kwh)


def test_a_net_load_may_be_negative(write: Write) -> None:
    net = loaded(write({"set": {"prosumers[1].load.forecast.scale": -1}}))
    assert (net.sites[1].outlook.load_kw < 0).all()
    with pytest.raises(InputError, match="a load ≥ 0 kW"):
        loaded(write({"set": {"prosumers[2].load.forecast.scale": -1}}))


@pytest.mark.parametrize("case", cases("tree_faults.yaml"))
def test_each_fault_is_one_line(case: dict[str, Any], write: Write) -> None:
    path = write(case)
    with pytest.raises(InputError) as caught:
        load_problem(path)
    faults = {fault.key: str(fault) for fault in caught.value.faults}
    assert faults.keys() == case["faults"].keys()
    assert len(caught.value.faults) == len(faults) == str(caught.value).count("\n") + 1
    for key, words in case["faults"].items():
        assert faults[key].startswith(f"{path}: ")
        assert [word for word in words if word not in faults[key]] == []


@pytest.mark.parametrize("case", cases("tree_series.yaml"))
def test_faults_of_series(case: dict[str, Any], write: Write) -> None:
    path = write(case)
    with pytest.raises(InputError) as caught:
        loaded(path)
    assert [Path(fault.file).name for fault in caught.value.faults] == [file for file, *_ in case["faults"]]
    for fault, (_, key, words) in zip(caught.value.faults, case["faults"], strict=True):
        assert key in fault.key
        assert words in str(fault)


def test_several_faults_at_once(write: Write) -> None:
    path = write({"set": {"branches[1].parent": None, "prosumers[0].battery.soc_min": 2, "objective.target_kw": "x"}})
    with pytest.raises(InputError) as caught:
        load_problem(path)
    keys = {fault.key for fault in caught.value.faults}
    assert keys == {"branches[1].parent", "prosumers[0].battery.soc_min", "objective.target_kw"}


def test_a_document_gives_the_tree_again(tmp_path: Path) -> None:
    config = load_problem(BAD_INPUT / "tree.yaml")
    path = tmp_path / "elsewhere.yaml"
    path.write_text(yaml.safe_dump(config.document(BAD_INPUT)))
    again = load_problem(path)
    assert isinstance(again, HierarchyConfig)
    assert again.document() == config.document(BAD_INPUT)


def test_the_example_has_four_levels() -> None:
    scenario = loaded(CONFIGS / "four_levels.yaml")
    assert sorted(scenario.problem.hierarchy.level.values()) == [0, 1, 2, 3, 3]
    assert scenario.cautions == ()
