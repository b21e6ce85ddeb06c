"""Aggregators of feeders in a configuration: one line per fault, and none for what only follows from another."""

from collections.abc import Mapping
from typing import Any

import pytest

from core.errors import InputError
from core.feeders import Feeder
from core.load import config_of, load_config, load_scenario, load_yaml
from tests.support.paths import CONFIGS

FILE = CONFIGS / "gridlab9-feeders.yaml"
NORTH = {"name": "north", "nodes": ["N3", "N4", "N5"]}
SOUTH = {"name": "south", "nodes": ["N6", "N7", "N8", "N9"]}


def faults(*hierarchy: Mapping[str, Any]) -> list[str]:
    """The lines about a hierarchy, without the name of the file."""
    document: Any = load_yaml(FILE)
    document["hierarchy"] = list(hierarchy)
    try:
        config_of(document, FILE)
    except InputError as error:
        return [f"{fault.key}: {fault.value}" for fault in error.faults]
    return []


def test_the_example() -> None:
    scenario = load_scenario(load_config(FILE), FILE)
    assert scenario.problem.feeders == scenario.after(6).problem.feeders == (
        Feeder("north", None, ("N3", "N4", "N5")),
        Feeder("south", None, ("N6", "N7", "N8", "N9")),
    )  # fmt: skip


@pytest.mark.parametrize(
    "hierarchy",
    [
        (NORTH,),
        ({**SOUTH, "nodes": ["N6", "N7"]}, {"name": "far", "parent": "south", "nodes": ["N8", "N9"]}),
        ({"name": "far", "parent": "south", "nodes": ["N8", "N9"]}, {**SOUTH, "nodes": ["N6", "N7"]}),
        ({"name": "all", "nodes": ["N2", "N3", "N4", "N5", "N6", "N7", "N8", "N9"], "p_min_kw": -5, "p_max_kw": -5.0},),
        ({"name": "both", "nodes": ["N3", "N4", "N5", "N6", "N7", "N8", "N9"]},),
    ],
)
def test_sound(hierarchy: tuple[Mapping[str, Any], ...]) -> None:
    assert faults(*hierarchy) == []


FAULTY = {
    "a name twice": ((NORTH, {**SOUTH, "name": "north"}), ['hierarchy[1].name: "north"']),
    "the name of a prosumer": (({**NORTH, "name": "N3"},), ['hierarchy[0].name: "N3"']),
    "the operator": (({**NORTH, "name": "operator"},), ['hierarchy[0].name: "operator"']),
    "an unknown parent": (({**NORTH, "parent": "west"},), ['hierarchy[0].parent: "west"']),
    "a loop": (({**NORTH, "parent": "south"}, {**SOUTH, "parent": "north"}), ['hierarchy[0].parent: "south"']),
    "its own parent": (({**NORTH, "parent": "north"},), ['hierarchy[0].parent: "north"']),
    "an unknown node": (({**NORTH, "nodes": ["N3", "N44", "N5"]},), ['hierarchy[0].nodes[1]: "N44"']),
    "the slack": (({**NORTH, "nodes": ["N1", "N2"]},), ['hierarchy[0].nodes[0]: "N1"']),
    "a node of two": ((NORTH, {**SOUTH, "nodes": [*SOUTH["nodes"], "N5"]}), ['hierarchy[1].nodes[4]: "N5"']),
    "a node twice": (({**NORTH, "nodes": ["N3", "N4", "N5", "N4"]},), ['hierarchy[0].nodes[3]: "N4"']),
    "limits": (({**NORTH, "p_min_kw": 3, "p_max_kw": 2},), ["hierarchy[0].p_min_kw: 3"]),
    "a gap": (({**SOUTH, "nodes": ["N6", "N7", "N9"]},),
              ["hierarchy[0].nodes: not N8, below N7"]),
    "nodes of the operator below": (({**SOUTH, "nodes": ["N6", "N7"]},), ["hierarchy[0].nodes: not N8, below N7"]),
    "not below its parent": ((NORTH, {**SOUTH, "parent": "north"}), ["hierarchy[1].nodes: N6 below N2 of operator"]),
    "two places": (({"name": "two", "nodes": ["N2", "N3"]}, {"name": "ends", "parent": "two",
                                                             "nodes": ["N4", "N5", "N6", "N7", "N8", "N9"]}),
                   ["hierarchy[1].nodes: N4 below N3, N6 below N2"]),
    "no prosumer": (({**SOUTH, "nodes": ["N7", "N8", "N9"]}, {"name": "empty", "nodes": ["N6"]}),
                    ["hierarchy[0].nodes: N7 below N6 of empty", "hierarchy[1].nodes: N6"]),
    "two faults": (({**NORTH, "name": "operator"}, {**SOUTH, "parent": "west"}),
                   ['hierarchy[0].name: "operator"', 'hierarchy[1].parent: "west"']),
}  # fmt: skip


@pytest.mark.parametrize(("hierarchy", "expected"), FAULTY.values(), ids=FAULTY)
def test_faults(hierarchy: tuple[Mapping[str, Any], ...], expected: list[str]) -> None:
    assert faults(*hierarchy) == expected


def test_an_aggregator_without_prosumers() -> None:
    assert (
        faults({**SOUTH, "nodes": ["N6"]}, {**SOUTH, "name": "rest", "parent": "south", "nodes": ["N7", "N8", "N9"]})
        == []
    )
    document: Any = load_yaml(FILE)
    document["hierarchy"] = [NORTH]
    document["prosumers"] = [each for each in document["prosumers"] if each["node"] in ("N7", "N9")]
    with pytest.raises(InputError) as caught:
        config_of(document, FILE)
    (fault,) = caught.value.faults
    assert (fault.key, fault.value, fault.allowed) == (
        "hierarchy[0].nodes", "N3, N4, N5", "the node of at least one prosumer",
    )  # fmt: skip
