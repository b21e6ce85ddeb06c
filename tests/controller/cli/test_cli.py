"""The program as a user meets it: results, exit codes, one line per fault, nothing lost."""

import json
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from core.config import Config
from core.load import load_scenario
from core.prices import PriceSignal
from mpc.grid.rows import GridModel
from mpc.prosumer import ProsumerProgram
from tests.support.commands import free_ports, gridlab, scenario_file
from tests.support.paths import CONFIGS

DEFAULT = CONFIGS / "gridlab9.yaml"
Capsys = pytest.CaptureFixture[str]

PLAN_COLUMNS = (
    "time prosumer p_kw q_kvar battery_kw battery_kvar pv_kw pv_available_kw load_kw load_kvar soc "
    "tariff_chf_per_kwh price_chf_per_kwh average_price_chf_per_kwh pv_kvar schema_version"
)
COLUMNS = {
    "plan.csv": PLAN_COLUMNS,
    "prices.csv": "time prosumer h_pp h_pq h_qq g_p g_q schema_version",
    "nodes.csv": "time node v_pu schema_version",
    "lines.csv": "time line i_a schema_version",
    "slack.csv": "time p_kw q_kvar schema_version",
    "resources.csv": "time prosumer resource quantity value schema_version",
    "iterations.csv": "iteration primal dual rho cost_chf bound_chf gap_rel violation_pu linearisation_pu wall_ms "
    "schema_version",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run of the default scenario, by the real program."""
    path = tmp_path_factory.mktemp("runs") / "default"
    subprocess.run([sys.executable, "-m", "controller.cli", "plan", DEFAULT, "--out", path, "--quiet"], check=True)
    return path


@pytest.fixture(scope="module")
def summary(run: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_of_the_run_directory(run: Path, name: str) -> None:
    assert list(pd.read_csv(run / name).columns) == COLUMNS[name].split()


def test_files_of_the_run_directory(run: Path) -> None:
    baseline = {f"uncoordinated_{name}" for name in COLUMNS if name != "iterations.csv"}
    assert {path.name for path in run.iterdir()} == {
        *COLUMNS,
        *baseline,
        "summary.json",
        "report.html",
        "figures",
    }


def test_summary_certifies_the_day(summary: dict[str, Any]) -> None:
    assert summary["schema_version"] == 1
    assert summary["status"] == "converged"
    assert summary["iterations"] <= 100
    assert abs(summary["gap_rel"]) <= 1e-3
    assert summary["ac"]["violation_max_pu"] <= 2e-4
    assert summary["ac"]["slack_q_violation_kvar"] <= 0.05
    assert summary["total_cost_chf"]["uncoordinated"] <= summary["total_cost_chf"]["coordinated"]
    for name, cost in summary["cost_chf"].items():
        assert cost["compensation"] >= -1e-6
        own = summary["own_cost_chf"][name]
        bill, more = (each["coordinated"] - each["uncoordinated"] for each in (cost, own))
        assert bill + more == pytest.approx(cost["compensation"])
    assert len(summary["config_sha256"]) == 64


def test_prices_on_disk_reproduce_the_plan_and_hold_the_grid(run: Path, gridlab9_config: Config) -> None:
    """Everybody minimises the cost that prices.csv advertises, and nothing else."""
    scenario = load_scenario(gridlab9_config, DEFAULT)
    prices, plan = pd.read_csv(run / "prices.csv"), pd.read_csv(run / "plan.csv")
    answers = []
    for site in scenario.sites:
        own = prices[prices.prosumer == site.name]
        h = np.stack([own[["h_pp", "h_pq"]], own[["h_pq", "h_qq"]]], axis=1)
        signal = PriceSignal(h, own[["g_p", "g_q"]].to_numpy(), 0.0)
        answers.append(ProsumerProgram(site, scenario.tariff, scenario.axis.dt_h).respond(signal).x)
        planned = plan[plan.prosumer == site.name][["p_kw", "q_kvar"]].to_numpy()
        assert np.abs(answers[-1] - planned).max() <= 0.05
    v = np.abs(GridModel(scenario.problem, 1.0).flow(np.stack(answers)).v)
    assert v.min() >= 0.95 - 1e-3
    assert v.max() <= 1.05 + 1e-3


def test_screen_shows_the_table_and_the_path(capsys: Capsys, tmp_path: Path) -> None:
    ended = gridlab(capsys, "plan", DEFAULT, "--out", tmp_path / "run", "--max-iterations", 3)
    assert ended.code == 0
    for word in ("N3", "N9", "total", "without", "with", "compensation", "iterations after 3 rounds"):
        assert word in ended.out
    assert ended.out.splitlines()[-1] == f"report: {tmp_path / 'run' / 'report.html'}"


def test_uncoordinated_baseline(capsys: Capsys, tmp_path: Path) -> None:
    assert gridlab(capsys, "plan", DEFAULT, "--out", tmp_path / "run", "--uncoordinated").code == 0
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert summary["status"] == "uncoordinated"
    assert summary["ac"]["violation_max_pu"] > 0.02
    assert summary["total_cost_chf"]["coordinated"] == summary["total_cost_chf"]["uncoordinated"]
    assert pd.read_csv(tmp_path / "run" / "iterations.csv").empty


def test_limits_that_nobody_can_hold_are_a_result(capsys: Capsys, tmp_path: Path) -> None:
    config = scenario_file(tmp_path, ("forecast: 1.0\n", "forecast: 1.1\n"))
    ended = gridlab(capsys, "plan", config, "--out", tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert ended.code == 0
    assert summary["status"] == "infeasible"
    assert summary["unheld"]["violation_pu"] == pytest.approx(0.03, abs=0.03)
    assert summary["unheld"]["cost_chf"] > 0
    assert "nobody can hold" in ended.out


def test_two_runs_within_a_second_get_folders_of_their_own(
    capsys: Capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        assert gridlab(capsys, "plan", DEFAULT, "--uncoordinated", "--quiet").code == 0
    assert len(list((tmp_path / "runs").iterdir())) == 2


@pytest.mark.parametrize(
    ("replaced", "key"),
    [
        (("soc_initial: 0.5", "soc_initial: 1.05"), "prosumers[0].battery.soc_initial"),
        (("voltage_v: 400", "voltge_v: 400"), "grid.voltge_v"),
        (("{from: N4, to: N5,", "{from: N3, to: N4,"), "grid.lines[3]"),
        (("scale: 2.5", "scale: -2.5"), "G1-A_p"),
        (("column: price_eur_per_mwh", "column: price"), "price"),
        (("step_min: 10", "step_min: 7"), "horizon.step_min"),
        (("peak_kw: 5.0", "peak_kw: .nan"), "prosumers[0].pv.peak_kw"),
        (("date: 2016-06-06", "date: 2016-06-05"), "load_commercial_15min.csv"),
    ],
)
def test_bad_input_is_one_line_a_fault_and_exit_code_2(
    capsys: Capsys, tmp_path: Path, replaced: tuple[str, str], key: str
) -> None:
    ended = gridlab(capsys, "plan", scenario_file(tmp_path, replaced), "--out", tmp_path / "run")
    assert ended.code == 2
    assert key in ended.err.splitlines()[0]
    assert all("allowed" in line for line in ended.err.splitlines())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan",), "CONFIG"),
        (("plan", "nowhere.yaml"), "nowhere.yaml"),
        (("plan", CONFIGS), "configs"),
        (("plant", "nowhere.yaml"), "nowhere.yaml"),
        (("plan", DEFAULT, "--max-iterations", 0), "--max-iterations"),
        (("plan", DEFAULT, "--budget-s", "soon"), "--budget-s"),
        (("plan", DEFAULT, "--splitting", "other"), "--splitting"),
        (("plan", DEFAULT, "--out", CONFIGS), "--out"),
        (("report", CONFIGS), "summary.json"),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_bad_words_are_one_line_and_exit_code_2(capsys: Capsys, words: tuple[object, ...], said: str) -> None:
    ended = gridlab(capsys, *words)
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert said in ended.err


def test_a_licence_that_is_too_small_says_so(capsys: Capsys, tmp_path: Path) -> None:
    config = scenario_file(tmp_path, ("currency: CHF", "currency: CHF\nsolver: {prosumer: gurobi}"))
    ended = gridlab(capsys, "plan", config, "--out", tmp_path / "run")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "needs a full Gurobi licence: 576 variables, licence allows 200" in ended.err
    assert not (tmp_path / "run").exists()


def test_an_old_run_is_never_overwritten(capsys: Capsys, run: Path) -> None:
    before = (run / "summary.json").read_bytes()
    assert gridlab(capsys, "plan", DEFAULT, "--out", run).code == 2
    assert (run / "summary.json").read_bytes() == before


def test_check_names_a_load_that_no_converter_can_pass(capsys: Capsys, tmp_path: Path) -> None:
    """A converter of 1 kVA in front of a load of up to 2.5 kW."""
    small = scenario_file(tmp_path, ("unit: 3, s_max_kva: 15", "unit: 3, s_max_kva: 1"))
    ended = gridlab(capsys, "check", small)
    assert ended.code == 0
    load = r"prosumers\[0\]\.load: got a forecast load of [12]\.\d+ kVA at \d\d:\d\d"
    assert re.search(rf"^warning: \S+: {load}; its converters pass 1 kVA; plans supply the load", ended.err, re.M)
    assert "prosumers[1]" not in ended.err


def test_warnings_are_said_once(capsys: Capsys, tmp_path: Path) -> None:
    config = scenario_file(tmp_path, ("scale: 0.00115, offset: 0.10", "scale: 1.15, offset: 0.10"))
    checked = gridlab(capsys, "check", config)
    assert checked.code == 0
    assert checked.err.count("\n") == 1
    assert re.match(r"warning: \S+: tariff: got [\d.]+ CHF per kWh on average; is it per MWh", checked.err)
    assert gridlab(capsys, "check", config, "--quiet").err == ""


def test_check_judges_scenario_and_series(capsys: Capsys, tmp_path: Path) -> None:
    assert "9 nodes, 5 prosumers" in gridlab(capsys, "check", DEFAULT).out
    assert gridlab(capsys, "check", scenario_file(tmp_path, ("v_v, date: 2008", "v_x, date: 2008"))).code == 2


def test_plant_listens_at_the_devices_of_the_configuration_until_it_is_said_to_stop(tmp_path: Path) -> None:
    ports = dict(zip(("15020", "15023", "15025", "14847"), map(str, free_ports(4)), strict=True))
    config = scenario_file(tmp_path, *ports.items())
    command = [sys.executable, "-m", "controller.cli", "plant", str(config), "--pace", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as plant:
        assert plant.stdout is not None
        ready = json.loads(plant.stdout.readline())
        plant.send_signal(signal.SIGTERM)
        assert plant.wait(30) == 0
    assert len(ready["devices"]) == 14
    assert ready["devices"]["n5_converter"]["port"] == int(ports["15025"])


@pytest.mark.parametrize("words", [(), ("study",), ("plan", "--help"), ("study", "rho", "--help")])
def test_help(capsys: Capsys, words: tuple[str, ...]) -> None:
    assert "Usage: gridlab" in gridlab(capsys, *words).out


def test_version(capsys: Capsys) -> None:
    ended = gridlab(capsys, "--version")
    assert (ended.code, ended.out) == (0, f"gridlab {version('gridlab')}\n")
