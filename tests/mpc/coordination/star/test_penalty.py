"""ρ: its start in natural units, and its adaptation (18)."""

import numpy as np
import pytest

from core.algorithms import SplittingName
from core.config_coordination import CoordinationConfig
from mpc.coordination.star.algorithms import splitting_named
from mpc.coordination.star.penalty import NU, TAU, adapted, natural_penalty, start_penalty
from mpc.coordination.star.splitting import Residuals

PRICE = np.full(10, 0.03)


def swinging(amplitude_kw: float, prosumers: int = 3) -> np.ndarray:
    x = np.zeros((prosumers, 10, 2))
    x[:, ::2, 0], x[:, 1::2, 0] = amplitude_kw, -amplitude_kw
    x[:, :, 1] = 99.0
    return x


@pytest.mark.parametrize(
    ("price", "x", "expected"),
    [
        (PRICE, swinging(2.0), 0.015),
        (PRICE, swinging(2.0) + 7.0, 0.015),
        (-PRICE, swinging(2.0), 0.015),
        (10 * PRICE, swinging(20.0), 0.015),
        (0 * PRICE, swinging(2.0), 5e-4),
        (PRICE, swinging(0.0), 30.0),
    ],
)
def test_natural_penalty_is_price_over_swing(price: np.ndarray, x: np.ndarray, expected: float) -> None:
    assert natural_penalty(price, x) == pytest.approx(expected)


@pytest.mark.parametrize("splitting", SplittingName)
def test_start(splitting: SplittingName) -> None:
    auto, fixed = (CoordinationConfig.model_validate({"splitting": splitting, "rho": rho}) for rho in ("auto", 0.123))
    natural = natural_penalty(PRICE, swinging(2.0))
    rho_rel = splitting_named(splitting).RHO_REL
    assert start_penalty(auto, rho_rel, PRICE, swinging(2.0)) == pytest.approx(rho_rel * natural)
    assert start_penalty(fixed, rho_rel, PRICE, swinging(2.0)) == 0.123


@pytest.mark.parametrize(
    ("primal", "moved", "factor"),
    [(1, 1, 1), (0.95 * NU, 1, 1), (1, 0.95 * NU, 1), (1.05 * NU, 1, TAU), (1, 1.05 * NU, 1 / TAU)],
)
@pytest.mark.parametrize(("kw", "chf_per_kw"), [(1.0, 1.0), (1e3, 1e-3)])
def test_adaptation_balances_relative_residuals(
    primal: float, moved: float, factor: float, kw: float, chf_per_kw: float
) -> None:
    """Of the worst prosumer, whatever the units; the share of the over-relaxation in the dual residual is left out."""
    shape = np.array([0.2, 1.0])
    unused = np.full(2, 1e6)
    residuals = Residuals(
        primal=primal * kw * shape,
        dual=unused,
        moved=moved * chf_per_kw * shape,
        primal_scale=kw * shape,
        dual_scale=chf_per_kw * shape,
        size=5,
    )
    assert adapted(0.5, residuals) == pytest.approx(0.5 * factor)


def test_no_adaptation_without_multipliers() -> None:
    none, some = np.zeros(2), np.ones(2)
    assert adapted(0.5, Residuals(some, none, none, some, none, 5)) == 0.5
    assert adapted(0.5, Residuals(none, some, some, none, some, 5)) == 0.5


def test_it_rises_where_only_limits_are_missing() -> None:
    balanced = Residuals(np.ones(2), np.ones(2), np.ones(2), np.ones(2), np.ones(2), 5)
    assert adapted(0.5, balanced) == 0.5
    assert adapted(0.5, balanced, behind=True) == pytest.approx(0.5 * TAU)
