"""Voltage slopes: the sums they are made of, and that all prosumers together are stable with them."""

from dataclasses import replace

import numpy as np
import pytest

from core.arrays import FloatArray
from core.network import Network
from core.scenario import Scenario
from mpc.grid.rows import GridModel
from mpc.grid.slope import ALPHA, DEAD_BAND_PU, gains, voltage_slopes
from tests.support.synthetic import scenario

RNG = np.random.default_rng(0)
UNSEEN = 1e-4
"""Growth per cycle of a mode that no voltage shows: prosumers between whom there is no reactance share the reactive
power as it happens to come, and a plan is replaced after 20 cycles.
"""
FEEDERS = {f"{n} of {nodes}": scenario(nodes, n, seed=n, step_min=60) for nodes, n in ((15, 5), (40, 20), (12, 30))}


def profiles(grid: Scenario, seed: int = 0) -> FloatArray:
    """Some demand of every prosumer, [N, T, 2]: much sun at noon, some load at night."""
    rng = np.random.default_rng(seed)
    hour = np.linspace(0, 24, grid.axis.n_steps)
    shape = 1 - 3 * np.clip(np.cos((hour - 13) / 5), 0, None)
    total = 6.0 / len(grid.sites) * shape * rng.uniform(0.5, 1.5, (len(grid.sites), 1))
    return np.stack([total, 0.2 * total], axis=2)


def drop(grid: Scenario, network: Network | None = None) -> FloatArray:
    """S of every step, [T, N, N, 2]; on another network than that of the scenario if one is given."""
    model = GridModel(replace(grid.problem, network=network or grid.network), 1.0)
    return -model.voltage_per_demand(model.linearise(profiles(grid)))


def wrong(network: Network, rng: np.random.Generator, low: float = 0.7, high: float = 1.3) -> Network:
    """Each line with impedances that are wrong by up to 30 %."""
    factors = rng.uniform(low, high, len(network.lines))
    lines = (
        replace(line, r_ohm=f * line.r_ohm, x_ohm=f * line.x_ohm)
        for line, f in zip(network.lines, factors, strict=True)
    )
    return Network(network.slack, network.voltage_v, tuple(lines))


@pytest.fixture(params=["gridlab9", *FEEDERS])
def grid(request: pytest.FixtureRequest, gridlab9: Scenario) -> Scenario:
    return FEEDERS.get(request.param, gridlab9)


def test_sensitivities_against_finite_differences(gridlab9: Scenario) -> None:
    model, x = GridModel(gridlab9.problem, 1.0), profiles(gridlab9)
    found = model.voltage_per_demand(model.linearise(x))
    at = [gridlab9.network.index(site.node) - 1 for site in gridlab9.sites]
    for j in range(len(at)):
        for axis in range(2):
            h = np.zeros_like(x)
            h[j, :, axis] = 0.01
            difference = (np.abs(model.flow(x + h).v) - np.abs(model.flow(x - h).v))[:, at] / 0.02
            np.testing.assert_allclose(found[:, :, j, axis], difference, atol=1e-7)


def test_a_cycle_removes_the_share_alpha_of_a_common_change(grid: Scenario) -> None:
    """In the step with the largest sensitivities, and less in all others."""
    s = drop(grid)
    removed = gains(s) * s.sum(axis=2)
    np.testing.assert_allclose(removed.max(axis=0), ALPHA)
    assert removed.min() > 0.6 * ALPHA


def test_a_slope_says_no_more_than_two_sums_and_the_band(grid: Scenario) -> None:
    """Two grids with the same sums give the same slopes: which line is which, and who is where, cannot be told."""
    model = GridModel(grid.problem, 1.0)
    slopes, s = voltage_slopes(model, model.linearise(profiles(grid))), drop(grid)
    for k, slope in enumerate(slopes):
        assert vars(slope).keys() == {"v_low_pu", "v_high_pu", "kw_per_pu", "kvar_per_pu"}
        sums = np.abs(s).sum(axis=2).max(axis=0)[k]
        np.testing.assert_allclose([slope.kw_per_pu, slope.kvar_per_pu], ALPHA / sums, rtol=1e-9)
        limits = grid.limits
        assert (slope.v_low_pu, slope.v_high_pu) == (limits.v_min_pu + DEAD_BAND_PU, limits.v_max_pu - DEAD_BAND_PU)


def test_power_that_moves_nothing_has_no_slope() -> None:
    s = np.full((3, 2, 2, 2), 1e-3)
    s[..., 1] = 1e-6
    assert gains(s)[:, 1].tolist() == [0.0, 0.0]
    assert (gains(s)[:, 0] > 0).all()
    assert (gains(-s) == 0).all(), "nor has power that would move it the wrong way"


def test_the_loop_is_stable_for_any_mixture_of_p_and_q_and_impedances_30_percent_wrong(grid: Scenario) -> None:
    """Eigenvalues μ of S K: |1 − μ| < 1, where each prosumer's correction is active or reactive power or both."""
    k, rng = gains(drop(grid)), np.random.default_rng(1)
    scaled = [wrong(grid.network, rng, f, f) for f in (0.7, 1.0, 1.3)]
    for network in (*scaled, *(wrong(grid.network, rng) for _ in range(5))):
        s = drop(grid, network)
        for t in range(0, grid.axis.n_steps, max(grid.axis.n_steps // 6, 1)):
            for _ in range(20):
                share = rng.choice([rng.uniform(0, 1, len(k)), rng.integers(0, 2, len(k)).astype(float)])
                loop = s[t, :, :, 0] * (k[:, 0] * share) + s[t, :, :, 1] * (k[:, 1] * (1 - share))
                eigenvalues = np.linalg.eigvals(loop)
                assert np.abs(1 - eigenvalues).max() < 1 + UNSEEN
                assert np.abs(eigenvalues).max() < 1.3 * ALPHA * 1.1


def test_twice_the_gain_would_not_be(gridlab9: Scenario) -> None:
    k = 2 * gains(drop(gridlab9))
    s = drop(gridlab9, wrong(gridlab9.network, RNG, 1.3, 1.3))
    assert max(np.abs(1 - np.linalg.eigvals(s[t, :, :, 0] * k[:, 0])).max() for t in range(len(s))) > 1.5
