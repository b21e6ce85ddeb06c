"""Invariant 20 on runs written by hand: a lying meter is named in time, nobody else is, and it counts nowhere."""

from dataclasses import replace

import pytest

from controller.judge.case import InjectedFault, Kind
from controller.judge.histories import AlarmPoint, Histories
from realtime.meter_doubt import MeterDoubtKind
from tests.controller.judge.handmade import at, calm, changed, fault, numbers

LYING = replace(fault(Kind.VOLTAGE, 4.5, 12, "m"), named_within_s=120.0)


def doubted(first: int, last: int, device: str = "m", *, recorded: bool = False) -> Histories:
    """A calm run in which a device's voltage is doubted in some cycles."""
    run = calm()
    alarms = tuple(AlarmPoint(at(k), f"{device} {MeterDoubtKind.OFF}", True, "") for k in range(first, last + 1))
    named = {alarm.time for alarm in alarms}
    nodes = run.nodes if recorded else changed(run.nodes, lambda node: node.time in named, v_pu=None)
    return replace(run, alarms=alarms, nodes=nodes)


def test_a_lying_meter_that_is_named_in_time_and_not_recorded_is_no_violation() -> None:
    assert numbers(doubted(6, 14), LYING) == set()


@pytest.mark.parametrize("histories", [calm(), doubted(10, 14)], ids=["never", "too late"])
def test_a_lying_meter_that_is_not_named_in_time(histories: Histories) -> None:
    assert numbers(histories, LYING) == {20}


def test_both_of_two_exchanged_meters_must_be_named() -> None:
    pair: InjectedFault = replace(LYING, other_device="a")
    assert numbers(doubted(6, 14), pair) == {20}


def test_an_honest_meter_is_not_to_be_doubted() -> None:
    assert numbers(doubted(6, 6)) == {20}
    assert numbers(doubted(6, 6, "a"), replace(LYING, ends=at(7))) == {20}


def test_a_doubted_voltage_is_not_to_count_as_measured() -> None:
    assert numbers(doubted(6, 14, recorded=True), LYING) == {20}
