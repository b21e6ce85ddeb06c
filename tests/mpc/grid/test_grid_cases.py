"""Small grids as the field writes them: each is refused with the line that helps, or solved with the right value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pytest

from core.config import Config
from core.errors import InputError
from core.load import config_of, load_config, load_scenario, load_yaml
from core.network import Line
from core.yaml_text import parse_yaml
from mpc.grid.power_flow import Flow, PowerFlow
from tests.support.independent_flow import nodal_demand, power_grid_model_flow
from tests.support.paths import ROOT

CASES = ROOT / "tests/cases/grids"


def case(number: str) -> Path:
    (folder,) = CASES.glob(f"{number}-*")
    return folder / "config.yaml"


def changed(number: str, change: Callable[[dict[str, Any]], object]) -> Config:
    """The configuration of a case after ``change`` of its grid."""
    document: Any = load_yaml(case(number))
    change(document["grid"])
    return config_of(document, case(number))


def loads(config: Config, number: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Demands p, q of all nodes but the slack in the first step, without anything that is controlled; slack voltage."""
    scenario = load_scenario(config, case(number))
    x = np.stack([np.stack([site.outlook.load_kw, site.outlook.load_kvar], axis=1) for site in scenario.sites])
    p, q = nodal_demand(scenario, x)
    return p[:1], q[:1], scenario.slack_voltage_pu[:1]


def flow(config: Config, number: str) -> tuple[Flow, dict[str, float], dict[str, float]]:
    """The first step: flow, voltage of each node and current of each line."""
    network = config.grid.network()
    p, q, v_slack = loads(config, number)
    found = PowerFlow(network).solve(-(p + 1j * q), v_slack)
    assert found.solved.all()
    v_pu = dict(zip(network.nodes, [float(v_slack[0]), *np.abs(found.v[0]).tolist()], strict=True))
    return found, v_pu, {line.name: float(a) for line, a in zip(network.lines, np.abs(found.i[0]), strict=True)}


