"""In closed loop: a prosumer with two converters of different kind and rating, of which one dies and returns."""

import json
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from controller.judge.case import Case, CaseConfig, InjectedFault, Kind
from controller.judge.histories import read_histories
from controller.judge.invariants import violations
from controller.runs.directory import Run
from core.config import Config
from core.load import load_config
from tests.support.commands import gridlab_process, scenario_file
from tests.support.simulated_day import Simulate, json_lines

SECOND = "port: 15026, s_max_kva: 2, ramp_kva_per_s: 0.05, reactive: false"
DEAD = {"at": "12:05:00", "for_s": 240, "device": "n5_converter", "fault": "black_hole"}
LOCAL = {"at": "12:14:00", "for_s": 120, "device": "n5_second", "fault": "local"}
CYCLES = 40


def scenario(folder: Path) -> Path:
    """N5 with a SunSpec converter of 3 kVA and one of 2 kW with a register map, slower and without reactive power."""
    path = scenario_file(
        folder,
        ("converter: n5_converter", "converter: [n5_converter, n5_second]"),
        ("port: 15025, unit: 1, s_max_kva: 15", "port: 15025, unit: 1, s_max_kva: 3"),
    )
    text = path.read_text()
    registers = next(
        line.split("registers: ")[1].split(",")[0] for line in text.splitlines() if "n3_converter, k" in line
    )
    second = f"  - {{name: n5_second, kind: modbus_converter, registers: {registers}, {SECOND}}}\n"
    path.write_text(text.replace("  - {name: n1_meter", f"{second}  - {{name: n1_meter", 1))
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return scenario(tmp_path_factory.mktemp("several"))


@pytest.fixture(scope="module")
def config(path: Path) -> Config:
    return load_config(path)


@pytest.fixture(scope="module")
def run(simulate: Simulate, path: Path) -> Run:
    """Twenty minutes: the larger one is dead for four, later somebody has the smaller one at its panel for two."""
    faults = path.with_name("faults.yaml")
    faults.write_text(json.dumps([DEAD, LOCAL]))
    return simulate("--start", "12:00", "--end", "12:20", "--seed", 7, "--faults", faults, config=path)


@pytest.fixture(scope="module")
def asked(run: Run) -> pd.DataFrame:
    """What was sent to both, and the row of their prosumer, by local time."""
    audit = json_lines(run.path / "audit.jsonl")
    lines = pd.DataFrame([line for line in audit if line.get("outcome") == "attempted" and line["p_kw"] is not None])
    writes = lines.pivot(index="time", columns="device", values=["p_kw", "q_kvar"])
    rows = run.table("realtime.csv").query("prosumer == 'N5'").set_index("time")
    for device in ("n5_converter", "n5_second"):
        for quantity in ("p_kw", "q_kvar"):
            series = writes[quantity, device].astype(float)
            rows[f"{device}_{quantity}"] = series.set_axis(pd.to_datetime(series.index, utc=True)).reindex(rows.index)
    return rows.tz_convert("Europe/Zurich")


def test_no_rule_is_broken(run: Run, config: Config) -> None:
    assert run.summary["referee"]["violations"] == 0
    assert all(run.summary["safe"].values())
    assert len(run.summary["safe"]) == 6
    end = datetime.fromisoformat(run.summary["end"])
    dead = InjectedFault(
        "black_hole", 7, "n5_converter", end - timedelta(minutes=15), end - timedelta(minutes=11), Kind.LINK
    )
    local = InjectedFault("local", 10, "n5_second", end - timedelta(minutes=6), end - timedelta(minutes=4), Kind.DEVICE)
    case = Case.of(read_histories(run.path), CaseConfig.of(config), (dead, local), end)
    assert list(violations(case)) == []


