"""The grid model against voltages of another power flow: right, wrong by one line, noisy, in parts unknown."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from controller.accounts.grid_check import GridCheck
from controller.accounts.model_check import WARNING_PU, ModelCheck
from core.config import Config
from core.devices import Measurement, Quality
from core.network import Network
from sim_plant.grid import Grid
from sim_plant.meter import EXACT, Accuracy, MeterReading, measure

Readings = dict[str, Measurement]
LOADS = {"N3": 2 + 0.5j, "N4": 1.5 - 0.5j, "N5": -4 + 0j, "N7": 2.5 + 1j, "N9": -3 + 0.2j}


def reading(device: str, **values: float | None) -> Measurement:
    known = {"p_kw": None, "q_kvar": None, "v_pu": None, "i_a": 0.0, "taken_at": None, "received_s": 100.0, **values}
    return Measurement(device=device, quality=Quality.GOOD, **known)  # type: ignore[arg-type]


def measured(
    config: Config,
    network: Network,
    demand: Mapping[str, complex] = LOADS,
    v_slack_pu: float = 1.01,
    accuracy: Accuracy = EXACT,
    t_s: float = 0.0,
) -> Readings:
    """What the devices say of ``network`` under these demands, by power-grid-model."""
    state = Grid(network).solve(demand, v_slack_pu)
    readings = {}
    for meter in config.meters.values():
        s = state.slack_kva if meter.node == network.slack else demand.get(meter.node, 0j)
        truth = MeterReading(400 * state.v_pu[meter.node], 0.0, s.real, s.imag)
        said = measure(truth, accuracy, 1, meter.name, t_s)
        readings[meter.name] = reading(meter.name, p_kw=said.p_kw, q_kvar=said.q_kvar, v_pu=said.v_v / 400)
    for prosumer in config.prosumers:
        s = demand.get(prosumer.node, 0j)
        (converter,) = prosumer.converters
        readings[converter] = reading(converter, p_kw=s.real, q_kvar=s.imag)
    return readings


def doubled(network: Network, name: str) -> Network:
    """One line as long again as the model thinks."""
    lines = (replace(x, r_ohm=2 * x.r_ohm, x_ohm=2 * x.x_ohm) if x.name == name else x for x in network.lines)
    return replace(network, lines=tuple(lines))


@pytest.fixture(scope="module")
def grid(gridlab9_config: Config) -> GridCheck:
    return GridCheck(gridlab9_config)


@pytest.fixture(scope="module")
def network(gridlab9_config: Config) -> Network:
    return gridlab9_config.grid.network()


def checked(grid: GridCheck, *snapshots: Readings) -> ModelCheck:
    check = None
    for snapshot in snapshots:
        check = grid.after(check, snapshot)
    assert check is not None
    return check


def test_the_right_model(gridlab9_config: Config, grid: GridCheck, network: Network) -> None:
    check = checked(grid, measured(gridlab9_config, network))
    assert check.worst_pu < 1e-8
    assert (check.samples, check.doubtful) == (8, False)


@pytest.mark.parametrize(("line", "blamed"), [("N1-N2", "N2 N3 N4 N5 N6 N7 N8 N9"), ("N2-N6", "N6 N7 N8 N9")])
def test_a_line_of_twice_the_impedance_is_noticed(
    gridlab9_config: Config, grid: GridCheck, network: Network, line: str, blamed: str
) -> None:
    loads = dict.fromkeys(LOADS, 3 + 0j)
    check = checked(grid, measured(gridlab9_config, doubled(network, line), loads))
    assert check.worst_pu > WARNING_PU
    assert check.doubtful
    assert check.worst_node in blamed.split()


def test_every_line_of_twice_the_impedance_stands_out_from_noise(
    gridlab9_config: Config, grid: GridCheck, network: Network
) -> None:
    loads = dict.fromkeys(LOADS, 4 + 0j)
    noise = [measured(gridlab9_config, network, loads, 1.0, Accuracy(), t_s) for t_s in range(20)]
    quiet = checked(grid, *noise).worst_pu
    for line in network.lines:
        snapshots = [
            measured(gridlab9_config, doubled(network, line.name), loads, 1.0, Accuracy(), t_s) for t_s in range(3)
        ]
        assert checked(grid, *snapshots).worst_pu > 2 * quiet, line.name


def test_at_standstill_nothing_of_the_lines_is_seen(gridlab9_config: Config, grid: GridCheck, network: Network) -> None:
    assert checked(grid, measured(gridlab9_config, doubled(network, "N1-N2"), {})).worst_pu < 1e-8


def test_noise_of_good_meters_is_no_reason_for_doubt(
    gridlab9_config: Config, grid: GridCheck, network: Network
) -> None:
    snapshots = [measured(gridlab9_config, network, accuracy=Accuracy(), t_s=30.0 * k) for k in range(200)]
    check = checked(grid, *snapshots)
    assert check.samples == 1600
    assert 1e-5 < check.mean_pu < 5e-4
    assert check.mean_pu < check.worst_pu < 2e-3


def test_an_inverted_sign_is_noticed(gridlab9_config: Config, grid: GridCheck, network: Network) -> None:
    readings = measured(gridlab9_config, network)
    readings["n9_meter"] = replace(readings["n9_meter"], p_kw=3.0)
    assert checked(grid, readings).doubtful


def test_mean_and_worst_over_many_snapshots(gridlab9_config: Config, grid: GridCheck, network: Network) -> None:
    rng = np.random.default_rng(1)
    errors = rng.normal(0, 1e-3, (30, 8))
    snapshots = []
    for row in errors:
        readings = measured(gridlab9_config, network)
        for node, error in zip(network.nodes[1:], row, strict=True):
            said = readings[f"{node.lower()}_meter"]
            assert said.v_pu is not None
            readings[said.device] = replace(said, v_pu=said.v_pu + error)
        snapshots.append(readings)
    check = checked(grid, *snapshots)
    assert check.samples == errors.size
    assert check.mean_pu == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert check.worst_pu == pytest.approx(np.abs(errors).max(), rel=1e-4)
    assert check.worst_node == network.nodes[1 + np.abs(errors).max(axis=0).argmax()]


def test_nodes_without_a_meter_are_left_out(gridlab9_config: Config, network: Network) -> None:
    """Their demand is that of their converter, or none."""
    devices = tuple(d for d in gridlab9_config.devices if d.name not in ("n5_meter", "n6_meter"))
    config = gridlab9_config.model_copy(update={"devices": devices})
    check = checked(GridCheck(config), measured(config, network))
    assert check.worst_pu < 1e-8
    assert check.samples == 6


@pytest.mark.parametrize(
    "lost", [("n1_meter",), ("n9_meter", "n9_converter")], ids=["supply voltage", "demand of a prosumer"]
)
def test_without_supply_voltage_or_a_demand_nothing_is_judged(
    gridlab9_config: Config, grid: GridCheck, network: Network, lost: tuple[str, ...]
) -> None:
    readings = measured(gridlab9_config, network)
    before = grid.after(None, readings)
    for name in lost:
        readings[name] = replace(readings[name], quality=Quality.INVALID)
    assert grid.after(None, readings) is None
    assert grid.after(before, readings) is before
    assert grid.after(None, {}) is None


def test_old_readings_are_not_mixed_with_new_ones(gridlab9_config: Config, grid: GridCheck, network: Network) -> None:
    readings = measured(gridlab9_config, network)
    readings["n4_meter"] = replace(readings["n4_meter"], received_s=60.0, p_kw=9.0, v_pu=0.5)
    check = checked(grid, readings)
    assert check.worst_pu < 1e-8
    assert check.samples == 7


def test_a_demand_that_no_grid_can_carry_is_no_match(
    gridlab9_config: Config, grid: GridCheck, network: Network
) -> None:
    readings = measured(gridlab9_config, network)
    readings["n9_meter"] = replace(readings["n9_meter"], p_kw=1e4)
    assert checked(grid, readings).worst_pu > 0.9
