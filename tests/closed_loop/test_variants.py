"""Other laboratories and spans by configuration and options alone."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from controller.runs.directory import Run
from tests.support.commands import GRIDLAB, gridlab, scenario_file
from tests.support.laboratory import wait_for
from tests.support.paths import CONFIG
from tests.support.simulated_day import Simulate

SHORT = ("--start", "12:00", "--end", "12:20")
MODBUS = (
    "kind: modbus_converter, registers: {registers}/converter_generic.yaml, host: 127.0.0.1, port: 15023, unit: {unit}"
)
OPCUA = 'kind: opcua_converter, url: "opc.tcp://127.0.0.1:14847/{name}"'


def devices(folder: Path, text_of: str) -> Path:
    """The default scenario with all converters behind one protocol."""
    path = scenario_file(folder)
    lines = path.read_text().splitlines()
    for k, line in enumerate(lines):
        if "_converter, kind:" in line:
            name = line.split("name: ")[1].split(",")[0]
            text = text_of.format(name=name, unit=name[1], registers=CONFIG.parent / "registers")
            lines[k] = f"  - {{name: {name}, {text}, s_max_kva: 15, ramp_kva_per_s: 0.25}}"
    path.write_text("\n".join(lines))
    return path


def assert_sound(run: Run, cycles: int = 40) -> None:
    assert run.summary["realtime"]["cycles"] == cycles
    assert run.summary["referee"]["violations"] == 0
    assert all(run.summary["safe"].values())
    assert set(run.table("realtime.csv")["rung"][5 * 5 :]) == {"use"}


@pytest.mark.parametrize("protocol", [MODBUS, OPCUA], ids=["modbus only", "opc ua only"])
def test_one_protocol(simulate: Simulate, tmp_path: Path, protocol: str) -> None:
    assert_sound(simulate(*SHORT, config=devices(tmp_path, protocol)))


def test_one_without_pv_and_one_without_battery(simulate: Simulate, tmp_path: Path) -> None:
    lines = scenario_file(tmp_path).read_text().splitlines()
    at = {name: next(k for k, line in enumerate(lines) if f"- name: {name}" in line) for name in ("N4", "N7")}
    battery = next(k for k in range(at["N4"], len(lines)) if "battery:" in lines[k])
    pv = next(k for k in range(at["N7"], len(lines)) if lines[k].strip() == "pv:")
    kept = [line for k, line in enumerate(lines) if k != battery and not pv <= k < pv + 4]
    (tmp_path / "scenario.yaml").write_text("\n".join(kept))
    run = simulate(*SHORT, config=tmp_path / "scenario.yaml")
    assert_sound(run)
    table = run.table("realtime.csv")
    assert table.query("prosumer == 'N4'")["soc"].isna().all()
    assert (table.query("prosumer == 'N4'")["battery_kw"] == 0).all()
    assert (table.query("prosumer == 'N7'")["pv_kw"] == 0).all()


def test_a_frozen_device_holds_then_goes_safe_then_comes_back(simulate: Simulate, tmp_path: Path) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text('- {at: "12:05:00", for_s: 300, device: n4_converter, fault: frozen}\n')
    run = simulate(*SHORT, "--faults", faults)
    table = run.table("realtime.csv")
    n4 = table.query("prosumer == 'N4'")["rung"].tolist()
    assert n4[9:14] == ["use", "use", "hold", "safe", "safe"]
    assert n4[-5:] == ["use"] * 5
    assert set(table.query("prosumer != 'N4'")["rung"][5 * 4 :]) == {"use"}
    assert run.summary["referee"]["violations"] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--start", "12:03"), "--start: got 12:03; allowed: HH:MM, a multiple of 10 min within the day"),
        (("--start", "13:00", "--end", "12:00"), "--end: got 12:00; allowed: a time after 13:00"),
        (("--pace", "fast"), "--pace: got fast; allowed: max, realtime, or a factor such as 60x"),
        (("--margin", "0.5"), "--margin: got 0.5; allowed: auto, off, or a number from 0 to 0.1 p.u."),
        (("--faults", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_bad_options(words: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ended = gridlab(capsys, "simulate", CONFIG, "--out", tmp_path / "run", *words)
    assert ended.code == 2
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_bad_faults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faults = tmp_path / "faults.yaml"
    faults.write_text('- {at: "25:00", for_s: -1, device: n2_converter, fault: bored}\n- frozen\n')
    ended = gridlab(capsys, "simulate", CONFIG, "--out", tmp_path / "run", "--faults", faults)
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 4


@contextmanager
def simulating(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A paced run, once its controller works."""
    words = ("simulate", CONFIG, "--start", "12:00", "--end", "13:00", "--pace", "60x", "--quiet", "--out", folder)
    with subprocess.Popen([*GRIDLAB, *map(str, words)], stderr=subprocess.PIPE, text=True) as running:
        try:
            draft = f".{folder.name}.*.partial/realtime.csv"
            wait_for(lambda: any(len(t.read_text().splitlines()) > 20 for t in folder.parent.glob(draft)), 40)
            yield running
        finally:
            running.kill()


def test_an_interrupted_run_closes_its_account(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with simulating(folder) as running:
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
        assert (running.returncode, said) == (0, "")
    run = Run(folder)
    assert run.summary["interrupted"]
    assert 4 <= run.summary["realtime"]["cycles"] < 120
    assert all(run.summary["safe"].values())
    assert len(run.table("realtime.csv")) == 5 * run.summary["realtime"]["cycles"]


def test_nobody_is_left_behind_by_a_killed_clock_master(tmp_path: Path) -> None:
    with simulating(tmp_path / "run") as running:
        followers = psutil.Process(running.pid).children(recursive=True)
        assert len(followers) == 4
        running.kill()
        running.communicate()
    gone, alive = psutil.wait_procs(followers, timeout=30)
    assert (len(gone), alive) == (4, [])
