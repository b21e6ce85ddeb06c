"""Simulated days by the public interface: those of the command, also below an event loop."""

import asyncio
import gc
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import pytest

import gridlab
from controller.simulation.master import CONTROLLER
from tests.support.commands import gridlab as command
from tests.support.paths import CONFIG

Capsys = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def noon() -> gridlab.Results:
    return gridlab.simulate(CONFIG, start="12:00", end="12:10", seed=7)


def test_it_is_the_run_of_the_command(noon: gridlab.Results, capsys: Capsys, tmp_path: Path) -> None:
    words = ("--start", "12:00", "--end", "12:10", "--seed", 7, "--quiet", "--out", tmp_path / "run")
    assert command(capsys, "simulate", CONFIG, *words).code == 0
    assert noon.path
    assert (noon.path / "realtime.csv").read_bytes() == (tmp_path / "run" / "realtime.csv").read_bytes()


def test_all_tables_can_be_read(noon: gridlab.Results) -> None:
    assert len(noon.realtime) == 20 * 5
    assert len(noon.mpc) == 1
    assert noon.tables["audit"]["outcome"].value_counts()["verified"] == 20 * 5 + 5
    nodes = noon.tables["telemetry.node"].merge(noon.nodes, on=["time", "node"])
    assert len(nodes) == 20 * 9
    assert nodes["v_pu_x"].to_numpy() == pytest.approx(nodes["v_pu_y"].to_numpy())
    for table in noon.tables.values():
        assert "schema_version" not in table
        assert "time" not in table or str(table["time"].dt.tz) == "Europe/Zurich"


def test_below_an_event_loop_with_a_changed_configuration_and_gone_with_its_results() -> None:
    config = gridlab.load(CONFIG).with_(name="other", limits={"margin": "off"})

    async def notebook() -> gridlab.Results:
        return gridlab.simulate(config, start="12:00", end="12:10", coordinate=False)

    results = asyncio.run(notebook())
    assert (results.summary["name"], results.summary["margin"]) == ("other", "off")
    assert results.path
    folder = results.path.parent
    assert {path.name for path in folder.iterdir()} == {"other", "other.yaml"}
    del results
    gc.collect()
    assert not folder.exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"coordinate": "no"}, 'coordinate: got "no"; allowed: True or False'),
        ({"start": 11}, "start: got 11; allowed: a text HH:MM"),
        ({"seed": "a"}, 'seed: got "a"; allowed: a whole number ≥ 0'),
        ({"seed": -1}, "seed: got -1; allowed: a whole number ≥ 0"),
        ({"seed": True}, "seed: got true; allowed: a whole number ≥ 0"),
        ({"pace": 60}, "pace: got 60; allowed: max, realtime"),
    ],
)
def test_an_option_of_a_wrong_kind_is_named(options: Any, said: str) -> None:
    with pytest.raises(gridlab.InputError, match=f"^simulate: {said}"):
        gridlab.simulate(CONFIG, **options)


def test_wrong_options_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(gridlab.InputError, match=r"--start: got 25:00; allowed: HH:MM"):
        gridlab.simulate(CONFIG, start="25:00")
    with pytest.raises(TypeError, match="strat"):
        gridlab.simulate(CONFIG, strat="12:00")  # type: ignore[call-arg]
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_controller_dies_is_kept(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as other:
        killed = other.submit(_kill_controller, tmp_path)
        with pytest.raises(gridlab.GridlabError, match=r"logs and tables are in .*run-failed$"):
            gridlab.simulate(CONFIG, out=tmp_path / "run", start="12:00", end="13:00")
        rows = killed.result()
    assert [path.name for path in tmp_path.iterdir()] == ["run-failed"]
    assert len(pd.read_csv(tmp_path / "run-failed" / "realtime.csv")) >= rows > 0


def _kill_controller(folder: Path) -> int:
    """Kill the controller of a run once it has written a table; the number of rows by then."""
    while (rows := sum(table.read_bytes().count(b"\n") - 1 for table in folder.rglob("realtime.csv"))) < 1:
        time.sleep(0.1)
    (controller,) = (p for p in psutil.Process().children(recursive=True) if CONTROLLER in p.cmdline())
    controller.kill()
    return rows
