"""All that a cycle leaves behind, together."""

import os
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.process.failures import RecordError
from controller.record.measurements import points
from controller.record.recorder import Recorder
from core.config import TelemetryConfig
from tests.support.cycle_records import cycle, mpc
from tests.support.disks import full_disk

ZONE = "Europe/Zurich"
STORE = Path("telemetry.sqlite")
KEPT = TelemetryConfig(sqlite=STORE)
MARGIN_BYTES = 128 << 20
"""What other processes may write meanwhile."""


def cycles_stored(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM service").fetchone()[0])


def dropped(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT value FROM meta WHERE key = 'dropped'").fetchone()[0])


def test_a_cycle_fills_all_tables(tmp_path: Path) -> None:
    with Recorder(tmp_path, ZONE, KEPT) as recorder:
        recorder.cycle(cycle(0))
        recorder.mpc(mpc(0))
    realtime = (tmp_path / "realtime.csv").read_text().splitlines()
    assert realtime[1] == (
        "2018-06-21T12:00:00+02:00,N3,0.333333333333,-0.333333333333,0.666666666667,-0.666666666667,,,1.33333333333,"
        "0,0,0.5,1,0.2,0.25,use,,-0.5,1"
    )
    assert realtime[2].endswith(",use,battery_saturated ramp,-0.5,1")
    assert (tmp_path / "nodes.csv").read_text().splitlines()[2] == "2018-06-21T12:00:00+02:00,N2,0.998,1"
    assert (tmp_path / "lines.csv").read_text().splitlines()[1] == "2018-06-21T12:00:00+02:00,N1-N2,1.5,1"
    assert (tmp_path / "slack.csv").read_text().splitlines()[1] == "2018-06-21T12:00:00+02:00,3.5,,1"
    assert (tmp_path / "mpc.csv").read_text() == (
        "time,status,iterations,wall_ms,gap_rel,violation_pu,adopted,schema_version\n"
        "2018-06-21T12:00:00+02:00,converged,21,180.5,0.0001,2e-05,True,1\n"
    )
    assert cycles_stored(tmp_path / STORE) == 1


def test_the_hour_that_comes_twice_is_said_apart(tmp_path: Path) -> None:
    with Recorder(tmp_path, ZONE, KEPT) as recorder:
        for hour in (0, 1):
            recorder.cycle(replace(cycle(0), time=datetime(2018, 10, 28, hour, 30, tzinfo=UTC)))
    times = {line.split(",")[0] for line in (tmp_path / "slack.csv").read_text().splitlines()[1:]}
    assert times == {"2018-10-28T02:30:00+02:00", "2018-10-28T02:30:00+01:00"}


def test_a_service_keeps_telemetry_only(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "points.sqlite"
    with Recorder(tmp_path, ZONE, TelemetryConfig(sqlite=elsewhere), tables=False) as recorder:
        recorder.cycle(cycle(0))
        recorder.mpc(mpc(0))
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]
    assert cycles_stored(elsewhere) == 1


def test_a_restart_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    for parts in ([range(4)], [range(2), range(2, 4)]):
        folder = tmp_path / str(len(parts))
        folder.mkdir()
        for part in parts:
            with Recorder(folder, ZONE, KEPT) as recorder:
                for k in part:
                    recorder.cycle(cycle(k))
                    recorder.mpc(mpc(k))
        assert cycles_stored(folder / STORE) == 4
    for name in ("realtime.csv", "nodes.csv", "lines.csv", "slack.csv", "mpc.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_tables_are_kept_when_telemetry_fails(tmp_path: Path) -> None:
    with Recorder(tmp_path, ZONE, KEPT) as recorder:
        for k in range(20):
            recorder.cycle(cycle(k))
        log = tmp_path / "telemetry.sqlite-wal"
        with full_disk(log.stat().st_size), pytest.raises(RecordError, match=r"telemetry\.sqlite"):
            recorder.cycle(cycle(20))
        recorder.cycle(cycle(21))
    assert len((tmp_path / "realtime.csv").read_text().splitlines()) == 1 + 22 * 5
    assert cycles_stored(tmp_path / STORE) == 21


def test_telemetry_is_kept_when_tables_fail(tmp_path: Path) -> None:
    with Recorder(tmp_path, ZONE, KEPT) as recorder:
        for table in ("nodes.csv", "lines.csv", "slack.csv", "mpc.csv"):
            with (tmp_path / table).open("r+b") as file:
                file.truncate(1_000_000)
        with full_disk(900_000), pytest.raises(RecordError, match=r"nodes\.csv.*; .*lines\.csv.*; .*slack\.csv"):
            recorder.cycle(cycle(0))
        with full_disk(900_000), pytest.raises(RecordError, match=r"mpc\.csv"):
            recorder.mpc(mpc(0))
    assert cycles_stored(tmp_path / STORE) == 1


def test_a_recorder_that_cannot_open_leaves_nothing_open(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("other,columns\n")
    with pytest.raises(RecordError, match=r"lines\.csv: other columns"), Recorder(tmp_path, ZONE, KEPT):
        pass


def test_a_damaged_store_is_reported(tmp_path: Path) -> None:
    (tmp_path / STORE).write_bytes(b"?" * 1000)
    with Recorder(tmp_path, ZONE, KEPT) as recorder:
        assert "telemetry.sqlite.aside-1" in (recorder.damaged or "")


def test_threads_share_a_recorder(tmp_path: Path) -> None:
    with Recorder(tmp_path, ZONE, KEPT) as recorder, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda k: (recorder.cycle(cycle(k)), recorder.mpc(mpc(k))), range(40)))
    assert cycles_stored(tmp_path / STORE) == 40
    assert len((tmp_path / "realtime.csv").read_text().splitlines()) == 1 + 40 * 5


def test_the_last_of_the_disk_is_left_to_others(tmp_path: Path) -> None:
    reserve_mb = (shutil.disk_usage(tmp_path).free - MARGIN_BYTES) / 1e6
    ballast = tmp_path / "ballast"
    with Recorder(tmp_path, ZONE, TelemetryConfig(sqlite=STORE, reserve_mb=reserve_mb)) as recorder:
        recorder.cycle(cycle(0))
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 2 * MARGIN_BYTES)
        for write in (lambda: recorder.cycle(cycle(1)), lambda: recorder.mpc(mpc(1))):
            with pytest.raises(RecordError, match=r"MB free, [\d.e+]+ MB are kept for audit trail and journal"):
                write()
        assert cycles_stored(tmp_path / STORE) == 1
        ballast.unlink()
        recorder.cycle(cycle(2))
    lost = len(list(points(cycle(1)))) + len(list(points(mpc(1))))
    assert cycles_stored(tmp_path / STORE) == 2
    assert dropped(tmp_path / STORE) == lost
    assert len((tmp_path / "slack.csv").read_text().splitlines()) == 1 + 2


def test_points_that_a_full_disk_refuses_are_counted(tmp_path: Path) -> None:
    with Recorder(tmp_path, ZONE, KEPT, tables=False) as recorder:
        recorder.cycle(cycle(0))
        log = tmp_path / "telemetry.sqlite-wal"
        with full_disk(log.stat().st_size):
            for k in (1, 2):
                with pytest.raises(RecordError):
                    recorder.cycle(cycle(k))
        recorder.cycle(cycle(3))
        recorder.cycle(cycle(4))
    assert dropped(tmp_path / STORE) == sum(len(list(points(cycle(k)))) for k in (1, 2))
