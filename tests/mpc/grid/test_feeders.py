"""A grid cut into feeders, and the rows of its voltages against the power flow."""

from dataclasses import replace

import numpy as np
import pytest

from core.arrays import FloatArray
from core.network import Line, Network
from mpc.grid.feeders import Feeders, voltage_rows
from mpc.grid.rows import GridModel
from tests.support.synthetic import scenario

CAP = 3.0


def network() -> Network:
    """Slack S, fork F, two feeders A1–A2 and B1–B2, of which B2 begins one more."""
    ends = ("S", "F"), ("F", "A1"), ("A1", "A2"), ("F", "B1"), ("B2", "B1"), ("B2", "C")
    return Network("S", 400.0, tuple(Line(a, b, 0.1, 0.05) for a, b in ends))


FEEDERS = Feeders(
    network(),
    {"supply": "S", "fork": "F", "a": "A1", "b": "B1", "c": "B2"},
    {"one": "A2", "two": "A1", "three": "B1", "four": "C", "five": "F"},
)


def test_a_feeder_is_what_lies_behind_its_head() -> None:
    assert {node: FEEDERS.feeder_of(node) for node in FEEDERS.network.nodes} == {
        "S": "supply", "F": "fork", "A1": "a", "A2": "a", "B1": "b", "B2": "c", "C": "c",
    }  # fmt: skip
    assert {name: FEEDERS.parent(name) for name in FEEDERS.heads} == {
        "supply": None, "fork": "supply", "a": "fork", "b": "fork", "c": "b",
    }  # fmt: skip


def test_children_with_the_prosumers_behind_them() -> None:
    assert FEEDERS.children == {
        "supply": {"fork": ("one", "two", "three", "four", "five")},
        "fork": {"a": ("one", "two"), "b": ("three", "four"), "five": ("five",)},
        "a": {"one": ("one",), "two": ("two",)},
        "b": {"three": ("three",), "c": ("four",)},
        "c": {"four": ("four",)},
    }
    assert FEEDERS.limited_nodes("supply") == ("F",)
    assert FEEDERS.limited_nodes("fork") == ("A1", "B1")
    assert FEEDERS.limited_nodes("a") == ("A2",), "its own head is a row of the feeder before"
    assert FEEDERS.limited_nodes("b") == ("B2",)


@pytest.fixture(scope="module")
def grid() -> GridModel:
    base = scenario(n_nodes=2, n_prosumers=5, seed=3, step_min=240)
    sites = tuple(
        replace(site, name=name, node=node)
        for site, (name, node) in zip(base.sites, FEEDERS.nodes.items(), strict=True)
    )
    return GridModel(replace(base, network=network(), sites=sites).problem, CAP)


def profiles(grid: GridModel, seed: int, size_kw: float) -> dict[str, FloatArray]:
    rng = np.random.default_rng(seed)
    steps = grid.problem.axis.n_steps
    return {name: rng.uniform(-size_kw, size_kw, (steps, 2)) for name in FEEDERS.nodes}


def linear(feeder: str, x0: dict[str, FloatArray], x: dict[str, FloatArray], grid: GridModel) -> dict[str, FloatArray]:
    """Voltages of the rows around x0 at x, by node."""
    stacked = np.stack(list(x0.values()))
    flow = grid.flow(stacked)
    k = grid.nodal_voltage_per_demand(grid.linearise(stacked))
    children = FEEDERS.children[feeder]
    sums = {child: sum(x[name] for name in names) for child, names in children.items()}
    return {
        row.node: row.offset_pu + sum(sums[child] @ a for child, a in row.coefficients.items())
        for row in voltage_rows(FEEDERS, feeder, x0, np.abs(flow.v), k)
    }


@pytest.mark.parametrize("feeder", list(FEEDERS.heads))
def test_rows_are_the_power_flow_at_their_own_point(grid: GridModel, feeder: str) -> None:
    x0 = profiles(grid, 1, 5.0)
    v_pu = np.abs(grid.flow(np.stack(list(x0.values()))).v)
    for node, values in linear(feeder, x0, x0, grid).items():
        np.testing.assert_allclose(values, v_pu[:, network().index(node) - 1], atol=1e-12)


@pytest.mark.parametrize("feeder", list(FEEDERS.heads))
def test_rows_follow_a_change_inside_the_feeder(grid: GridModel, feeder: str) -> None:
    """An error of second order: a tenth of the change has a hundredth of it, but for what differs between steps."""
    x0, move = profiles(grid, 2, 0.0), profiles(grid, 3, 1.0)
    inside = {name for names in FEEDERS.children[feeder].values() for name in names}
    errors = []
    for size in (1.0, 0.1):
        x = {name: x0[name] + size * move[name] * (name in inside) for name in x0}
        v_pu = np.abs(grid.flow(np.stack(list(x.values()))).v)
        found = linear(feeder, x0, x, grid)
        errors.append(max(np.abs(found[node] - v_pu[:, network().index(node) - 1]).max() for node in found))
    assert errors[0] < 2e-5
    assert errors[1] < 0.02 * errors[0] + 1e-9
