"""Why voltages left their limits: parts that add up, and events built by hand."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from controller.accounts.voltage_events import DAY_AHEAD, Circumstances, events
from controller.accounts.voltage_parts import Demand, VoltageParts, predicted_supply, voltage_parts
from core.network import Line, Network
from mpc.grid.power_flow import PowerFlow

NETWORK = Network("S", 400.0, (Line("S", "A", 0.5, 0.3), Line("A", "B", 0.3, 0.2)))
NODES = {"pa": "A", "pb": "B", "ps": "S"}
BEGIN = pd.Timestamp("2018-06-21T10:00:00Z")
TEN = timedelta(minutes=10)


def times(count: int) -> pd.DatetimeIndex:
    return pd.date_range(BEGIN, periods=count, freq="30s")


def flow_pu(pa: complex, pb: complex, supply_pu: float) -> np.ndarray:
    """|V| at A and B under two demands."""
    return np.abs(PowerFlow(NETWORK).solve(-np.array([[pa, pb]]), np.array([supply_pu])).v[0])


def one_sample(target: complex, measured: complex, supply_pu: float, expected_pu: float, off_pu: float) -> VoltageParts:
    """The second of two samples: pb draws ``measured`` in place of ``target``, meters are off by ``off_pu``."""
    at = times(2)
    v_a, v_b = flow_pu(1 + 0j, measured, supply_pu) + off_pu
    drawn = pd.DataFrame({"pa": 1 + 0j, "pb": measured, "ps": 5 + 0j}, index=at)
    asked = drawn.assign(pb=target)
    v_pu = pd.DataFrame({"S": supply_pu, "A": v_a, "B": v_b}, index=at)
    return voltage_parts(NETWORK, v_pu, pd.Series(expected_pu, at), Demand(asked, drawn), NODES)


def test_each_part_is_what_was_done() -> None:
    parts = one_sample(-3 + 1j, -5 + 0j, supply_pu=1.004, expected_pu=1.0, off_pu=2e-4)
    planned, moved, real = (flow_pu(1, pb, v0)[1] for pb, v0 in ((-3 + 1j, 1.0), (-3 + 1j, 1.004), (-5 + 0j, 1.004)))
    last = BEGIN + timedelta(seconds=30)
    assert parts.planned.at[last, "B"] == pytest.approx(planned)
    assert parts.supply.at[last, "B"] == pytest.approx(moved - planned)
    assert parts.off_target.at[last, "B"] == pytest.approx(real - moved)
    assert parts.rest.at[last, "B"] == pytest.approx(2e-4)


def test_without_a_target_nothing_is_off_target() -> None:
    parts = one_sample(complex(np.nan, np.nan), -5 + 0j, supply_pu=1.0, expected_pu=1.0, off_pu=0.0)
    assert np.abs(parts.off_target.to_numpy()).max() == 0
    first = one_sample(-3 + 0j, -5 + 0j, supply_pu=1.0, expected_pu=1.0, off_pu=0.0).off_target.iloc[0]
    assert np.abs(first).max() == 0, "the first sample shows no target yet"


def test_what_was_not_measured_has_no_parts() -> None:
    parts = one_sample(-3 + 0j, complex(np.nan, np.nan), supply_pu=1.0, expected_pu=1.0, off_pu=0.0)
    assert parts.rest.isna().all(axis=None)


def test_supply_as_the_plan_in_force_expects_it() -> None:
    """A run that begins with sample 40 is adopted with sample 41, and sample 42 is the first to show it."""
    supply = pd.Series(np.arange(60) / 1000, times(60))
    forecast = pd.Series(9.0, times(60))
    predicted = predicted_supply(supply, forecast, pd.DatetimeIndex([supply.index[20], supply.index[40]]))
    assert (predicted[:22] == 9.0).all()
    assert predicted.iloc[22:42].to_numpy() == pytest.approx(supply[1:21].mean())
    assert predicted.iloc[42:].to_numpy() == pytest.approx(supply[21:41].mean())
    assert predicted_supply(supply, forecast, pd.DatetimeIndex([])) is forecast


def parts_of(columns: dict[str, list[float]], supply_pu: float = 0.003) -> VoltageParts:
    """Ten-minute levels of each node; planned is what the supply leaves over."""
    table = pd.DataFrame({name: np.repeat(levels, 20) for name, levels in columns.items()})
    table.index = times(len(table))
    return VoltageParts(table, table - supply_pu, 0 * table + supply_pu, 0 * table)


def circumstances(count: int, runs: tuple[tuple[int, str, bool], ...] = ()) -> Circumstances:
    words = pd.DataFrame({"p": ["use"] * count, "r": ["use"] * count}, index=times(count))
    mpc = pd.DataFrame(runs, columns=["time", "status", "adopted"])
    mpc["time"] = pd.to_datetime([BEGIN + k * TEN for k in mpc["time"]], utc=True)
    return Circumstances(words, words.replace("use", ""), mpc)


def test_neighbouring_intervals_of_one_side_are_one_event() -> None:
    levels = {"A": [1.0, 1.06, 1.051, 1.0, 0.94], "B": [1.0, 1.0, 1.07, 1.0, 1.0]}
    first, second = events(parts_of(levels), 0.95, 1.05, circumstances(100))
    assert (first.side, first.begin, first.end) == (1, BEGIN + TEN, BEGIN + 3 * TEN)
    assert (first.nodes, first.pairs, first.at) == (("B", "A"), 3, BEGIN + 2 * TEN)
    assert (first.mean_pu, first.beyond_pu) == (pytest.approx(1.07), pytest.approx(0.02))
    assert (first.parts.planned_pu, first.parts.supply_pu) == (pytest.approx(1.067), pytest.approx(0.003))
    assert (first.parts.off_target_pu, first.parts.rest_pu) == (0, pytest.approx(0))
    assert (second.side, second.nodes, second.begin) == (-1, ("A",), BEGIN + 4 * TEN)


def test_both_sides_at_once_are_two_events() -> None:
    found = events(parts_of({"A": [1.06], "B": [0.94]}), 0.95, 1.05, circumstances(20))
    assert {(event.side, event.nodes) for event in found} == {(1, ("A",)), (-1, ("B",))}


def test_a_gap_in_the_record_ends_an_event() -> None:
    parts = parts_of({"A": [1.06, 1.06, 1.06]})
    gap = slice(20, 40)
    holed = replace(parts, measured=parts.measured.drop(parts.measured.index[gap]))
    assert len(events(holed, 0.95, 1.05, circumstances(60))) == 2


def test_circumstances() -> None:
    then = circumstances(60, ((1, "converged", True), (2, "budget", False)))
    then.rung.iloc[45, 0] = "hold"
    then.reasons.iloc[40:55, 1] = "battery_saturated pv_curtailed"
    then.reasons.iloc[40:45, 0] = "battery_saturated"
    (event,) = events(parts_of({"A": [1.06, 1.06, 1.08]}), 0.95, 1.05, then)
    assert (event.mpc, event.adopted, event.not_used, event.saturated) == ("budget", False, ("p",), ("r",))
    (event,) = events(parts_of({"A": [1.06, 1.0, 1.0]}), 0.95, 1.05, then)
    assert (event.mpc, event.adopted, event.not_used, event.saturated) == (DAY_AHEAD, True, (), ())


def test_quiet() -> None:
    assert events(parts_of({"A": [1.0, 1.05]}), 0.95, 1.05, circumstances(40)) == ()
