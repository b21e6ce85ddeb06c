"""What an interval leaves: last values, means of what was measured, and nothing where nothing was seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.service.observation import Interval, Sight
from core.network import Line, Network
from mpc.forecast import Observed
from realtime.tracker import Amounts

NETWORK = Network("N1", 400.0, (Line("N1", "N2", 0.1, 0.1), Line("N2", "N3", 0.1, 0.1)))


def sight(load_kw: float | None, soc: float | None = None, **v_pu: float | None) -> Sight:
    amounts = None if load_kw is None else Amounts(load_kw, load_kw / 2, load_kw / 4)
    return Sight({"A": amounts}, {"A": soc}, v_pu)


def observed(*sights: Sight) -> Interval:
    interval = Interval()
    for one in sights:
        interval = interval.after(one)
    return interval


def test_load_and_pv_are_the_last_values_and_voltages_means() -> None:
    means = observed(sight(1.0, 0.4, N1=1.0, N2=0.9), sight(2.0, 0.5, N1=1.02, N2=0.92)).closed(NETWORK)
    assert means is not None
    assert means.observed == {"A": Observed(2.0, 1.0, 0.5, soc=0.5)}
    assert means.slack_voltage_pu == pytest.approx(1.01)
    assert means.v_pu == (pytest.approx(0.91), None)
    assert means.cycles == 2


def test_what_a_cycle_does_not_know_stays_as_it_was_seen() -> None:
    means = observed(sight(1.0, 0.4, N1=1.0, N3=0.9), sight(None, None, N1=None, N3=0.8)).closed(NETWORK)
    assert means is not None
    assert means.observed["A"] == Observed(1.0, 0.5, 0.25, soc=0.4)
    assert means.slack_voltage_pu == 1.0
    assert means.v_pu == (None, pytest.approx(0.85))


def test_nothing_is_invented() -> None:
    assert Interval().closed(NETWORK) is None
    means = observed(sight(None)).closed(NETWORK)
    assert means is not None
    assert (means.observed, means.slack_voltage_pu, means.v_pu) == ({}, None, (None, None))


def test_a_prosumer_without_battery_has_no_charge() -> None:
    means = observed(sight(1.0)).closed(NETWORK)
    assert means is not None
    assert means.observed["A"].soc is None


def test_states_before_are_left_as_they_were() -> None:
    first = observed(sight(1.0, N1=1.0))
    first.after(sight(3.0, N1=1.1))
    assert first == observed(sight(1.0, N1=1.0))


@given(st.lists(st.tuples(*[st.none() | st.floats(0.5, 1.5)] * 3), min_size=1, max_size=40))
def test_means_of_whatever_was_measured(samples: list[tuple[float | None, ...]]) -> None:
    means = observed(*(sight(0.0, **dict(zip(NETWORK.nodes, row, strict=True))) for row in samples)).closed(NETWORK)
    assert means is not None
    for mean, column in zip((means.slack_voltage_pu, *means.v_pu), zip(*samples, strict=True), strict=True):
        known = [v for v in column if v is not None]
        assert mean == (pytest.approx(np.mean(known)) if known else None)
