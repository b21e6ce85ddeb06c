"""Rows of the linearised grid: what they say at and around the power flow that they were taken from."""

from dataclasses import fields, replace

import numpy as np
import pytest

from core.network import Line, Network
from core.resources import Outlook
from core.scenario import Scenario, Site
from mpc.grid.rows import PU_PER_RATING, GridModel, by_prosumer, by_step
from tests.support.independent_flow import reference_flow
from tests.support.synthetic import Sizes, random_demand, scenario, site_with, with_slack_voltage

PRICE_CAP = 2.0

GRIDS = {
    "plain": scenario(step_min=60),
    "line limits": scenario(step_min=60, sizes=Sizes(i_max_a=25.0)),
    "shared nodes": scenario(n_nodes=4, n_prosumers=6, step_min=60, sizes=Sizes(i_max_a=25.0)),
    "charging": replace(scenario(step_min=60), network=replace(scenario().network, lines=tuple(
        replace(line, b_us=3000.0, i_max_a=25.0 if k % 3 else None) for k, line in enumerate(scenario().network.lines)
    ))),
    "low supply": with_slack_voltage(scenario(step_min=60), 0.96),
}  # fmt: skip

each_grid = pytest.mark.parametrize("grid", GRIDS.values(), ids=GRIDS)


def model(scenario: Scenario) -> GridModel:
    return GridModel(scenario.problem, PRICE_CAP)


@each_grid
def test_rows_are_equilibrated(grid: Scenario) -> None:
    rows = model(grid).linearise(random_demand(grid, 1, 4, 2))
    assert rows.a.shape == (*rows.lower.shape, 2 * len(grid.sites))
    norm = np.linalg.norm(rows.a, axis=2)
    np.testing.assert_allclose(norm[norm > 1e-9], 1, rtol=1e-12)
    np.testing.assert_array_equal(rows.kappa > 0, norm > 1e-9)
    assert (rows.lower <= rows.upper).all()
    assert all(np.isfinite(getattr(rows, f.name)).all() for f in fields(rows))


@each_grid
def test_rows_equal_the_ac_flow_where_they_were_claimed(grid: Scenario) -> None:
    """Voltages in p.u., slack power in tenths of its rating, both by power-grid-model."""
    x = random_demand(grid, 2, 4, 2)
    rows, ac = model(grid).linearise(x), reference_flow(grid, x)
    n, rating = len(grid.network.nodes) - 1, grid.limits.slack_s_max_kva
    linear = (rows.value(x) - rows.offset) * rows.norm
    np.testing.assert_allclose(linear[:, :n], np.abs(ac.v), atol=1e-9)
    np.testing.assert_allclose(linear[:, n] * 10 * rating, ac.s_slack.real, atol=1e-6)
    np.testing.assert_allclose(linear[:, n + 1] * 10 * rating, ac.s_slack.imag, atol=1e-6)


@each_grid
def test_bounds_are_the_limits(grid: Scenario) -> None:
    """On the scale of the quantities themselves."""
    rows, limits = model(grid).linearise(random_demand(grid, 3, 4, 2)), grid.limits
    upper, lower = ((bound - rows.offset) * rows.norm for bound in (rows.upper, rows.lower))
    n, rating = len(grid.network.nodes) - 1, limits.slack_s_max_kva
    np.testing.assert_allclose(upper[:, :n], limits.v_max_pu)
    np.testing.assert_allclose(lower[:, :n], limits.v_min_pu)
    for bound, sign in ((upper, 1), (lower, -1)):
        np.testing.assert_allclose(sign * bound[:, n] * 10 * rating, rating * limits.slack_pf_min)
        np.testing.assert_allclose(sign * bound[:, n + 1] * 10 * rating, rating * np.sqrt(1 - limits.slack_pf_min**2))


@pytest.mark.parametrize("margin_pu", [0.01, np.linspace(0, 0.02, 14)], ids=["one", "per node"])
def test_margin_narrows_the_voltage_band(margin_pu: float | np.ndarray) -> None:
    """And nothing else; violations count from the narrowed band."""
    grid = GRIDS["line limits"]
    x, n = random_demand(grid, 3, 12, 9), len(grid.network.nodes) - 1
    wide, narrow = model(grid), model(replace(grid, margin_pu=margin_pu))
    before, after = wide.linearise(x), narrow.linearise(x)
    margins = np.broadcast_to(margin_pu, (grid.axis.n_steps, n))
    np.testing.assert_allclose(((before.upper - after.upper) * after.norm)[:, :n], margins, atol=1e-12)
    np.testing.assert_allclose(((after.lower - before.lower) * after.norm)[:, :n], margins, atol=1e-12)
    np.testing.assert_array_equal(after.upper[:, n:], before.upper[:, n:])
    np.testing.assert_array_equal(after.lower[:, n:], before.lower[:, n:])
    v, limits = np.abs(reference_flow(grid, x).v), grid.limits
    expected = np.maximum(v - limits.v_max_pu, limits.v_min_pu - v) + margin_pu
    assert narrow.violation(narrow.flow(x)).v_pu == pytest.approx(expected.max(), abs=1e-9)
    assert expected.max() > 0.01


