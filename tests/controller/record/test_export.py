"""A past run for other programs: every point, in every form."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from controller.record.export import LINE_PROTOCOL, ImportCounts, export_line_protocol, export_parquet, import_influx
from controller.record.influx import Influx, InfluxError, with_token_path
from controller.record.line_protocol import LineError
from controller.record.measurements import MEASUREMENTS, columns
from controller.record.telemetry import Telemetry
from core.errors import InputError
from tests.support.cycle_records import cycle, mpc
from tests.support.time_series_servers import (
    Influxd,
    Row,
    free_port,
    influx_config,
    number,
    request,
    stored,
)

CYCLE_POINTS, CYCLES = 43, 130
POINTS = CYCLES * CYCLE_POINTS + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "telemetry.sqlite"
    with Telemetry(path) as telemetry:
        for k in range(CYCLES):
            telemetry.write(cycle(k, soc=None if k % 2 else 0.5))
        telemetry.write(mpc(0))
    return path


@pytest.fixture
def influxd(tmp_path: Path) -> Iterator[Influxd]:
    influxd = Influxd(tmp_path / "influxd")
    influxd.folder.mkdir()
    with influxd.running(), influxd.proxy():
        yield influxd


def damage(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE node SET v_pu = 'high' WHERE node = 'N2' AND time = (SELECT min(time) FROM node)")


def test_line_protocol_is_what_a_database_takes(influxd: Influxd, path: Path, tmp_path: Path) -> None:
    file = export_line_protocol(path, tmp_path / "out" / "deep")
    assert file == tmp_path / "out" / "deep" / LINE_PROTOCOL
    assert len(file.read_text(encoding="utf-8").splitlines()) == POINTS
    status, _ = request(influxd.port, "POST", "/write?db=gridlab&precision=n", file.read_bytes())
    assert status == 204
    assert influxd.rows() == stored(path)


def test_parquet_holds_every_row(path: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    files = export_parquet(path, tmp_path / "out")
    assert [file.stem for file in files] == list(MEASUREMENTS)
    found: dict[str, set[Row]] = {}
    for file in files:
        frame = pd.read_parquet(file)
        assert list(frame) == ["time", *columns(MEASUREMENTS[file.stem])]
        assert str(frame["time"].dtype) == "datetime64[ns, UTC]"
        rows = frame.assign(time=frame["time"].astype("int64")).astype(object)
        found[file.stem] = set(rows.where(frame.notna(), None).itertuples(index=False, name=None))
    assert {name: rows for name, rows in found.items() if rows} == stored(path)
    assert number(found) == POINTS
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(f"{name}.parquet" for name in MEASUREMENTS)


def test_a_run_is_imported_twice_and_is_there_once(influxd: Influxd, path: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    for _ in range(2):
        done = import_influx(path, influx_config(tmp_path, influxd.proxy_port), lambda *at: seen.append(at))
        assert done == ImportCounts(POINTS, 0)
    assert influxd.rows() == stored(path)
    half = seen[: len(seen) // 2]
    assert half == sorted(half)
    assert (half[0], half[-1]) == ((0, POINTS), (POINTS, POINTS))
    assert sorted(p.name for p in path.parent.iterdir()) == ["telemetry.sqlite"]


def test_an_import_reports_what_is_refused(influxd: Influxd, path: Path, tmp_path: Path) -> None:
    damage(path)
    done = import_influx(path, influx_config(tmp_path, influxd.proxy_port), lambda *_: None)
    assert done == ImportCounts(POINTS - 1, 1)
    assert number(influxd.rows()) == POINTS - 1
    assert path.with_name("dead_letters.jsonl").read_text(encoding="utf-8").count("\n") == 1


def test_a_live_run_can_be_exported(path: Path, tmp_path: Path) -> None:
    with Telemetry(path) as telemetry:
        telemetry.write(cycle(CYCLES))
        lines = export_line_protocol(path, tmp_path / "out").read_text(encoding="utf-8")
    assert len(lines.splitlines()) == POINTS + CYCLE_POINTS


def test_a_token_lies_beside_the_configuration(tmp_path: Path) -> None:
    config = influx_config(tmp_path, free_port())
    beside = config.model_copy(update={"token_file": Path("token")})
    with Influx(with_token_path(tmp_path / "lab.yaml", beside)):
        pass
    with pytest.raises(InfluxError, match="no readable token"), Influx(beside):
        pass
    assert with_token_path(Path("elsewhere/lab.yaml"), config) == config


def test_an_import_without_a_database_ends_with_one_line(path: Path, tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(InfluxError, match=f"^http://127.0.0.1:{port}: [^\n]+$"):
        import_influx(path, influx_config(tmp_path, port), lambda *_: None)


@pytest.mark.parametrize("content", [None, b"", b"no database" * 100])
def test_what_is_no_telemetry(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "telemetry.sqlite"
    if content is not None:
        path.write_bytes(content)
    for export in (export_line_protocol, export_parquet):
        with pytest.raises(InputError, match=r"telemetry\.sqlite: got no readable telemetry"):
            export(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_export_is_whole_or_absent(path: Path, tmp_path: Path) -> None:
    damage(path)
    with pytest.raises(LineError, match="v_pu is 'high'"):
        export_line_protocol(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="--out: got .*file"):
        export_line_protocol(path, tmp_path / "file")
