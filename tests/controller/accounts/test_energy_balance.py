"""BatteryAccount of a battery against what its node drew, by hand."""

import pytest

from controller.accounts.energy_balance import energy_balance
from controller.process.answers import BatteryAccount


def account(charged_kwh: float, discharged_kwh: float) -> BatteryAccount:
    return BatteryAccount(
        soc=0.5, charged_kwh=charged_kwh, discharged_kwh=discharged_kwh, estimated_kwh=0.0, unexplained_kwh=0.0
    )


def test_balanced() -> None:
    """Load 10, PV 6, drawn 3: the battery gave 1 kWh net."""
    balance = energy_balance(account(2, 3), load_kwh=10, pv_kwh=6, drawn_kwh=3)
    assert (balance.booked_kwh, balance.true_kwh, balance.difference_kwh, balance.difference_rel) == (1, 1, 0, 0)


def test_the_difference_is_relative_to_the_throughput() -> None:
    balance = energy_balance(account(2, 3), load_kwh=10, pv_kwh=6, drawn_kwh=2.9)
    assert balance.difference_kwh == pytest.approx(-0.1)
    assert balance.difference_rel == pytest.approx(-0.02)


def test_a_battery_at_rest_has_no_relative_error() -> None:
    assert energy_balance(account(0, 0), load_kwh=10, pv_kwh=6, drawn_kwh=4).difference_rel is None
