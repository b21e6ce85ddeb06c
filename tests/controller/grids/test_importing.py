"""Networks of pandapower and SimBench as configurations: the passive state is that of pandapower's own power flow."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from controller.grids.importing import ImportedGrid, import_grid
from controller.process.clocks import WallClock
from controller.studies.day_ahead import planned_day
from core.errors import InputError
from core.load import config_of, load_config, load_scenario, load_yaml
from tests.support.commands import gridlab
from tests.support.imported_grids import (
    DAY,
    NETWORKS,
    SIMBENCH,
    imported,
    imported_simbench,
    known_network,
    passive_difference,
    quiet,
    set_powers,
)

pp = pytest.importorskip("pandapower")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Warnings of pandapower about itself are not the matter here."""
    with quiet():
        yield


def assert_passive_state(done: ImportedGrid, node_of: Mapping[int, str], net: Any, step: int = 0) -> None:
    found = passive_difference(done, node_of, net, step)
    assert found.v_pu < 1e-6
    assert found.supply_kva < 1e-6 * found.size_kva + 1e-4


def plan_of_two_steps(done: ImportedGrid) -> dict[str, Any]:
    horizon = done.config.horizon.model_copy(update={"step_min": 720})
    return planned_day(done.config.model_copy(update={"horizon": horizon}), done.files[0], WallClock()).summary


@pytest.mark.parametrize("name", NETWORKS)
def test_a_known_network(name: str, tmp_path: Path) -> None:
    net = known_network(name)
    done, node_of = imported(net, tmp_path)
    assert_passive_state(done, node_of, net)
    assert "no time series: loads and plants keep their power all day" in done.notes
    summary = plan_of_two_steps(done)
    assert summary["ac"]["v_min_pu"] > 0.9
    assert summary["status"] in ("converged", "infeasible")


def test_case33bw_keeps_its_ties_open(tmp_path: Path) -> None:
    done, _ = imported(known_network("case33bw"), tmp_path)
    assert [line.in_service for line in done.config.grid.lines].count(False) == 5
    assert len(done.config.grid.network().lines) == 32


def test_simbench_with_its_profiles(tmp_path: Path) -> None:
    done, node_of, net = imported_simbench(tmp_path)
    for step in (0, 48, 76):
        set_powers(net, step)
        assert_passive_state(done, node_of, net, step)
    assert load_config(done.files[0]).grid.network().lines[0].ratio == pytest.approx(1.025)
    assert sum(prosumer.battery is not None for prosumer in done.config.prosumers) == 5
    assert plan_of_two_steps(done)["status"] in ("converged", "infeasible")


def village() -> Any:
    """A network with everything that the import resolves: two voltages, taps, switches, open and parallel cables."""
    net = pp.create_empty_network(name="Dorf Süd")
    mv, mv2, lv = (pp.create_bus(net, kv, name=name) for kv, name in ((20, "MV 1"), (20, "MV 2"), (0.4, "1e3")))
    houses = [pp.create_bus(net, 0.4, name=name) for name in ("Haus 1", "Haus 1", None, "NO", "Küche", "Ende")]
    lost = pp.create_bus(net, 0.4, name="lost")
    pp.create_ext_grid(net, mv, vm_pu=1.02)
    pp.create_line(net, mv, mv2, 3.0, "NA2XS2Y 1x185 RM/25 12/20 kV", parallel=2)
    pp.create_transformer(net, mv2, lv, "0.25 MVA 20/0.4 kV", tap_pos=-2, parallel=2)
    net.trafo["tap_changer_type"] = "Ratio"
    cable = "NAYY 4x150 SE"
    for a, b in ((lv, houses[0]), (houses[0], houses[1]), (lv, houses[2]), (houses[2], houses[3])):
        pp.create_line(net, a, b, 0.2, cable, name="Kabel")
    pp.create_line(net, lv, houses[2], 0.3, cable, name="zweites")
    tie = pp.create_line(net, houses[1], houses[3], 0.5, cable, name="tie")
    net.line.loc[tie, "c_nf_per_km"] = 50000.0
    pp.create_switch(net, houses[3], tie, et="l", closed=False)
    pp.create_switch(net, houses[3], houses[4], et="b", closed=True)
    pp.create_switch(net, houses[4], houses[5], et="b", closed=True, z_ohm=0.02)
    pp.create_switch(net, houses[5], lost, et="b", closed=False)
    for k, bus in enumerate((*houses, lost)):
        pp.create_load(net, bus, p_mw=0.004 + 0.001 * k, q_mvar=0.001, name=f"load {k}", scaling=0.9)
    pp.create_load(net, houses[0], p_mw=-0.002, q_mvar=0.0, name="feeds in")
    pp.create_sgen(net, houses[3], p_mw=0.012, q_mvar=-0.003, name="PV 1", type="PV")
    pp.create_sgen(net, houses[3], p_mw=0.006, name="Wind", type="WP")
    pp.create_storage(net, houses[4], p_mw=0.0, max_e_mwh=0.02, sn_mva=0.01, soc_percent=40, min_e_mwh=0.002)
    pp.create_storage(net, houses[4], p_mw=0.0, max_e_mwh=0.02, sn_mva=0.01, soc_percent=80, min_e_mwh=0.002)
    pp.create_asymmetric_load(net, houses[1], p_a_mw=0.002, p_b_mw=0.001, q_c_mvar=0.0005)
    pp.create_shunt(net, houses[2], q_mvar=-0.005, p_mw=0.0005)
    pp.create_motor(net, houses[2], 0.0, 0.8, in_service=True)
    return net


