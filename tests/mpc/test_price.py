"""How a signal is read: against finite differences, against the augmented Lagrangian, and against the bill."""

from collections.abc import Callable

import numpy as np
import pytest

from core.arrays import FloatArray
from core.config_coordination import CoordinationConfig
from core.prices import PriceSignal, Tariff
from core.scenario import Scenario
from mpc.day_ahead import CoordinatedDay
from mpc.price import (
    average_price_chf_per_kwh,
    compensation_chf,
    marginal_price_chf_per_kwh,
    violation_price_chf_per_kwh,
)

STEPS, DT_H = 7, 0.25


def signal_and_profile(seed: int) -> tuple[PriceSignal, FloatArray]:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(STEPS, 2, 2))
    signal = PriceSignal(root @ root.swapaxes(1, 2), rng.normal(size=(STEPS, 2)), float(rng.normal()))
    return signal, rng.normal(size=(STEPS, 2))


def advertised_cost(signal: PriceSignal, x: FloatArray) -> float:
    """(13), entry by entry."""
    total = signal.fee_chf
    for (hpp, hpq, _, hqq), (gp, gq), (p, q) in zip(signal.h.reshape(-1, 4), signal.g, x, strict=True):
        total += 0.5 * (hpp * p * p + 2 * hpq * p * q + hqq * q * q) + gp * p + gq * q
    return total


@pytest.mark.parametrize("seed", range(3))
def test_advertised_cost(seed: int) -> None:
    signal, x = signal_and_profile(seed)
    assert signal.cost_chf(x) == pytest.approx(advertised_cost(signal, x))
    assert signal.cost_chf(0 * x) == signal.fee_chf


@pytest.mark.parametrize("seed", range(3))
def test_marginal_price_is_what_one_more_kwh_costs(seed: int) -> None:
    signal, x = signal_and_profile(seed)
    for t, price in enumerate(marginal_price_chf_per_kwh(signal, x, DT_H)):
        more = np.zeros_like(x)
        more[t, 0] = 1e-3
        difference = advertised_cost(signal, x + more) - advertised_cost(signal, x - more)
        assert price == pytest.approx(difference / 2e-3 / DT_H, rel=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_average_price_times_energy_and_the_fee_are_the_cost(seed: int) -> None:
    """(14, 15), for a profile without reactive power."""
    signal, x = signal_and_profile(seed)
    x[:, 1] = 0
    energy_kwh = x[:, 0] * DT_H
    paid = average_price_chf_per_kwh(signal, x, DT_H) @ energy_kwh + signal.fee_chf
    assert paid == pytest.approx(advertised_cost(signal, x))


@pytest.mark.parametrize("day_of", ["profile_day", "constraint_day"])
def test_prices_follow_the_tariff_where_no_limit_binds(
    day_of: str, gridlab9: Scenario, request: pytest.FixtureRequest
) -> None:
    """Before sunrise; whereas the average price is off by ½ρp/Δt even there."""
    day: CoordinatedDay = request.getfixturevalue(day_of)
    night = slice(12, 30)
    for agreement in day.plan.agreements.values():
        price = marginal_price_chf_per_kwh(agreement.signal, agreement.profile.x, gridlab9.axis.dt_h)
        np.testing.assert_allclose(price[night], gridlab9.tariff.buy_chf_per_kwh[night], atol=1e-2)


@pytest.mark.parametrize(
    ("buy", "sell", "expected"),
    [
        (0.2, 0.2, 0.2 * (3 - 1) * DT_H - 0.2 * (1 - 2) * DT_H),
        (0.2, 0.05, (0.2 * 3 - 0.05 * 1) * DT_H - (0.2 * 1 - 0.05 * 2) * DT_H),
        (-0.1, -0.1, -0.1 * (3 - 1) * DT_H + 0.1 * (1 - 2) * DT_H),
    ],
)
def test_compensation_is_the_difference_of_two_bills(buy: float, sell: float, expected: float) -> None:
    tariff = Tariff(np.full(2, buy), np.full(2, sell))
    x, x_own = np.array([[3.0, 9.0], [-1.0, 9.0]]), np.array([[1.0, 0.0], [-2.0, 0.0]])
    assert compensation_chf(tariff, x, x_own, DT_H) == pytest.approx(expected)


@pytest.mark.parametrize("day_of", ["profile_day", "constraint_day"])
def test_nobody_gains_by_limits(day_of: str, request: pytest.FixtureRequest) -> None:
    day: CoordinatedDay = request.getfixturevalue(day_of)
    assert min(bill.compensation_chf for bill in day.bills.values()) > -1e-6
    assert max(bill.compensation_chf for bill in day.bills.values()) > 0.1


@pytest.mark.parametrize(
    ("configured", "tariff_chf_per_kwh", "expected"),
    [("auto", 0.2, 2.0), ("auto", -0.2, 2.0), ("auto", 0.0, 0.1), (7.5, 0.2, 7.5)],
)
def test_price_of_violation(configured: float | str, tariff_chf_per_kwh: float, expected: float) -> None:
    settings = CoordinationConfig.model_validate({"violation_price_chf_per_kwh": configured})
    buy = np.full(4, tariff_chf_per_kwh)
    assert violation_price_chf_per_kwh(settings, Tariff(buy, buy)) == pytest.approx(expected)


def lagrangian(multiplier: FloatArray, copy: FloatArray, weight: FloatArray | float) -> Callable[[FloatArray], float]:
    """λ'(y − z) + ½ ‖y − z‖²_weight."""
    return lambda y: float(np.sum(multiplier * (y - copy)) + 0.5 * np.sum(weight * (y - copy) ** 2))


@pytest.mark.parametrize("seed", range(3))
def test_signal_of_profile_splitting_is_the_augmented_lagrangian(profile_day: CoordinatedDay, seed: int) -> None:
    splitting = profile_day.outcome.splitting
    x = np.random.default_rng(seed).normal(size=splitting.x_hat.shape)
    for mu, copy, signal, profile in zip(splitting.mu, splitting.x_hat, splitting.signals(), x, strict=True):
        assert signal.cost_chf(profile) == pytest.approx(lagrangian(mu, copy, splitting.d)(profile))


@pytest.mark.parametrize("seed", range(3))
def test_signal_of_constraint_splitting_is_the_augmented_lagrangian(constraint_day: CoordinatedDay, seed: int) -> None:
    splitting = constraint_day.outcome.splitting
    x = np.random.default_rng(seed).normal(size=(len(splitting.z), *splitting.z.shape[1:2], 2))
    contributions = splitting.rows.contributions(x)
    for copy, signal, profile, ax in zip(splitting.z, splitting.signals(), x, contributions, strict=True):
        expected = lagrangian(splitting.row_prices, copy, splitting.rho)(ax)
        assert signal.cost_chf(profile) == pytest.approx(expected)
