"""What an interval leaves: last values, means of what was measured, and nothing where nothing was seen."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.service.observation import CycleView, Observation, ObservedInterval
from core.network import Line, Network
from mpc.forecast import Observed
from realtime.tracker import LoadAndPv

NETWORK = Network("N1", 400.0, (Line("N1", "N2", 0.1, 0.1), Line("N2", "N3", 0.1, 0.1)))


def sight(load_kw: float | None, soc: float | None = None, **v_pu: float | None) -> CycleView:
    amounts = None if load_kw is None else LoadAndPv(load_kw, load_kw / 2, load_kw / 4)
    return CycleView({"A": amounts}, {"A": soc}, v_pu, None, followed=True)


def observed(*sights: CycleView) -> ObservedInterval:
    interval = ObservedInterval()
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
    assert ObservedInterval().closed(NETWORK) is None
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


MIDNIGHT = datetime(2018, 6, 20, 22, tzinfo=UTC)
FOLLOWED, NOT_FOLLOWED = (CycleView({}, {}, {}, None, followed=followed) for followed in (True, False))


def seconds(s: float) -> datetime:
    return MIDNIGHT + timedelta(seconds=s)


def lessons(observation: Observation, *times_s: float, unlike_s: float = -1.0) -> list[float]:
    """When the whole intervals began that cycles at ``times_s`` close; at ``unlike_s`` somebody does not follow."""
    begins = []
    for at_s in times_s:
        sight = NOT_FOLLOWED if at_s == unlike_s else FOLLOWED
        observation = observation.after(sight, seconds(at_s), MIDNIGHT)
        if observation.learn_from:
            begins.append((observation.learn_from - MIDNIGHT).total_seconds())
    return begins


def at_midnight() -> Observation:
    """Cycles of 30 s, intervals of 10 min."""
    return Observation(timedelta(minutes=10), timedelta(seconds=30), MIDNIGHT)


def test_every_whole_interval_teaches_once() -> None:
    assert lessons(at_midnight(), *np.arange(0.0, 1831.0, 30.0)) == [0.0, 600.0, 1200.0]


def test_one_cycle_that_did_not_follow_spoils_its_interval() -> None:
    assert lessons(at_midnight(), *np.arange(0.0, 1831.0, 30.0), unlike_s=900.0) == [0.0, 1200.0]


def test_a_part_of_an_interval_teaches_nothing() -> None:
    begun_late = replace(at_midnight(), ends=seconds(190.0))
    assert lessons(begun_late, *np.arange(190.0, 1201.0, 30.0), 1200.0) == [600.0]
    assert lessons(at_midnight(), *np.arange(0.0, 571.0, 30.0), *np.arange(640.0, 1201.0, 30.0)) == []


def test_the_first_cycle_is_an_interval_of_its_own() -> None:
    observation = at_midnight().after(sight(1.0, N2=0.9), seconds(0.0), MIDNIGHT)
    means = observation.last.closed(NETWORK)
    assert means is not None
    assert (means.cycles, means.v_pu[0], observation.running.cycles) == (1, 0.9, 0)
    assert at_midnight().last.closed(NETWORK) is None


def test_a_clock_that_is_set_back_closes_the_interval_and_teaches_nothing() -> None:
    observation = at_midnight()
    for at_s in (0.0, 30.0, 60.0, -3600.0):
        observation = observation.after(FOLLOWED, seconds(at_s), MIDNIGHT - timedelta(days=1))
    assert (observation.last.cycles, observation.learn_from, observation.ends) == (3, None, seconds(-3000.0))
