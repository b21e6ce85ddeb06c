"""Reading what a run leaves behind, and a real run that passes."""

import json
import shutil
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from math import isnan
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from controller.judge.case import CaseConfig, InjectedFault, Kind
from controller.judge.histories import (
    Histories,
    StateChange,
    read_histories,
)
from controller.judge.verdict import judge
from controller.runs.directory import Run
from core.errors import InputError
from core.load import load_config
from tests.support.commands import gridlab_process
from tests.support.paths import CONFIG

SITE = CaseConfig.of(load_config(CONFIG))
END = datetime(2018, 6, 21, 9, 40, tzinfo=UTC)
FROZEN = ("n4_converter", datetime(2018, 6, 21, 11, 34, tzinfo=ZoneInfo("Europe/Zurich")), 120.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten minutes of the default laboratory, in which a converter freezes for two."""
    out = tmp_path_factory.mktemp("chaos")
    device, begins, for_s = FROZEN
    faults = out / "faults.yaml"
    faults.write_text(f'- {{at: "{begins:%H:%M:%S}", for_s: {for_s:g}, device: {device}, fault: frozen}}\n')
    words = ("--start", "11:30", "--end", "11:40", "--faults", faults, "--out", out / "run", "--quiet")
    ended = gridlab_process("simulate", CONFIG, *words)
    assert (ended.returncode, ended.stderr) == (0, "")
    return out / "run"


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    """The run, to be spoilt."""
    return Path(shutil.copytree(folder, tmp_path / "run"))


def frozen() -> InjectedFault:
    device, begins, for_s = FROZEN
    return InjectedFault("frozen", 14, device, begins, begins + timedelta(seconds=for_s), Kind.STALE)


def test_a_real_run_with_a_frozen_converter_is_judged_safe(folder: Path) -> None:
    judgement = judge(read_histories(folder), SITE, [frozen()], END)
    (verdict,) = judgement.verdicts
    assert judgement.before_faults == ()
    assert (verdict.broken, verdict.late, verdict.points_lost) == ((), (), 0)
    assert verdict.detected_s is not None
    assert verdict.safe_s is not None
    assert verdict.detected_s <= 45 <= verdict.safe_s <= 90
    assert verdict.recovered_s == 60
    assert judgement.passed


def test_the_same_run_spoilt_is_not(folder: Path, copy: Path) -> None:
    lines = (copy / "audit.jsonl").read_text().splitlines(keepends=True)
    (copy / "audit.jsonl").write_text("".join(line for line in lines if json.loads(line)["seq"] != 40))
    judgement = judge(read_histories(copy), SITE, [frozen()], END)
    assert {broken.invariant for broken in judgement.before_faults} == {6}
    assert not judgement.passed
    assert judge(read_histories(folder), SITE, [frozen()], END).passed


def test_all_of_a_run_is_there(folder: Path) -> None:
    histories, summary = read_histories(folder), Run(folder).summary
    assert len(histories.frames) == summary["referee"]["frames"]
    assert len(histories.decisions) == len(histories.stored_prosumers) == 20 * 5
    assert len(histories.devices) == 20 * len(SITE.links)
    assert len(histories.service) == 20
    assert len(histories.plans) == len(histories.stored_plans) == 1
    assert histories.guardian == ()


def _append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_line_that_a_kill_has_torn_is_passed_over(folder: Path, copy: Path) -> None:
    for name in ("frames.jsonl", "states.jsonl", "audit.jsonl", "realtime.csv", "mpc.csv"):
        _append(copy / name, '{"schema_version": 1, "ti' if name.endswith("l") else "2018-06-21T11:4")
    assert read_histories(copy) == read_histories(folder)


def test_states_that_the_plant_records_are_read(copy: Path) -> None:
    line = {"time": "2018-06-21T11:40:01+02:00", "device": "n4_converter", "state": "local"}
    _append(copy / "states.jsonl", json.dumps(line) + "\n")
    *seen, last = read_histories(copy).states
    assert last == StateChange(datetime(2018, 6, 21, 9, 40, 1, tzinfo=UTC), "n4_converter", "local")
    assert {change.state for change in seen} == {"remote", "safe"}
    assert {change.device for change in seen} == {f"n{k}_converter" for k in (3, 4, 5, 7, 9)}


def test_numbers_that_json_does_not_have_are_read(copy: Path) -> None:
    frames = (copy / "frames.jsonl").read_text().splitlines(keepends=True)
    frames[0] = json.dumps({**json.loads(frames[0]), "p_kw": "nan", "lease_s": "inf"}) + "\n"
    (copy / "frames.jsonl").write_text("".join(frames))
    frame = read_histories(copy).frames[0]
    assert isnan(frame.s_kva.real)
    assert frame.lease_s == float("inf")


@pytest.mark.parametrize(
    "name", ["frames.jsonl", "states.jsonl", "audit.jsonl", "telemetry.sqlite", "realtime.csv", "mpc.csv"]
)
def test_a_missing_history_is_an_error(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(InputError, match=f"{name}: got no such file; allowed: the histories"):
        read_histories(copy)


@pytest.mark.parametrize(
    ("name", "text"),
    [("frames.jsonl", '{"time": "noon"}\n'), ("realtime.csv", "noon,N3\n"), ("telemetry.sqlite", "no database" * 100)],
)
def test_a_damaged_history_is_an_error(copy: Path, name: str, text: str) -> None:
    if name == "telemetry.sqlite":
        (copy / name).write_text(text)
    else:
        _append(copy / name, text)
    with pytest.raises(InputError, match="no readable histories"):
        read_histories(copy)


def test_a_run_without_a_cycle_is_an_error(copy: Path) -> None:
    header = (copy / "realtime.csv").read_text().splitlines(keepends=True)[0]
    (copy / "realtime.csv").write_text(header)
    with pytest.raises(InputError, match=r"realtime\.csv: got no cycle"):
        read_histories(copy)


def _without(database: Path, columns: Iterable[tuple[str, str]]) -> None:
    with sqlite3.connect(database) as connection:
        for table, column in columns:
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    connection.close()


def test_telemetry_of_an_older_service_lacks_what_it_did_not_know(copy: Path) -> None:
    _without(copy / "telemetry.sqlite", [("device", "state"), ("service", "dropped")])
    histories: Histories = read_histories(copy)
    assert {point.state for point in histories.devices} == {None}
    assert {point.dropped for point in histories.service} == {0.0}
