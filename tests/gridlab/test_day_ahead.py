"""Plans by the public interface: those of the command, in memory or on disk."""

import os
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import gridlab
from tests.support.commands import gridlab as command
from tests.support.paths import CONFIG

Capsys = pytest.CaptureFixture[str]
TABLES = ("plan", "resources", "prices", "nodes", "lines", "slack")


@pytest.fixture(scope="module")
def day() -> gridlab.Results:
    return gridlab.plan(CONFIG)


def test_in_memory_it_is_what_the_command_writes(day: gridlab.Results, capsys: Capsys, tmp_path: Path) -> None:
    assert command(capsys, "plan", CONFIG, "--out", tmp_path / "run", "--quiet").code == 0
    run = gridlab.open_run(tmp_path / "run")
    assert set(run.tables) == set(day.tables) == {*TABLES, *(f"uncoordinated_{name}" for name in TABLES), "iterations"}
    for name in run.tables:
        ours = day.tables[name].drop(columns="wall_ms", errors="ignore")
        theirs = run.tables[name].drop(columns="wall_ms", errors="ignore")
        assert_frame_equal(ours, theirs, check_dtype=False, rtol=1e-11)
    passing = ("created_at", "wall_s", "schema_version")
    assert {key: value for key, value in run.summary.items() if key not in passing} == {
        key: value for key, value in day.summary.items() if key not in passing
    }


def test_times_have_the_zone_of_the_configuration(day: gridlab.Results) -> None:
    first = day.plan["time"].iloc[0]
    assert (first.isoformat(), str(first.tz)) == ("2018-06-21T00:00:00+02:00", "Europe/Zurich")
    assert day.path is None
    assert "schema_version" not in day.plan


def test_nothing_is_written_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    config = gridlab.load(CONFIG).with_(name="other")
    assert gridlab.plan(config, coordinate=False).summary["config"] == str(CONFIG)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_sweep(day: gridlab.Results) -> None:
    config = gridlab.load(CONFIG)
    tight = gridlab.plan(config.with_(limits={"v_max_pu": 1.03}))
    assert tight.nodes["v_pu"].max() <= 1.03 + 2e-4 < day.nodes["v_pu"].max()
    assert tight.summary["total_cost_chf"]["coordinated"] > day.summary["total_cost_chf"]["coordinated"]
    assert tight.summary["config_sha256"] != day.summary["config_sha256"]


def test_a_recorded_change_is_repeated_from_its_file(tmp_path: Path) -> None:
    config = gridlab.load(CONFIG).with_(limits={"v_max_pu": 1.04})
    recorded = gridlab.plan(config, out=tmp_path / "tight", coordinate=False)
    assert recorded.path == tmp_path / "tight"
    assert recorded.summary["config"] == str(tmp_path / "tight.yaml")
    assert (tmp_path / "tight" / "report.html").is_file()
    again = gridlab.plan(tmp_path / "tight.yaml", coordinate=False)
    assert again.summary["config_sha256"] == recorded.summary["config_sha256"]
    pd.testing.assert_frame_equal(again.plan, recorded.plan)
    with pytest.raises(gridlab.InputError, match="--out"):
        gridlab.plan(config, out=tmp_path / "tight")


def test_a_plan_that_fails_leaves_nothing(tmp_path: Path) -> None:
    config = gridlab.load(CONFIG).with_(horizon={"date": "2031-01-01"})
    for _ in range(2):
        with pytest.raises(gridlab.InputError, match=r"price_day_ahead_ch_2018-06\.csv"):
            gridlab.plan(config, out=tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_a_wrong_input(tmp_path: Path) -> None:
    with pytest.raises(gridlab.InputError, match=r"--out: got .*x; allowed: a folder that can be made \(File name too"):
        gridlab.plan(CONFIG, out=tmp_path / ("x" * 250), coordinate=False)
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_is_not_there_is_named(day: gridlab.Results, tmp_path: Path) -> None:
    with pytest.raises(gridlab.InputError, match="gridlab9: realtime: got no such table; allowed: one of plan"):
        _ = day.realtime
    with pytest.raises(KeyError):
        day.tables["realtime"]
    with pytest.raises(gridlab.InputError, match=r"summary\.json: got no readable summary"):
        gridlab.open_run(tmp_path)


def test_a_run_of_a_service_is_refused_with_the_way_to_its_telemetry(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").touch()
    with pytest.raises(gridlab.InputError, match=r"summary\.json: got none; allowed: a finished run; `gridlab export`"):
        gridlab.open_run(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no database" * 100])
def test_damaged_telemetry_and_an_empty_trail(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "summary.json").write_text('{"schema_version": 1}')
    (tmp_path / "telemetry.sqlite").write_bytes(content)
    (tmp_path / "audit.jsonl").touch()
    run = gridlab.open_run(tmp_path)
    with pytest.raises(gridlab.InputError, match="no readable telemetry"):
        run.tables["telemetry.node"]
    assert (len(run.tables["audit"]), run.tables["audit"]["outcome"].value_counts().to_dict()) == (0, {})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "no readable table"),
        ("p_kw\n1.0\n", "no readable table"),
        ("p_kw,schema_version\n1.0,1\n1.", "an incomplete row, or one of another version"),
        ("p_kw,schema_version\n1.0,1\n1.0,2\n", "an incomplete row, or one of another version"),
    ],
)
def test_a_damaged_table_is_refused_when_it_is_used(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "summary.json").write_text('{"schema_version": 1}')
    (tmp_path / "plan.csv").write_text(content)
    run = gridlab.open_run(tmp_path)
    with pytest.raises(gridlab.InputError, match=rf"plan\.csv: got {said}; allowed: "):
        _ = run.plan