def test_together_they_follow_the_plan_by_rating_and_ability(asked: pd.DataFrame) -> None:
    both = asked.between_time("12:01", "12:04:30")
    assert set(both["rung"]) == {"use"}
    assert (both["p_setpoint_kw"] - both["p_target_kw"]).abs().max() < 5e-3
    assert both["n5_converter_p_kw"].to_numpy() == pytest.approx(1.5 * both["n5_second_p_kw"].to_numpy(), abs=5e-3)
    assert (asked["n5_second_q_kvar"].dropna() == 0).all()
    assert both["n5_converter_q_kvar"].to_numpy() == pytest.approx(both["q_setpoint_kvar"].to_numpy())


def test_the_other_carries_what_it_can_once_the_dead_one_is_safe(asked: pd.DataFrame) -> None:
    """Its lease ends 75 s after its last write at 12:04:30. The target is beyond the other one alone."""
    waiting = asked.between_time("12:05", "12:05:30")
    assert (waiting["n5_second_p_kw"] - asked["n5_second_p_kw"].asof(waiting.index[0])).abs().max() < 5e-3
    alone = asked.between_time("12:06", "12:08:30")
    assert (alone["p_target_kw"] < -2.1).all()
    assert (alone["n5_second_p_kw"] == -2.0).all()
    assert (alone["p_setpoint_kw"] == -2.0).all()
    assert alone["reasons"].str.contains("converters_saturated").all()
    assert alone["p_measured_kw"].isna().all(), "of the dead one nothing is known"


def test_when_it_is_back_they_share_again(asked: pd.DataFrame) -> None:
    again = asked.between_time("12:10:30", "12:13:30")
    assert set(again["rung"]) == {"use"}
    assert (again["p_setpoint_kw"] - again["p_target_kw"]).abs().max() < 5e-3
    assert again["n5_converter_p_kw"].to_numpy() == pytest.approx(1.5 * again["n5_second_p_kw"].to_numpy(), abs=5e-3)


def test_the_larger_one_replaces_one_at_its_panel_at_once(asked: pd.DataFrame) -> None:
    taken = asked.between_time("12:14", "12:15:30")
    assert taken["n5_second_p_kw"].isna().all()
    assert (taken["n5_converter_p_kw"] - taken["p_target_kw"]).abs().max() < 5e-3


def test_the_battery_of_both_is_one_account(run: Run) -> None:
    assert run.summary["soc"]["N5"]["outside"] == 0
    assert abs(run.summary["energy_books"]["N5"]["difference_kwh"]) < 0.01


def test_telemetry_and_report_show_both(run: Run, asked: pd.DataFrame) -> None:
    with closing(sqlite3.connect(run.path / "telemetry.sqlite")) as connection:
        query = "SELECT time, p_setpoint_kw, p_kw, outcome FROM device WHERE device = ? ORDER BY time"
        table = pd.read_sql(query, connection, params=("n5_second",))
    table = table.set_index(pd.to_datetime(table.pop("time"), utc=True)).reindex(asked.index)
    assert (table["outcome"] == "verified").sum() == CYCLES - 4, "all but those at its panel"
    pd.testing.assert_series_equal(table["p_setpoint_kw"], asked["n5_second_p_kw"], check_names=False)
    followed = (table["p_kw"].shift(-1) - table["p_setpoint_kw"]).between_time("12:06", "12:08:30")
    assert followed.abs().max() < 0.05
    page = (run.path / "report.html").read_text()
    chapter = page.partition("Several converters</h2>")[2].partition("<h2")[0]
    assert all(f">{name}<" in chapter for name in ("N5", "n5_converter", "n5_second"))
    assert list((run.path / "figures").glob("*converters.svg"))


def test_what_makes_no_sense_is_refused(path: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(path.read_text().replace("unit: 3, s_max_kva: 15,", "unit: 3, s_max_kva: 15, priority: 1,"))
    refused = gridlab_process("check", wrong)
    assert refused.returncode == 2
    assert refused.stderr == f"{wrong}: devices[0].priority: got 1; allowed: 0, since N3 has no other converter\n"
    assert gridlab_process("check", path).returncode == 0
