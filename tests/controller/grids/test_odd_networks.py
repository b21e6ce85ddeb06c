"""Networks with something unusual: carried over as pandapower computes it, or refused in the words of the network."""

import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from controller.grids.importing import ImportedGrid, import_grid
from core.errors import InputError
from tests.support.imported_grids import DAY, SIMBENCH, imported, passive_difference, quiet

pp = pytest.importorskip("pandapower")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Warnings of pandapower about itself are not the matter here."""
    with quiet():
        yield


def feeder() -> Any:
    """A transformer and two houses in a row."""
    net = pp.create_empty_network()
    mv, *low = (pp.create_bus(net, kv, name=name) for kv, name in ((20, "MV"), (0.4, "LV"), (0.4, "A"), (0.4, "B")))
    pp.create_ext_grid(net, mv)
    pp.create_transformer(net, mv, low[0], "0.25 MVA 20/0.4 kV")
    for a, b in pairwise(low):
        pp.create_line(net, a, b, 0.2, "NAYY 4x150 SE")
        pp.create_load(net, b, 0.02, 0.005)
    return net


def converted(net: Any, folder: Path) -> ImportedGrid:
    pp.to_json(net, str(folder / "net.json"))
    return import_grid(folder / "net.json", folder / "grid.yaml", DAY)


def dead_bus(net: Any) -> None:
    net.bus.loc[3, "in_service"] = False


def generator_as_supply(net: Any) -> None:
    net.ext_grid["in_service"] = False
    pp.create_gen(net, 0, 0.0, vm_pu=1.02, slack=True)


def tap(net: Any, degree: float = 0.0, kind: str = "Ratio") -> None:
    net.trafo["tap_pos"], net.trafo["tap_changer_type"], net.trafo["tap_step_degree"] = 2, kind, degree


def quadrature_tap(net: Any) -> None:
    tap(net, 90.0, "Symmetrical")


def two_transformers(net: Any) -> None:
    pp.create_transformer(net, 0, 1, "0.4 MVA 20/0.4 kV")
    tap(net)


def long_names(net: Any) -> None:
    net.bus["name"] = [letter * 80 for letter in "abbc"]


@pytest.mark.parametrize("change", [dead_bus, generator_as_supply, quadrature_tap, two_transformers, long_names])
def test_it_is_carried_over(change: Callable[[Any], None], tmp_path: Path) -> None:
    net = feeder()
    change(net)
    done, node_of = imported(net, tmp_path)
    if change is generator_as_supply:
        pp.create_ext_grid(net, 0, vm_pu=1.02)
        net.gen["in_service"] = False
    found = passive_difference(done, node_of, net)
    assert found.v_pu < 1e-8
    assert found.supply_kva < 1e-4


def no_number(net: Any) -> None:
    net.load["q_mvar"] = float("nan")


def no_element(net: Any) -> None:
    pp.create_switch(net, 1, 0, et="l", closed=False)
    net.switch["element"] = 99


def no_bus(net: Any) -> None:
    net.load.loc[0, "bus"] = 99


def unequal_taps(net: Any) -> None:
    pp.create_transformer(net, 0, 1, "0.25 MVA 20/0.4 kV", name="T2", tap_pos=1)
    net.trafo["tap_changer_type"] = "Ratio"


def negative_resistance(net: Any) -> None:
    net.line["r_ohm_per_km"] = -0.1


def three_windings_only(net: Any) -> None:
    high, middle = pp.create_bus(net, 110), pp.create_bus(net, 10)
    net.ext_grid["bus"] = high
    pp.create_transformer3w(net, high, 0, middle, "63/25/38 MVA 110/20/10 kV")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_number, r"net.json: load\[0\].q_mvar: got NaN \(and 1 more like it: load\[1\].q_mvar\); allowed: a finite"),
        (no_element, r"net.json: switch\[0\].element: got 99; allowed: an index of `line`"),
        (no_bus, r"net.json: load\[0\].bus: got 99; allowed: an index of `bus`"),
        (unequal_taps, r"net.json: grid.lines\[T2\]: .*T2 is parallel with transformer, with ratios of 1 from"),
        (negative_resistance, r"net.json: grid.lines\[LV-A\].r_mohm: got -20.0 \(and 1 more like it: grid"),
        (three_windings_only, r"1 of `trafo3w`: left out.*left out; allowed: a network with prosumers"),
    ],
)  # fmt: skip
def test_it_is_refused_by_one_line(change: Callable[[Any], None], words: str, tmp_path: Path) -> None:
    net = feeder()
    change(net)
    with pytest.raises(InputError, match=words) as caught:
        converted(net, tmp_path)
    assert len(caught.value.faults) == 1
    assert "assumed" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["net.json"]


@pytest.mark.parametrize(
    ("low", "high", "band", "note"),
    [
        (0.0, 2.0, (0.9, 1.1), "assumed: voltages from 0.9 to 1.1"),
        (0.95, 2.0, (0.95, 1.1), "assumed: voltages from 0.95 to 1.1"),
        ([0.9, 0.9, 1.05, 0.9], 1.05, (0.9, 1.1), "nothing in common, at least 1.05 and at most 1.05"),
        ([0.9, 0.9, 0.94, 0.9], 1.06, (0.94, 1.06), "assumed: 0.3 EUR/kWh"),
    ],
)
def test_bands_of_buses(low: Any, high: Any, band: tuple[float, float], note: str, tmp_path: Path) -> None:
    net = feeder()
    net.bus["min_vm_pu"], net.bus["max_vm_pu"] = low, high
    limits = converted(net, tmp_path).config.limits
    assert (limits.v_min_pu, limits.v_max_pu) == band
    assert note in (tmp_path / "grid_import.txt").read_text()


@pytest.mark.parametrize(("p_mw", "q_mvar", "pv_mw"), [(0.02, 0.024, 0.0), (0.02, 0.005, 0.3), (0.02, -0.03, 0.0)])
def test_the_assumed_supply_carries_the_network(p_mw: float, q_mvar: float, pv_mw: float, tmp_path: Path) -> None:
    net = feeder()
    net.ext_grid["bus"], net.load["p_mw"], net.load["q_mvar"] = 1, p_mw, q_mvar
    pp.create_sgen(net, 2, pv_mw)
    limits = converted(net, tmp_path).config.limits.limits()
    pp.runpp(net, numba=False)
    assert abs(1e3 * net.res_ext_grid.p_mw[0]) < limits.slack_p_max_kw
    assert abs(1e3 * net.res_ext_grid.q_mvar[0]) < limits.slack_q_max_kvar


def test_controllers_are_named(tmp_path: Path) -> None:
    from pandapower.control import ContinuousTapControl

    net = feeder()
    ContinuousTapControl(net, 0, 1.0)
    assert "1 of `controller`: left out" in converted(net, tmp_path).notes


def simbench(folder: Path, file: str, column: str, value: str) -> Path:
    """The network of SimBench with another value in the first row of a file; with an empty one without that column."""
    copy = folder / "simbench"
    shutil.copytree(SIMBENCH, copy)
    header, first, *rest = (copy / file).read_text().splitlines()
    cells = first.split(";")
    cells[header.split(";").index(column)] = value
    header = header if value else header.replace(column, "other")
    (copy / file).write_text("\n".join((header, ";".join(cells), *rest)) + "\n")
    return copy


@pytest.mark.parametrize(
    ("file", "column", "value", "words"),
    [
        ("Load.csv", "pLoad", "NULL", r"Load.csv: LV1.101 Load 1, column pLoad: got \"NULL\"; allowed: a number"),
        ("Load.csv", "pLoad", "", "Load.csv: LV1.101 Load 1, column pLoad: got no such column"),
        ("Line.csv", "nodeB", "nowhere", "Line.csv: LV1.101 Line 1, column nodeB: got \"nowhere\"; allowed: a name of"),
        ("LineType.csv", "r", "0,2", "LineType.csv: NAYY .*, column r: got \"0,2\"; allowed: a number"),
        ("Load.csv", "profile", "X9", "LoadProfile.csv: got 0 values of X9_pload on 2016-06-21"),
    ],
)  # fmt: skip
def test_a_file_of_simbench_that_is_no_such_file(
    file: str, column: str, value: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        import_grid(simbench(tmp_path, file, column, value), tmp_path / "grid.yaml", DAY)
    assert len(caught.value.faults) == 1


def test_storages_of_simbench(tmp_path: Path) -> None:
    empty = import_grid(simbench(tmp_path, "Storage.csv", "eStore", "0"), tmp_path / "a.yaml", DAY)
    assert "storage LV1.101 Storage 1: without energy or power; left out" in empty.notes
    shutil.rmtree(tmp_path / "simbench")
    half = import_grid(simbench(tmp_path, "Storage.csv", "chargeLevel", "50"), tmp_path / "b.yaml", DAY)
    assert max(each.battery.soc_initial for each in half.config.prosumers if each.battery) == 0.5
