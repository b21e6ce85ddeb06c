"""Houses that nobody controls: what they draw, who sees it, and that it adds up."""

from pathlib import Path

import numpy as np
import pytest

from core.config import Config
from core.load import load_config
from sim_plant.house import House, HouseState
from sim_plant.laboratory import Laboratory
from sim_plant.referee import FrameLog
from sim_plant.reports import truth
from sim_plant.settings import PlantError, plant_config
from tests.support.commands import scenario_file
from tests.support.paths import CONFIG
from tests.support.plant_benches import GENERIC, METER, START, device, plant_of

TIMES_S = np.array([-30.0, 30.0, 90.0])
HOUSE = House("H", "N3", TIMES_S, p_kw=np.array([1.0, 2.0, -4.0]), q_kvar=np.array([0.5, 0.0, 0.0]), period_s=180.0)


def laboratory(*houses: House) -> Laboratory:
    devices = device("c", GENERIC), device("m", METER, node="N3")
    return Laboratory(plant_of(*devices, houses=houses), FrameLog(START))


def test_its_demand_is_linear_between_samples_and_repeats() -> None:
    assert HOUSE.at(0.0) == pytest.approx(1.5 + 0.25j)
    assert HOUSE.at(60.0) == pytest.approx(-1.0)
    assert HOUSE.at(120.0) == pytest.approx(-1.5 + 0.25j), "on its way to the first sample again"
    assert HOUSE.at(180.0 + 30.0) == HOUSE.at(30.0)


def test_the_meter_at_its_node_sees_it_beside_the_converter() -> None:
    lab = laboratory(HOUSE)
    setpoint = {"p_setpoint_kw": 3.0, "q_setpoint_kvar": -1.0, "lease_s": 75.0, "writer_epoch": 1.0, "enable": 1.0}
    assert lab.converters["c"].write(setpoint) is None
    lab.advance(60.0)
    values = lab.meters["m"].values()
    assert (values["p_kw"], values["q_kvar"]) == pytest.approx((3.0 - 1.0, -1.0), abs=1e-6)
    assert laboratory().meters["m"].values()["p_kw"] == 0.0


def test_the_grid_carries_it() -> None:
    """What is drawn from the upper grid is what the house draws, and the losses of its way."""
    lab = laboratory(HOUSE)
    lab.advance(30.0)
    amps = lab.grid_state.i_a
    losses_kw = 3e-3 * (amps["N1-N2"] ** 2 * 0.2 + amps["N2-N3"] ** 2 * 0.3)
    assert lab.grid_state.slack_kva.real == pytest.approx(2.0 + losses_kw, abs=1e-6)
    assert losses_kw > 0


def test_its_energy_is_the_integral() -> None:
    lab = laboratory(HOUSE)
    for t_s in (30.0, 60.0, 90.0):
        lab.advance(t_s)
    trapezoids_kws = 30 * (1.5 + 2.0) / 2 + 30 * (2.0 - 1.0) / 2 + 30 * (-1.0 - 4.0) / 2
    (told,) = truth(lab)["houses"].values()  # type: ignore[attr-defined]
    assert told["energy_kwh"] == pytest.approx(trapezoids_kws / 3600)
    assert (told["p_kw"], told["q_kvar"]) == (-4.0, 0.0)
    assert HouseState(0.0, 1j).advanced(3600.0, 3j).energy_kvah == 2j


def test_it_stands_at_a_node_of_the_grid() -> None:
    with pytest.raises(PlantError, match="asked node N9"):
        laboratory(House("H", "N9", TIMES_S, HOUSE.p_kw, HOUSE.q_kvar))


def test_prosumers_without_a_converter_are_houses(tmp_path: Path, gridlab9_config: Config) -> None:
    path = scenario_file(tmp_path, ("    converter: n4_converter\n", ""))
    lines = [line for line in path.read_text().splitlines() if "name: n4_converter" not in line]
    path.write_text("\n".join(lines))
    plant = plant_config(load_config(path), path)
    (house,) = plant.houses
    assert (house.name, house.node, len(house.times_s)) == ("N4", "N4", 1440)
    by_hand_kva = 2.5 * 0.75431 - 0.9 * 5 * 0.8756 + 2.5j * 1.53775
    assert house.at(12.25 * 3600 - 30) == pytest.approx(by_hand_kva), "see the amounts in test_days"
    assert set(plant.nodes) == {"n3_converter", "n5_converter", "n7_converter", "n9_converter"}
    assert plant_config(gridlab9_config, CONFIG).houses == ()