def test_a_margin_of_reactive_power_narrows_its_limit() -> None:
    """And nothing else; violations count from the narrowed limit."""
    grid, margin_kvar = GRIDS["line limits"], 0.5
    x, row = random_demand(grid, 3, 12, 9), len(grid.network.nodes)
    wide, narrow = model(grid), model(replace(grid, reactive_margin_kvar=margin_kvar))
    before, after = wide.linearise(x), narrow.linearise(x)
    for was, now in ((before.upper, after.upper), (after.lower, before.lower)):
        kvar = (was - now) * after.norm * grid.limits.slack_s_max_kva / PU_PER_RATING
        np.testing.assert_allclose(kvar[:, row], margin_kvar, atol=1e-9)
        np.testing.assert_array_equal(np.delete(was, row, axis=1), np.delete(now, row, axis=1))
    q_kvar = np.abs(reference_flow(grid, x).s_slack.imag).max()
    expected = q_kvar - grid.limits.slack_q_max_kvar + margin_kvar
    assert narrow.violation(narrow.flow(x)).slack_q_kvar == pytest.approx(expected, abs=1e-6)
    assert expected > 0.01


@each_grid
def test_tangents_are_of_second_order(grid: Scenario) -> None:
    model_, x, step = model(grid), random_demand(grid, 4, 4, 2), random_demand(grid, 5, 1, 1)
    rows = model_.linearise(x)
    error = [model_.linearisation_error_pu(rows, y, model_.flow(y)) for y in (x, x + step, x + step / 2, x + step / 4)]
    assert error[0] < 1e-12
    assert error[1] / error[2] == pytest.approx(4, rel=0.1)
    assert error[2] / error[3] == pytest.approx(4, rel=0.1)


@each_grid
def test_contributions_add_up(grid: Scenario) -> None:
    x = random_demand(grid, 6, 4, 2)
    rows = model(grid).linearise(x)
    np.testing.assert_array_equal(by_prosumer(by_step(x)), x)
    np.testing.assert_allclose(rows.contributions(x).sum(axis=0), rows.value(x), atol=1e-12)


@each_grid
def test_prices_of_profiles_are_the_adjoint(grid: Scenario) -> None:
    """(A'λ)'x = λ'(A x), and λ'y ≤ u'λ⁺ − l'λ⁻ for everything y within the rows."""
    x = random_demand(grid, 7, 4, 2)
    rows = model(grid).linearise(x)
    prices = np.random.default_rng(7).normal(size=rows.lower.shape)
    assert np.sum(rows.to_profiles(prices) * x) == pytest.approx(np.sum(prices * rows.value(x)))
    corner = np.where(prices > 0, rows.upper, rows.lower)
    assert rows.shadow_cost(prices) == pytest.approx(np.sum(prices * corner))
    assert rows.shadow_cost(prices) >= np.sum(prices * np.clip(rows.value(x), rows.lower, rows.upper))


@pytest.mark.parametrize("p_kw", [2.0, 6.0, 15.0])
@each_grid
def test_violations_by_another_library(grid: Scenario, p_kw: float) -> None:
    x = random_demand(grid, 8, p_kw, p_kw)
    model_, ac, limits = model(grid), reference_flow(grid, x), grid.limits
    found = model_.violation(model_.flow(x))
    v = np.abs(ac.v)
    rated = np.array([line.i_max_a or np.inf for line in grid.network.lines])
    expected = {
        "v_pu": max(v.max() - limits.v_max_pu, limits.v_min_pu - v.min(), 0),
        "slack_p_kw": max(np.abs(ac.s_slack.real).max() - limits.slack_p_max_kw, 0),
        "slack_q_kvar": max(np.abs(ac.s_slack.imag).max() - limits.slack_q_max_kvar, 0),
        "line_a": max((np.abs(ac.i) - rated).max(), 0),
    }
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, abs=1e-6)
    power = 0.1 * max(expected["slack_p_kw"], expected["slack_q_kvar"]) / limits.slack_s_max_kva
    current = 0.1 * max((np.abs(ac.i) / rated).max() - 1, 0)
    assert found.worst_pu == pytest.approx(max(expected["v_pu"], power, current), abs=1e-8)


