"""Least squares over voltages: each reading against all others, its deviation, and what is learned of the lines."""

from dataclasses import replace

import numpy as np
import pytest

from core.config import Config
from core.network import Network, Shunt
from mpc.grid.estimation import LINE_STD, Estimate, GridEstimator, GridSample, LineFactors
from sim_plant.grid import Grid
from tests.support.metered_grid import scaled

STD_PU = 0.001
DEMAND = {"N3": 3 + 0.2j, "N4": -2 + 0.1j, "N5": 1.5 - 0.3j, "N7": -4 + 0j, "N9": 2 + 0.5j}


@pytest.fixture(scope="module")
def network(gridlab9_config: Config) -> Network:
    return gridlab9_config.grid.network()


@pytest.fixture(scope="module")
def estimator(network: Network) -> GridEstimator:
    return GridEstimator(network, network.nodes, np.full(len(network.nodes), STD_PU))


def sample(
    network: Network, factor: float = 1.0, std_kva: float = 0.02, noise: float = 0.0, seed: int = 0
) -> GridSample:
    state = Grid(scaled(network, factor)).solve(DEMAND, 1.01)
    v_pu = np.array([state.v_pu[node] for node in network.nodes])
    v_pu += noise * np.random.default_rng(seed).normal(size=len(v_pu))
    demand = np.array([DEMAND.get(node, 0j) for node in network.nodes[1:]])
    return GridSample(v_pu, demand, np.full(len(demand), std_kva))


def estimated(estimator: GridEstimator, one: GridSample, distrusted: tuple[int, ...] = ()) -> Estimate:
    result = estimator.estimate(one, LineFactors.unknown(8), distrusted)
    assert result is not None
    return result


def test_without_errors_the_estimate_is_the_independent_power_flow(network: Network, estimator: GridEstimator) -> None:
    one = sample(network)
    result = estimated(estimator, one)
    assert result.node_v_pu == pytest.approx(one.v_pu, abs=2e-6)
    assert np.abs(result.off_pu).max() < 1e-5
    assert result.slack_kva == pytest.approx(Grid(network).solve(DEMAND, 1.01).slack_kva, abs=0.02)


def test_a_transformer_at_another_tap_is_no_error_of_a_line(network: Network) -> None:
    """The step at the transformer is no voltage drop, also in a line that is given from its end."""
    lines = list(network.lines)
    lines[0] = replace(lines[0], ratio=1.05)
    lines[5] = replace(lines[5], from_node="N7", to_node="N6", ratio=1.025)
    tapped = replace(network, lines=tuple(lines), shunts=(Shunt("N1", 50.0, -300.0),))
    estimator = GridEstimator(tapped, tapped.nodes, np.full(9, STD_PU))
    honest = estimated(estimator, sample(tapped))
    assert np.abs(honest.off_pu).max() < 1e-5
    assert honest.wrong == ()
    assert honest.factors.mean == pytest.approx(0, abs=1e-3)
    longer = estimated(estimator, sample(tapped, factor=1.2))
    assert longer.wrong == ()
    assert longer.explained


@pytest.mark.parametrize("reading", range(9))
def test_a_reading_is_compared_with_all_others_as_if_it_were_not_there(
    network: Network, estimator: GridEstimator, reading: int
) -> None:
    one = sample(network, noise=STD_PU)
    among, apart = estimated(estimator, one), estimated(estimator, one, (reading,))
    assert among.off_pu[reading] == pytest.approx(apart.off_pu[reading], abs=1e-7)
    assert among.std_pu[reading] == pytest.approx(apart.std_pu[reading], rel=1e-4)


def test_the_stated_deviation_is_that_of_honest_readings(network: Network) -> None:
    exact = GridEstimator(network, network.nodes, np.full(len(network.nodes), STD_PU))
    known = LineFactors(np.zeros(8), 1e-10 * np.eye(8))
    results = [exact.estimate(sample(network, std_kva=1e-6, noise=STD_PU, seed=k), known) for k in range(300)]
    off = np.array([result.off_pu / result.std_pu for result in results if result])
    assert off.std(axis=0) == pytest.approx(np.ones(9), abs=0.15)


@pytest.mark.parametrize("factor", [0.7, 1.3])
def test_factors_of_the_lines_are_learned(network: Network, estimator: GridEstimator, factor: float) -> None:
    factors = LineFactors.unknown(8)
    for k in range(1500):
        result = estimator.estimate(sample(network, factor, noise=0.0002, seed=k), factors)
        assert result is not None
        assert result.wrong == ()
        factors = result.factors
    assert factors.mean[0] == pytest.approx(factor - 1, abs=0.15)
    assert np.sqrt(factors.covariance[0, 0]) < 0.8 * LINE_STD


def test_unknown_demand_makes_nobody_wrong(network: Network, estimator: GridEstimator) -> None:
    one = sample(network)
    blind = GridSample(one.v_pu, np.zeros_like(one.demand_kva), np.full(8, 3.0))
    assert estimated(estimator, blind).wrong == ()


def test_too_few_readings_and_a_dead_grid_have_no_estimate(network: Network, estimator: GridEstimator) -> None:
    one = sample(network)
    alone = np.where(np.arange(9) == 3, one.v_pu, np.nan)
    for v_pu in (alone, np.zeros(9)):
        assert estimator.estimate(GridSample(v_pu, one.demand_kva, one.demand_std_kva), LineFactors.unknown(8)) is None
