"""Meters that lie are named, by what, and honest ones are not: on a laboratory and on a feeder of fifty nodes."""

from dataclasses import replace
from itertools import pairwise

import pytest

from controller.service.doubts import METER_TOLERANCE_KW
from core.config import Config
from core.network import Network
from realtime.meter_doubt import AGREED, SAME, DeviceMemory, MeterDoubtKind, Seen
from tests.support.metered_grid import MeteredGrid, Readings, exchanged, feeder, scaled, voltage

DRAWING = ("N3", "N4", "N5", "N7", "N9")
OFF, FROZEN, EXCHANGED = ({str(kind)} for kind in MeterDoubtKind)


@pytest.fixture(scope="module")
def network(gridlab9_config: Config) -> Network:
    return gridlab9_config.grid.network()


def laboratory(network: Network, factor: float = 1.0, seed: int = 1) -> MeteredGrid:
    return MeteredGrid(network, scaled(network, factor), DRAWING, DRAWING, seed=seed)


def street(factor: float = 1.0) -> MeteredGrid:
    """50 nodes, 20 passive houses, a meter at three nodes of four."""
    network = feeder(50)
    houses = tuple(f"K{k}" for k in range(2, 50, 2))[:20]
    return MeteredGrid(network, scaled(network, factor), houses, silent=tuple(f"K{k}" for k in range(3, 50, 4)))


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.3])
def test_honest_meters_are_believed_whatever_the_impedances(network: Network, factor: float) -> None:
    for grid in (laboratory(network, factor), MeteredGrid(network, scaled(network, factor), DRAWING)):
        seen = grid.run(250)
        assert seen.doubted == {}
        assert all(not verdict.withheld and not verdict.undecided for verdict in seen.verdicts)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.3])
def test_honest_meters_of_a_street_are_believed(factor: float) -> None:
    seen = street(factor).run(40)
    assert seen.doubted == {}
    assert all(not verdict.undecided for verdict in seen.verdicts)


@pytest.mark.parametrize("meter", ["mN1", "mN2", "mN5", "mN6", "mN9"])
@pytest.mark.parametrize("share", [1.03, 0.97, 1.1, 3**-0.5])
def test_a_wrong_scale_is_named_in_the_second_sample(network: Network, meter: str, share: float) -> None:
    seen = laboratory(network).run(60, spoil=voltage(meter, lambda _, v: v * share, begin=40))
    assert seen.doubted == {meter: OFF}
    assert seen.first(meter) == 41
    assert meter in seen.verdicts[40].withheld, "it is not used even before it is named"
    doubt = seen.verdicts[-1].doubts[meter]
    assert doubt.off_pu == pytest.approx(share - 1, rel=0.1, abs=0.006)
    assert doubt.since_s == 30.0 * 41


def test_a_wrong_meter_of_a_street_with_missing_meters_is_named() -> None:
    seen = street().run(20, spoil=voltage("mK20", lambda _, v: v * 1.03, begin=10))
    assert seen.doubted == {"mK20": OFF}


def test_two_wrong_meters_are_both_named(network: Network) -> None:
    first, second = voltage("mN4", lambda _, v: v + 0.03), voltage("mN8", lambda _, v: v - 0.02)
    seen = laboratory(network).run(30, spoil=lambda k, honest: first(k, second(k, honest)))
    assert set(seen.doubted) == {"mN4", "mN8"}


def test_a_slow_drift_is_named_before_it_is_one_percent_off(network: Network) -> None:
    seen = laboratory(network).run(200, spoil=voltage("mN9", lambda k, v: v * (1 + 0.01 * k / 120), begin=40))
    assert seen.doubted == {"mN9": OFF}
    first = seen.first("mN9")
    assert first is not None
    assert first < 40 + 120


def test_a_voltage_that_stands_while_the_grid_moves_is_named(network: Network) -> None:
    stands: list[float] = []
    seen = laboratory(network).run(160, spoil=voltage("mN7", lambda _, v: (stands.append(v), stands[0])[1], begin=40))
    assert set(seen.doubted) == {"mN7"}
    assert seen.doubted["mN7"] >= FROZEN
    doubt = seen.verdicts[-1].doubts["mN7"]
    assert doubt.kind is MeterDoubtKind.FROZEN
    assert doubt.text.startswith(f"stands at {stands[0]:.4f} p.u. for ")


def test_a_voltage_that_stands_with_the_grid_is_right() -> None:
    known = DeviceMemory()
    for k in range(200):
        known = known.after(Seen(1.0123, 1.0123 + 0.0006 * (-1) ** k, 0.001, wrong=False), 0.003, 30.0 * k)
    assert known.same == 200
    assert known.doubt is None