def test_current_polygon_is_inside_the_disc_by_two_percent() -> None:
    """One line, currents of all angles around its limit."""
    network = Network("S", 400.0, (Line("S", "A", 0.01, 0.005, i_max_a=20.0),))
    base = scenario(step_min=15)
    steps = base.axis.n_steps
    one = replace(base, network=network, sites=(Site("A", "A", base.sites[0].resources),))
    for kva in np.linspace(12, 15.5, 30):
        angle = np.linspace(0, 2 * np.pi, steps)
        x = kva * np.column_stack([np.cos(angle), np.sin(angle)])[None]
        rows, current = model(one).linearise(x), np.abs(reference_flow(one, x).i[:, 0])
        inside = (rows.excess(rows.value(x))[:, 3:] == 0).all(axis=1)
        assert current[inside].max(initial=0) <= 20.0 + 1e-9
        assert current[~inside].min(initial=np.inf) >= 0.98 * 20.0


def test_rows_without_influence_have_no_price() -> None:
    """Two feeders, everybody on one of them: the other one is nobody's fault."""
    lines = (Line("S", "A", 0.3, 0.1), Line("S", "B", 0.3, 0.1, i_max_a=5.0))
    base = scenario(n_prosumers=2, step_min=60)
    sites = tuple(replace(site, node="A") for site in base.sites)
    grid = with_slack_voltage(replace(base, network=Network("S", 400.0, lines), sites=sites), 0.9)
    rows = model(grid).linearise(random_demand(grid, 9, 2, 1))
    assert rows.kappa.shape[1] == 2 + 2 + 8
    assert (rows.kappa[:, [0, 2, 3]] > 0).all()
    assert not rows.kappa[:, [1, *range(4, 12)]].any()
    assert not rows.a[:, [1, *range(4, 12)]].any()


def test_kappa_caps_the_price_of_a_kwh(gridlab9: Scenario) -> None:
    """|A'λ| ≤ price cap × Δt for a single row at its dearest."""
    rows = model(gridlab9).linearise(random_demand(gridlab9, 10, 2, 1))
    dearest = (np.abs(rows.a) * rows.kappa[:, :, None]).max(axis=2)
    np.testing.assert_allclose(dearest, PRICE_CAP * gridlab9.axis.dt_h)


def test_prosumers_at_one_node_have_equal_columns() -> None:
    grid = GRIDS["shared nodes"]
    columns = model(grid).linearise(random_demand(grid, 11, 4, 2)).per_prosumer()
    nodes = [site.node for site in grid.sites]
    assert len(set(nodes)) < len(nodes)
    for node, column in zip(nodes, columns, strict=True):
        np.testing.assert_array_equal(column, columns[nodes.index(node)])


@each_grid
def test_after_drops_the_passed_steps(grid: Scenario) -> None:
    x = random_demand(grid, 12, 4, 2)
    rows = model(grid).linearise(x)
    rest = rows.after(7)
    assert all((getattr(rest, f.name) == getattr(rows, f.name)[7:]).all() for f in fields(rows))
    np.testing.assert_array_equal(rest.value(x[:, 7:]), rows.value(x)[7:])


def test_a_collapsed_step_is_linearised_where_it_has_not_collapsed(gridlab9: Scenario) -> None:
    x = random_demand(gridlab9, 13, 2, 1)
    x[:, 17] = [200.0, 50.0]
    model_ = model(gridlab9)
    assert np.flatnonzero(~model_.flow(x).solved).tolist() == [17]
    rows = model_.linearise(x)
    assert all(np.isfinite(getattr(rows, f.name)).all() for f in fields(rows))
    assert (rows.excess(rows.value(x))[17] > 0).any()
    with_other_step = x.copy()
    with_other_step[:, 17] = 0
    others = np.arange(len(x[0])) != 17
    np.testing.assert_allclose(rows.a[others], model_.linearise(with_other_step).a[others], rtol=1e-9)
    assert model_.violation(model_.flow(x)).v_pu == pytest.approx(gridlab9.limits.v_min_pu)


def test_demand_of_a_shared_node_is_the_sum() -> None:
    base = scenario(n_prosumers=2, step_min=60)
    quiet = Outlook(*np.zeros((3, base.axis.n_steps)))
    shared = replace(base, sites=tuple(site_with(name, "B5", quiet) for name in "ab"))
    single = replace(base, sites=(site_with("ab", "B5", quiet),))
    x = random_demand(shared, 14, 4, 2)
    np.testing.assert_allclose(model(shared).flow(x).v, model(single).flow(x.sum(axis=0, keepdims=True)).v, rtol=1e-14)
