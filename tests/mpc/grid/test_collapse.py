"""The share of a load that a grid can carry, against the closed form of one line."""

import numpy as np
import pytest

from core.network import Line, Network
from mpc.grid.collapse import collapse
from mpc.grid.power_flow import PowerFlow

ONE_LINE = Network("S", 400.0, (Line("S", "A", 0.4, 0.0),))
MAX_KW = 400**2 / (4 * 0.4) / 1e3
"""A resistance carries at most V² / (4 R): 100 kW."""


def test_a_load_that_is_carried() -> None:
    assert collapse(PowerFlow(ONE_LINE), np.array([[0.95 * MAX_KW + 0j], [0j]]), np.ones(2)) is None


@pytest.mark.parametrize("v_slack_pu", [1.0, 0.9])
def test_the_share_of_a_load_that_is_carried(v_slack_pu: float) -> None:
    demand = np.array([[10.0], [150.0], [400.0], [200.0]]) + 0j
    found = collapse(PowerFlow(ONE_LINE), demand, np.full(4, v_slack_pu))
    assert found is not None
    assert (found.step, found.steps, found.load_kva, found.node) == (2, 3, 400 + 0j, "A")
    assert found.share == pytest.approx(v_slack_pu**2 * MAX_KW / 400, rel=0.01)


def test_where_the_voltage_collapses() -> None:
    lines = (Line("S", "A", 0.1, 0.05), Line("A", "B", 0.4, 0.1), Line("A", "C", 0.1, 0.1))
    found = collapse(PowerFlow(Network("S", 400.0, lines)), np.array([[30.0, 120.0, 30.0]]) + 0j, np.ones(1))
    assert found is not None
    assert found.node == "B"