def assert_like_another_library(config: Config, number: str) -> None:
    expected = power_grid_model_flow(config.grid.network(), *loads(config, number))
    found, _, _ = flow(config, number)
    np.testing.assert_allclose(found.v, expected.v, rtol=0, atol=1e-7)  # its supply is not quite stiff
    np.testing.assert_allclose(found.i, expected.i, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found.s_slack, expected.s_slack, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("number", "key", "words"),
    [
        ("41", "grid.lines[33]", ["9-15", "9-10, 10-11, 11-12, 12-13, 13-14, 14-15", "in_service: false"]),
        ("42", "grid.slack", ["got 1", "put it in quotes"]),
        ("44", "grid.lines[1]", ["T-A is given twice", "parallel: 2", "`name`"]),
        ("45", "grid.lines[0]", ["T-BB1 has zero impedance", "coupler: true"]),
        ("47", "prosumers[0].node", ["no spaces, such as LV1.101_Bus_7"]),
        ("49", "grid.lines[0]", ["MV-LV has zero impedance"]),
        ("51", "grid.lines[3]", ["F1-1-2 has the name of the line from F1 to 1-2", "`name`"]),
        ("51b", "grid.lines[2]", ["T-1-2 has the name of the line from T-1 to 2", "`name`"]),
        ("54", "grid.lines[2].to", ["got 1000.0", "put it in quotes"]),
    ],
)
def test_what_is_not_clear_is_refused_with_the_line_that_helps(number: str, key: str, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load_config(case(number))
    text = {fault.key: str(fault) for fault in caught.value.faults}[key]
    assert all(word in text for word in words), text
    assert "\n" not in text


def test_41_ties_that_are_open() -> None:
    def open_ties(grid: dict[str, Any]) -> None:
        for line in grid["lines"][32:]:
            line["in_service"] = False

    config = changed("41", open_ties)
    assert len(config.grid.network().lines) == 32
    assert_like_another_library(config, "41")
    _, v_pu, _ = flow(config, "41")
    assert min(v_pu, key=v_pu.__getitem__) == "18"


def test_43_an_open_switch_carries_nothing() -> None:
    config = load_config(case("43"))
    assert [line.name for line in config.grid.network().lines] == ["1-2", "2-3", "3-4"]
    assert_like_another_library(config, "43")


def test_43_a_node_behind_an_open_switch_has_no_prosumer() -> None:
    with pytest.raises(InputError, match=r'"4", which only open lines reach \(3-4, 4-1\)'):
        changed("43", lambda grid: grid["lines"][2].update(in_service=False))


def test_44_parallel_cables() -> None:
    def as_number(grid: dict[str, Any]) -> None:
        grid["lines"][0]["parallel"] = 2
        grid["lines"][0] |= {"b_us": 10.0, "i_max_a": 200.0}
        del grid["lines"][1]

    def as_names(grid: dict[str, Any]) -> None:
        for line, name in zip(grid["lines"], ("left", "right", "A-B"), strict=True):
            line["name"] = name
        for line in grid["lines"][:2]:
            line |= {"b_us": 10.0, "i_max_a": 200.0}

    for change, name in ((as_number, "T-A"), (as_names, "left+right")):
        config = changed("44", change)
        line = config.grid.network().lines[0]
        assert line.r_ohm == pytest.approx(0.025)
        assert line.x_ohm == pytest.approx(0.005)
        assert (line.name, line.b_us, line.i_max_a) == (name, 20.0, pytest.approx(400.0))
        assert_like_another_library(config, "44")


def test_45_a_coupler_has_no_drop_and_a_current() -> None:
    config = changed("45", lambda grid: grid["lines"].__setitem__(0, {"from": "T", "to": "BB1", "coupler": True}))
    _, v_pu, i_a = flow(config, "45")
    assert v_pu["BB1"] == v_pu["T"] == 1.0
    assert i_a["T-BB1"] == pytest.approx(i_a["BB1-A"])
    v2 = (0.5 * (1 + np.sqrt(1 - 4 * _drop(5.0, 1.0, 0.05, 0.01)))) ** 2
    assert v_pu["A"] ** 2 == pytest.approx(v2, abs=2e-6)


def _drop(p_kw: float, q_kvar: float, r_ohm: float, x_ohm: float) -> float:
    """(r p + x q) / V² of a line at 400 V, p.u."""
    return (r_ohm * p_kw + x_ohm * q_kvar) * 1e3 / 400**2


def test_45_an_open_coupler_feeds_nobody() -> None:
    coupler = {"from": "T", "to": "BB1", "coupler": True, "in_service": False}
    with pytest.raises(InputError, match="the slack node T is at no line"):
        changed("45", lambda grid: grid["lines"].__setitem__(0, coupler))


@pytest.mark.parametrize("coupler", [{"coupler": False}, {"coupler": True, "r_mohm": 1.0}])
def test_45_a_coupler_is_that_alone(coupler: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"grid\.lines\[0\]\.(coupler|r_mohm)"):
        changed("45", lambda grid: grid["lines"].__setitem__(0, {"from": "T", "to": "BB1", **coupler}))


def test_46_micro_ohms_are_as_good_as_couplers() -> None:
    def couple(grid: dict[str, Any]) -> None:
        for k in (0, 2):
            ends = {end: grid["lines"][k][end] for end in ("from", "to")}
            grid["lines"][k] = {**ends, "coupler": True}

    _, v_pu, i_a = flow(load_config(case("46")), "46")
    _, v_coupled, i_coupled = flow(changed("46", couple), "46")
    assert v_pu == pytest.approx(v_coupled, abs=1e-6)
    assert i_a == pytest.approx(i_coupled, abs=1e-3)
    assert v_coupled["A"] == v_coupled["B"]


def test_51_every_line_has_a_key_of_its_own() -> None:
    config = changed("51", lambda grid: grid["lines"][3].update(name="house_2"))
    _, _, i_a = flow(config, "51")
    assert list(i_a) == ["T-F1", "F1-F1-1", "F1-1-2", "house_2"]
    assert_like_another_library(config, "51")


def test_52_the_direction_in_which_a_line_is_given_changes_nothing() -> None:
    def turn(grid: dict[str, Any]) -> None:
        for line in grid["lines"]:
            line["from"], line["to"] = line["to"], line["from"]

    _, v_pu, i_a = flow(load_config(case("52")), "52")
    _, v_turned, i_turned = flow(changed("52", turn), "52")
    assert v_pu == pytest.approx(v_turned, abs=1e-12)
    assert list(i_a.values()) == pytest.approx(list(i_turned.values()))
    assert_like_another_library(load_config(case("52")), "52")


def test_53_names_in_any_script() -> None:
    _, v_pu, i_a = flow(load_config(case("53")), "53")
    assert list(v_pu) == ["Straße.5", "Küche-Süd", "東京_1"]
    assert list(i_a) == ["Straße.5-Küche-Süd", "Küche-Süd-東京_1"]


def test_53_a_name_that_looks_alike_is_alike() -> None:
    """Editors and exports write ü as one character or as two."""
    change = {"node": normalize("NFD", "Küche-Süd")}
    assert change["node"] != "Küche-Süd"
    document: Any = load_yaml(case("53"))
    document["prosumers"][0] |= change
    assert config_of(document, case("53")).prosumers[0].node == "Küche-Süd"


def test_54_words_of_yaml_in_quotes_are_names() -> None:
    text = case("54").read_text()
    for word in ("1e3", "0x10"):
        text = text.replace(f": {word}\n", f": '{word}'\n")
    document, _ = parse_yaml(text, "config.yaml")
    config = config_of(document, case("54"))
    assert config.grid.network().nodes == ("T", "NO", "ON", "1e3", "0x10", "nan")


def test_55_cables_charge() -> None:
    config = load_config(case("55"))
    assert_like_another_library(config, "55")
    _, v_pu, _ = flow(config, "55")
    assert v_pu["B"] > v_pu["S"]


def test_a_transformer_and_its_magnetising_branch_in_a_configuration() -> None:
    """The tap ratio moves all voltages behind it; the branch draws its own power from the supply."""

    def change(grid: dict[str, Any]) -> None:
        grid["lines"][0] |= {"ratio": 0.975, "r_mohm": 5.0, "x_mohm": 15.0, "i_max_a": 360.0}
        grid["shunts"] = [{"node": "T", "g_us": 1000.0, "b_us": -5000.0}]

    config = changed("52", lambda grid: (grid["lines"][0].update({"from": "T", "to": "A"}), change(grid)))
    network = config.grid.network()
    assert network.lines[0] == Line("T", "A", 0.005, 0.015, 0.0, 360.0, 0.975)
    idle = PowerFlow(network).solve(np.zeros((1, 2)), np.array([1.0]))
    np.testing.assert_allclose(np.abs(idle.v), 1 / 0.975)
    assert idle.s_slack[0] == pytest.approx(0.16 + 0.8j)


def test_a_shunt_is_at_a_node_of_the_grid() -> None:
    with pytest.raises(InputError, match=r'grid\.shunts\[0\]\.node: got "X"'):
        changed("52", lambda grid: grid.update(shunts=[{"node": "X", "g_us": 1.0}]))
