"""The plant's power flow agrees with the controller's, though they share no line of code."""

from dataclasses import replace

import numpy as np
import pytest

from core.network import Line, Network, Shunt
from mpc.grid.power_flow import PowerFlow
from sim_plant.grid import Grid

ENDS = [("N1", "N2"), ("N2", "N3"), ("N4", "N3"), ("N2", "N5"), ("N5", "N6")]


def tree(b_us: float = 0.0, **changes: Line) -> Network:
    """Five lines of different impedance; ``changes``: N2N3=Line(…) in place of the line from N2 to N3."""
    lines = [Line(a, b, 0.1 + 0.05 * k, 0.08 * k + 0.01, b_us) for k, (a, b) in enumerate(ENDS)]
    return Network("N1", 400.0, tuple(changes.get(line.from_node + line.to_node, line) for line in lines))


SHUNTS = Shunt("N1", 40.0, -200.0), Shunt("N3", 80.0, -400.0), Shunt("N3", 0.0, 900.0)
RAISING, TURNED = Line("N2", "N3", 0.1, 0.2, 300.0, ratio=1.05), Line("N4", "N3", 0.1, 0.2, ratio=0.95)
TINY = {"N2N3": Line("N2", "N3", 1e-9, 0), "N4N3": Line("N4", "N3", 2e-6, 0), "N2N5": Line("N2", "N5", 3e-5, 0)}
GRIDS = {
    "lines": (tree(), 1e-6),
    "charging": (tree(b_us=400.0), 1e-6),
    "transformer at the slack": (tree(N1N2=Line("N1", "N2", 0.01, 0.02, 300.0, ratio=0.975)), 1e-6),
    "transformers in series, one turned": (tree(N2N3=RAISING, N4N3=TURNED), 1e-6),
    "shunts": (replace(tree(), shunts=SHUNTS), 1e-6),
    "couplers": (tree(N1N2=Line("N1", "N2", 0, 0), N2N5=Line("N2", "N5", 0, 0)), 1e-2),
    "couplers in series": (tree(N2N3=Line("N2", "N3", 0, 0), N4N3=Line("N4", "N3", 0, 0)), 1e-2),
    "micro-ohm": (tree(**TINY), 1e-2),
}
"""Network, and how far currents may be apart, A, voltages a thousandth of it, p.u.: a coupler of the plant has a
resistance.
"""


@pytest.mark.parametrize("name", GRIDS)
def test_two_power_flows_agree(name: str) -> None:
    network, current_a = GRIDS[name]
    grid, flow = Grid(network), PowerFlow(network)
    random = np.random.default_rng(7)
    s = random.uniform(-4, 4, (30, 5)) + 1j * random.uniform(-3, 3, (30, 5))
    v_slack = random.uniform(0.95, 1.05, 30)
    expected = flow.solve(-s, v_slack)
    assert expected.solved.all()
    for t in range(30):
        state = grid.solve(dict(zip(network.nodes[1:], s[t], strict=True)), v_slack[t])
        assert list(state.v_pu) == list(network.nodes)
        np.testing.assert_allclose(
            list(state.v_pu.values()), [v_slack[t], *np.abs(expected.v[t])], atol=1e-3 * current_a
        )
        np.testing.assert_allclose(list(state.i_a.values()), np.abs(expected.i[t]), atol=current_a)
        assert state.slack_kva == pytest.approx(expected.s_slack[t], abs=current_a)


def test_a_power_that_has_all_but_died_away_is_none(gridlab9_network: Network) -> None:
    grid, random = Grid(gridlab9_network), np.random.default_rng(3)
    for exponent in random.uniform(-310, -280, 2000):
        demand = {node: complex(*random.uniform(-1, 1, 2)) * 10.0**exponent for node in ("N5", "N7", "N9")}
        assert grid.solve(demand, 1.0).solved


def test_a_step_leaves_no_trace_in_the_next(gridlab9_network: Network) -> None:
    grid = Grid(gridlab9_network)
    before = grid.solve({"N5": 3 + 1j}, 1.01)
    assert not grid.solve({"N5": 400 + 0j}, 1.0).solved
    assert grid.solve({"N5": 3 + 1j}, 1.01) == before


def test_a_collapsed_grid_is_dead(gridlab9_network: Network) -> None:
    state = Grid(gridlab9_network).solve({"N9": 500 + 0j}, 1.0)
    assert not state.solved
    assert set(state.v_pu.values()) == set(state.i_a.values()) == {0.0}
    assert state.slack_kva == 0


def test_demand_at_the_slack_touches_no_line(gridlab9_network: Network) -> None:
    state = Grid(gridlab9_network).solve({"N1": 5 + 2j}, 1.0)
    assert max(state.i_a.values()) < 1e-6
    assert state.slack_kva == pytest.approx(5 + 2j)


def test_each_node_is_fed_from_the_side_of_the_slack() -> None:
    lines = (Line("N3", "N2", 0.1, 0.1), Line("N2", "N1", 0.1, 0.1), Line("N3", "N4", 0.1, 0.1))
    assert Network("N1", 400.0, lines).feeds == {"N2": "N2-N1", "N3": "N3-N2", "N4": "N3-N4"}
