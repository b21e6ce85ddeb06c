from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller.service.costs import LONGEST, Costs
from controller.service.prices import Price

START = datetime(2018, 6, 21, 23, 0, tzinfo=ZoneInfo("Europe/Zurich"))
PRICES = {name: Price(0.3, 0.1, 0.25, 0.0) for name in ("N3", "N4")}


def drawn(cycles: int, p_kw: dict[str, float | None], every_s: float = 30.0) -> Costs:
    costs = Costs.none(START)
    for k in range(1, cycles + 1):
        costs = costs.after(START + timedelta(seconds=every_s * k), p_kw, PRICES)
    return costs


def test_an_hour_of_consumption_and_of_feed_in():
    assert drawn(119, {"N3": 2.0, "N4": -2.0}).chf == pytest.approx({"N3": 0.595, "N4": -0.595 / 3})


def test_midnight_begins_anew():
    costs = drawn(122, {"N3": 2.0})
    assert costs.day == "2018-06-22"
    assert costs.chf == pytest.approx({"N3": 2 * 0.3 * 2 / 120})


def test_what_is_unknown_costs_nothing_and_keeps_what_was_spent():
    costs = drawn(10, {"N3": 2.0})
    at = costs.at + timedelta(seconds=30)
    assert costs.after(at, {"N3": None, "N9": 1.0}, PRICES).chf == costs.chf
    assert costs.after(at, {"N3": 2.0}, {}).chf == costs.chf


def test_a_long_gap_is_not_filled_and_a_clock_set_back_costs_nothing():
    costs = drawn(1, {"N3": 2.0}, every_s=3000.0)
    assert costs.chf == pytest.approx({"N3": 0.6 * LONGEST.total_seconds() / 3600})
    assert costs.after(START, {"N3": 2.0}, PRICES).chf == costs.chf