def test_a_village_with_everything(tmp_path: Path) -> None:
    net = village()
    done, node_of = imported(net, tmp_path)
    assert_passive_state(done, node_of, net)
    network = done.config.grid.network()
    assert node_of[2] == "1e3"
    assert [node_of[k] for k in (3, 4, 5, 6, 7)] == ["Haus_1", "Haus_1_2", "N5", "NO", "NO"]
    assert {line.name for line in network.lines} >= {"Kabel_3+zweites", "switch"}
    assert [line.name for line in done.config.grid.lines if not line.in_service] == ["tie"]
    by_name = {prosumer.name: prosumer for prosumer in done.config.prosumers}
    battery = by_name["NO"].battery
    assert battery is not None
    assert (battery.energy_kwh, battery.s_max_kva, battery.soc_initial, battery.soc_min) == (40.0, 20.0, 0.6, 0.1)
    assert load_yaml(done.files[0]) == done.config.document()
    for words in (
        "lost",
        "Wind of type WP",
        "`motor`",
        "joined by closed switches: NO is NO, Küche",
        "impedances / 2500",
    ):
        assert any(words in note for note in done.notes), words
    assert done.files[2].read_text().splitlines() == list(done.notes)


def test_the_command_prints_the_notes_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "village.yaml"
    words = "import-grid", SIMBENCH, "--out", out, "--date", "2016-06-20"
    done = gridlab(capsys, *words)
    assert done.code == 0
    assert "etaStore" in done.out
    assert sorted(path.name for path in out.parent.iterdir()) == [
        "village.yaml",
        "village_import.txt",
        "village_series.csv",
    ]
    assert gridlab(capsys, "check", out).code == 0
    again = gridlab(capsys, *words)
    assert (again.code, again.err.count("\n")) == (2, 3)
    assert "a file that exists" in again.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("loop", "line tie closes a loop with"),
        ("two supplies", "2 nodes with an external grid"),
        ("no supply", "0 nodes with an external grid"),
        ("nobody", "no load, generator or storage at a node; 1 of `motor`: left out"),
    ],
)
def test_a_network_that_is_no_tree(change: str, words: str, tmp_path: Path) -> None:
    net = village()
    if change == "loop":
        net.switch.loc[0, "closed"] = True
    elif change == "two supplies":
        pp.create_ext_grid(net, 1)
    elif change == "nobody":
        for table in ("load", "asymmetric_load", "sgen", "storage"):
            net[table]["in_service"] = False
    else:
        net.ext_grid["in_service"] = False
    pp.to_json(net, str(tmp_path / "net.json"))
    with pytest.raises(InputError, match=words):
        import_grid(tmp_path / "net.json", tmp_path / "grid.yaml", DAY)
    assert [path.name for path in tmp_path.iterdir()] == ["net.json"]


def test_what_is_no_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.json").write_text('{"a": 1}')
    (tmp_path / "text.json").write_text("no JSON")
    (tmp_path / "folder").mkdir()
    for name, words in (
        ("other.json", "no network of pandapower"),
        ("text.json", "no network of pandapower"),
        ("none.json", "no such file or folder"),
        ("folder", "without Node.csv, Line.csv, LineType.csv, ExternalNet.csv, Load.csv"),
    ):
        done = gridlab(capsys, "import-grid", tmp_path / name, "--out", tmp_path / "grid.yaml")
        assert (done.code, done.err.count("\n")) == (2, 1), name
        assert words in done.err


def test_a_day_without_profiles(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"0 values of .* on 2016-06-22; .*from 2016-06-20 to 2016-06-21, option --date"
    ):
        import_grid(SIMBENCH, tmp_path / "grid.yaml", date(2016, 6, 22))


def test_without_pandapower_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pandapower", None)
    done = gridlab(capsys, "import-grid", SIMBENCH.with_suffix(".json"), "--out", tmp_path / "grid.yaml")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "pip install 'gridlab[grids]'" in done.err
    assert gridlab(capsys, "import-grid", SIMBENCH, "--out", tmp_path / "grid.yaml").code == 0


@pytest.mark.parametrize("name", ["kerber", "rural_1", "case33bw"])
def test_impedances_in_ohm_are_noticed(name: str, tmp_path: Path) -> None:
    """Also in a grid of many short lines; the right ones are not."""
    done, _ = imported(known_network(name), tmp_path)
    document: Any = load_yaml(done.files[0])
    for factor, noticed in ((1.0, False), (1e-3, True)):
        for line in document["grid"]["lines"]:
            line |= {"r_mohm": line["r_mohm"] * factor, "x_mohm": line["x_mohm"] * factor}
        scenario = load_scenario(config_of(document, done.files[0]), done.files[0])
        assert any("are they in Ω?" in str(caution) for caution in scenario.cautions) == noticed