def test_a_coarse_meter_may_stand_as_long_as_a_step_would_not_show() -> None:
    known = DeviceMemory()
    for k in range(SAME * 10):
        true_pu = 1.0 + 0.0012 * (-1) ** k
        known = known.after(Seen(1.0, true_pu, 0.001, wrong=False), 0.003, 30.0 * k)
    assert known.doubt is None


def test_a_meter_that_agrees_again_is_believed_after_ten_minutes(network: Network) -> None:
    grid = laboratory(network)
    lying = grid.run(20, spoil=voltage("mN5", lambda _, v: v + 0.03))
    assert set(lying.memory.doubts) == {"mN5"}
    honest = grid.run(AGREED + 1, lying.memory)
    assert [bool(verdict.doubts) for verdict in honest.verdicts] == [True] * (AGREED - 1) + [False] * 2


@pytest.mark.parametrize(
    ("first", "second"),
    [("mN7", "mN9"), ("mN3", "mN5"), ("mN8", "mN9"), ("mN2", "mN4"), ("mN1", "mN3"), ("mN1", "mN5"), ("mN5", "mN9")],
)
def test_exchanged_meters_are_named_within_minutes_and_given_back(network: Network, first: str, second: str) -> None:
    grid = laboratory(network)
    seen = grid.run(130, spoil=exchanged(first, second, 40, 90))
    found = seen.first(first)
    assert found is not None
    assert found < 60
    assert {name for name, kinds in seen.doubted.items() if kinds >= EXCHANGED} == {first, second}
    assert set(seen.doubted) == {first, second}
    assert all({first, second} <= set(verdict.doubts) for verdict in seen.verdicts[found:90])
    assert not seen.verdicts[-1].doubts


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("node", DRAWING)
def test_the_meter_of_the_supply_is_named_before_its_place_contradicts_a_converter(
    network: Network, node: str, seed: int
) -> None:
    meter, apart = f"m{node}", []
    swap = exchanged("mN1", meter, 20, 40)

    def spoil(k: int, honest: Readings) -> Readings:
        read = swap(k, honest)
        apart.append(abs((read[meter].p_kw or 0.0) - (read[f"c{node}"].p_kw or 0.0)) > METER_TOLERANCE_KW)
        return read

    seen = laboratory(network, seed=seed).run(40, spoil=spoil)
    assert any(apart[20:])
    believed = [differs and meter not in v.doubts for differs, v in zip(apart, seen.verdicts, strict=True)]
    assert not any(now and before for before, now in pairwise(believed))


def test_exchanged_meters_of_passive_houses_are_named_within_an_hour(network: Network) -> None:
    seen = MeteredGrid(network, network, DRAWING).run(200, spoil=exchanged("mN7", "mN9", 60, 200))
    assert {name for name, kinds in seen.doubted.items() if kinds >= EXCHANGED} == {"mN7", "mN9"}
    found = seen.first("mN7")
    assert found is not None
    assert found < 60 + 120


def test_of_two_voltages_nobody_can_tell_which_is_wrong() -> None:
    network = feeder(3)
    grid = MeteredGrid(network, network, ("K2",), silent=("K1",))
    seen = grid.run(5, spoil=voltage("mK2", lambda _, v: v + 0.05))
    assert seen.doubted == {}
    assert all(set(verdict.undecided) == {"mK0", "mK2"} for verdict in seen.verdicts)


def test_a_power_that_lies_is_not_the_fault_of_a_voltage(network: Network) -> None:
    def tenfold(k: int, honest: Readings) -> Readings:
        reading = honest["mN9"]
        assert reading.p_kw is not None
        return {**honest, "mN9": replace(reading, p_kw=10 * reading.p_kw)} if k >= 20 else honest

    assert laboratory(network).run(60, spoil=tenfold).doubted == {}


def test_without_readings_nothing_is_said(network: Network) -> None:
    grid = laboratory(network)
    verdict, memory = grid.check.after({}, 0.0, grid.check.start())
    assert (verdict.doubts, verdict.believed_pu, memory.samples) == ({}, {}, 0)


def test_the_believed_voltage_is_that_of_the_others(network: Network) -> None:
    grid = laboratory(network)
    honest = grid.readings()
    spoiled = {**honest, "mN1": replace(honest["mN1"], v_pu=1.1)}
    verdict, _ = grid.check.after(spoiled, 0.0, grid.check.start())
    assert verdict.withheld == {"mN1"}
    assert verdict.believed_pu["N1"] == pytest.approx(honest["mN1"].v_pu, abs=0.02)
    assert verdict.believed_pu["N7"] == pytest.approx(honest["mN7"].v_pu, abs=0.003)
