"""AC power flow against two other libraries, its derivatives against finite differences."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from core.arrays import FloatArray
from core.network import Line, Network, Shunt
from core.scenario import Scenario
from mpc.grid.power_flow import Flow, PowerFlow
from tests.support.independent_flow import IndependentFlow, pandapower_flow, power_grid_model_flow
from tests.support.synthetic import radial_network, turned_lines

STEPS = 4
MOVING_SLACK_PU = np.array([1.0, 0.95, 1.03, 1.08])
GRIDS = [(2, 0.0), (9, 0.0), (9, 5000.0), (40, 0.0), (40, 1000.0)]

Judge = Callable[[Network, FloatArray, FloatArray, FloatArray], IndependentFlow]


def grid_and_demand(n_nodes: int, b_us: float, seed: int) -> tuple[Network, FloatArray, FloatArray]:
    """A random grid, its lines in any direction, with some generation, some consumption and some idle nodes."""
    rng = np.random.default_rng(seed)
    network = turned_lines(radial_network(n_nodes, seed, b_us=b_us))
    p, q = (rng.normal(0, kva / n_nodes, (STEPS, n_nodes - 1)) for kva in (30, 10))
    p[:, ::3] = q[:, ::3] = 0 if n_nodes > 2 else p
    return network, p, q


def solved(power_flow: PowerFlow, p: FloatArray, q: FloatArray) -> Flow:
    return power_flow.solve(-(p + 1j * q), MOVING_SLACK_PU)


def assert_equal_flows(flow: Flow, judge: IndependentFlow) -> None:
    assert flow.solved.all()
    np.testing.assert_allclose(flow.v, judge.v, rtol=0, atol=1e-9)
    np.testing.assert_allclose(flow.i, judge.i, rtol=0, atol=1e-7)
    np.testing.assert_allclose(flow.s_slack, judge.s_slack, rtol=0, atol=1e-7)


@pytest.mark.parametrize("judge", [power_grid_model_flow, pandapower_flow])
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("n_nodes", "b_us"), GRIDS)
def test_flow_against_other_libraries(n_nodes: int, b_us: float, seed: int, judge: Judge) -> None:
    network, p, q = grid_and_demand(n_nodes, b_us, seed)
    flow = solved(PowerFlow(network), p, q)
    assert_equal_flows(flow, judge(network, p, q, MOVING_SLACK_PU))


@pytest.mark.parametrize("judge", [power_grid_model_flow, pandapower_flow])
@pytest.mark.parametrize("b_us", [0.0, 2000.0])
def test_flow_of_the_default_grid(gridlab9: Scenario, b_us: float, judge: Judge) -> None:
    network = gridlab9.network
    network = replace(network, lines=tuple(replace(line, b_us=b_us) for line in network.lines))
    rng = np.random.default_rng(5)
    p, q = rng.uniform(-4, 4, (STEPS, 8)), rng.uniform(-2, 2, (STEPS, 8))
    assert_equal_flows(
        solved(PowerFlow(network), p, q),
        judge(network, p, q, MOVING_SLACK_PU),
    )


@pytest.mark.parametrize(("n_nodes", "b_us"), GRIDS)
def test_slack_balances_demand_and_losses(n_nodes: int, b_us: float) -> None:
    """Losses r|I|² of every line, the current of the series branch; charging supplies b/2 |V|² at each end."""
    network, p, q = grid_and_demand(n_nodes, b_us, seed=2)
    flow = solved(PowerFlow(network), p, q)
    v_volt = np.column_stack([MOVING_SLACK_PU, flow.v]) * network.voltage_v
    losses = np.zeros(STEPS, complex)
    for line in network.lines:
        v_from, v_to = (v_volt[:, network.index(node)] for node in (line.from_node, line.to_node))
        impedance = complex(line.r_ohm, line.x_ohm)
        losses += np.abs(v_from - v_to) ** 2 / np.conj(impedance)
        losses -= 0.5e-6j * line.b_us * (np.abs(v_from) ** 2 + np.abs(v_to) ** 2)
    balance = (p + 1j * q).sum(axis=1) + losses / 1e3
    np.testing.assert_allclose(flow.s_slack, balance, rtol=0, atol=1e-8)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("n_nodes", "b_us"), GRIDS)
def test_sensitivities_against_finite_differences(n_nodes: int, b_us: float, seed: int) -> None:
    network, p, q = grid_and_demand(n_nodes, b_us, seed)
    assert_sensitivities(network, p, q, seed)


@pytest.mark.parametrize("seed", [0, 1])
def test_sensitivities_with_transformers_shunts_and_couplers(seed: int) -> None:
    network, p, q = grid_and_demand(9, 3000.0, seed)
    lines = list(network.lines)
    for k, ratio in ((0, 0.95), (3, 1.04), (4, 0.98)):
        lines[k] = replace(lines[k], ratio=ratio)
    lines[2] = replace(lines[2], r_ohm=0.0, x_ohm=0.0, b_us=0.0)
    shunts = Shunt(network.slack, 100.0, -3000.0), Shunt(network.nodes[4], 500.0, -8000.0)
    assert_sensitivities(replace(network, lines=tuple(lines), shunts=shunts), p, q, seed)


def assert_sensitivities(network: Network, p: FloatArray, q: FloatArray, seed: int) -> None:
    """Against central differences, for some columns and some lines."""
    n_nodes, power_flow = len(network.nodes), PowerFlow(network)
    rng = np.random.default_rng(seed)
    columns = np.unique(rng.integers(0, n_nodes - 1, 4))
    lines = rng.permutation(n_nodes - 1)[:5]
    exact = power_flow.sensitivities(-(p + 1j * q), solved(power_flow, p, q), columns, lines)
    h = 0.01
    for m, column in enumerate(columns):
        for axis in range(2):
            dp, dq = np.zeros((2, *p.shape))
            (dp, dq)[axis][:, column] = h
            above, below = (solved(power_flow, p + sign * dp, q + sign * dq) for sign in (1, -1))
            differences = {
                "v": np.abs(above.v) - np.abs(below.v),
                "i": (above.i - below.i)[:, lines],
                "s_slack": above.s_slack - below.s_slack,
            }
            for name, difference in differences.items():
                derivative = getattr(exact, name)[..., m, axis]
                error = np.abs(derivative - difference / (2 * h)).max()
                assert error < 1e-6 * np.abs(getattr(exact, name)).max(), (name, m, axis)


def test_sensitivities_do_not_depend_on_how_many_steps_are_solved_at_once() -> None:
    """Long horizons of large grids are worked off in blocks."""
    n_nodes, steps = 100, 144
    rng = np.random.default_rng(0)
    power_flow = PowerFlow(radial_network(n_nodes, 0))
    s, v_slack = rng.normal(0, 30 / n_nodes, (steps, n_nodes - 1)).astype(complex), np.full(steps, 1.02)
    columns, lines = np.arange(0, 90, 30), np.arange(5)
    together = power_flow.sensitivities(s, power_flow.solve(s, v_slack), columns, lines)
    for t in (0, 71, 72, 143):
        one = s[t : t + 1]
        alone = power_flow.sensitivities(one, power_flow.solve(one, v_slack[:1]), columns, lines)
        for name in ("v", "i", "s_slack"):
            np.testing.assert_allclose(getattr(together, name)[t], getattr(alone, name)[0], rtol=1e-9)


@pytest.mark.parametrize("b_us", [0.0, 5000.0])
def test_no_load_current_is_the_charging_current(b_us: float) -> None:
    network = Network("S", 400.0, (Line("S", "A", 0.1, 0.05, b_us),))
    flow = PowerFlow(network).solve(np.zeros((1, 1), complex), np.ones(1))
    assert flow.s_slack[0].imag == pytest.approx(-b_us * 1e-6 * 400**2 / 1e3, rel=1e-3, abs=1e-12)
    assert flow.i[0, 0].imag == pytest.approx(b_us * 1e-6 * 400 / np.sqrt(3), rel=1e-3, abs=1e-12)


def test_collapse_is_said_per_step(gridlab9: Scenario) -> None:
    power_flow = PowerFlow(gridlab9.network)
    s = np.zeros((3, 8), complex)
    s[1, -1] = -500.0
    flow = power_flow.solve(s, np.ones(3))
    assert flow.solved.tolist() == [True, False, True]
    assert not flow.v[1].any()
    np.testing.assert_allclose(np.abs(flow.v[[0, 2]]), 1.0)
    with pytest.raises(ValueError, match="no solution"):
        power_flow.sensitivities(s, flow, np.arange(8), np.arange(8))


def test_near_collapse_the_flow_is_right_or_refused() -> None:
    """Up to the largest power a line can carry, and beyond it: v²(v0² − v²) = (r p)² of a resistive line, q = 0."""
    network = Network("S", 400.0, (Line("S", "A", 1.0, 0.0),))
    p_max_kw = 400.0**2 / 4 / 1e3
    p = p_max_kw * np.array([0.5, 0.9, 0.99, 1.01, 1.5])[:, None]
    flow = PowerFlow(network).solve(-p.astype(complex), np.ones(5))
    expected = 0.5 + 0.5 * np.sqrt(np.maximum(1 - p[:, 0] / p_max_kw, 0))
    assert flow.solved[:2].all()
    assert not flow.solved[3:].any()
    np.testing.assert_allclose(flow.v[flow.solved, 0].real, expected[flow.solved], atol=1e-6)
