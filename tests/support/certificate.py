"""An independent check of a coordinated day, which uses nothing of the coordination but profiles, prices and rows."""

from dataclasses import dataclass

import numpy as np

from core.arrays import FloatArray
from core.prices import PriceSignal
from core.resources import Pv
from core.scenario import Scenario
from mpc.day_ahead import CoordinatedDay
from mpc.grid.rows import Rows
from mpc.reference import CentralisedProblem
from tests.support.independent_flow import reference_flow
from tests.support.independent_prosumer import least_cost


def profiles(day: CoordinatedDay) -> FloatArray:
    """The agreed profiles [N, T, 2], in the order of the prosumers."""
    return np.stack([day.plan.agreements[name].profile.x for name in day.problem.nodes])


def retail_cost_chf(scenario: Scenario, x: FloatArray) -> float:
    buy, sell = np.maximum(x[:, :, 0], 0).sum(axis=0), np.maximum(-x[:, :, 0], 0).sum(axis=0)
    tariff = scenario.tariff
    return float(tariff.buy_chf_per_kwh @ buy - tariff.sell_chf_per_kwh @ sell) * scenario.axis.dt_h


def own_cost_chf(scenario: Scenario, day: CoordinatedDay) -> float:
    """Losses and wear of the plans, by hand."""
    value_chf, cost = max(float(np.maximum(scenario.tariff.buy_chf_per_kwh, 0).mean()), 0.01), 0.0
    for site in scenario.sites:
        plan, battery = day.plan.prosumers[site.name], site.battery
        for plant in site.each(Pv):
            cost += value_chf * plant.loss_rel * float(np.sum(plan.pv_kw**2)) / plant.peak_kw
        if battery is not None:
            squares = float(np.sum(plan.battery_kw**2 + plan.battery_kvar**2))
            cost += value_chf * battery.loss_rel * squares / battery.s_max_kva
            cost += battery.wear_chf_per_kwh * float(np.sum(np.abs(plan.battery_kw)))
    return cost * scenario.axis.dt_h


def bound_of_prices_chf(scenario: Scenario, rows: Rows, row_prices: FloatArray) -> float:
    """Σ_i min [f_i(x) + (A_i'λ)'x] − (u'λ⁺ − l'λ⁻), every prosumer's problem solved in cvxpy."""
    assert (np.abs(row_prices) <= rows.kappa * (1 + 1e-12)).all()
    bound = 0.0
    for k, site in enumerate(scenario.sites):
        g = np.einsum("trc,tr->tc", rows.a[:, :, 2 * k : 2 * k + 2], row_prices)
        g[:, 0] += scenario.tariff.buy_chf_per_kwh * scenario.axis.dt_h
        plain = PriceSignal(np.zeros((len(g), 2, 2)), g, 0.0)
        bound += least_cost(site, scenario.tariff, scenario.axis.dt_h, plain)[1]
    above, below = np.maximum(row_prices, 0), np.maximum(-row_prices, 0)
    return bound - float(np.sum(rows.upper * above) - np.sum(rows.lower * below))


def violation_pu(scenario: Scenario, x: FloatArray) -> float:
    """Worst violation by power-grid-model on the comparable scale: a power or current counts a tenth of its share of
    the rating.
    """
    flow, limits = reference_flow(scenario, x), scenario.limits
    v, slack = np.abs(flow.v), flow.s_slack
    rated = np.array([line.i_max_a or np.inf for line in scenario.network.lines])
    return max(
        0.0,
        float((v - limits.v_max_pu).max()),
        float((limits.v_min_pu - v).max()),
        0.1 * float((np.abs(slack.real) - limits.slack_p_max_kw).max()) / limits.slack_s_max_kva,
        0.1 * float((np.abs(slack.imag) - limits.slack_q_max_kvar).max()) / limits.slack_s_max_kva,
        0.1 * float((np.abs(flow.i) / rated - 1).max()),
    )


@dataclass(frozen=True)
class Certificate:
    """Results of the check; ``priced_chf`` is the price of the profiles' violations of the rows."""

    cost_chf: float
    gap_rel: float
    violation_pu: float
    priced_chf: float


def certify(scenario: Scenario, day: CoordinatedDay) -> Certificate:
    """Compute cost, gap and AC violation of the profiles; asserts that the bound is one.

    No bound may exceed the centralised optimum of the same rows: neither the reported one (the best of several rounds)
    nor that of the final row prices.
    """
    outcome, x = day.outcome, profiles(day)
    rows, reported = outcome.splitting.rows, outcome.lower_bound_chf
    assert reported is not None
    optimum = CentralisedProblem(scenario).optimum(rows)
    accuracy = 1e-7 * (abs(optimum.cost_chf) + optimum.unheld_chf) + 1e-6
    for bound in (reported, bound_of_prices_chf(scenario, rows, outcome.splitting.row_prices)):
        assert bound <= optimum.cost_chf + optimum.unheld_chf + accuracy
    cost = retail_cost_chf(scenario, x) + own_cost_chf(scenario, day)
    turnover = scenario.axis.dt_h * float(np.sum(np.abs(scenario.tariff.buy_chf_per_kwh * x[:, :, 0])))
    gap = (cost + outcome.best.unheld_chf - reported) / max(abs(reported), turnover)
    priced = float(np.sum(rows.kappa * rows.excess(rows.value(x))))
    return Certificate(cost, gap, violation_pu(scenario, x), priced)
