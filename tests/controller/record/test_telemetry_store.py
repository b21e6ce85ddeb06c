"""The live store: names, units of time, repeated points, readers in other processes, full disks."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.process.failures import RecordError
from controller.record.measurements import MEASUREMENTS, TEXT
from controller.record.records import Alarm, Severity
from controller.record.telemetry import Telemetry, nanoseconds
from tests.support.cycle_records import PROSUMERS, START, cycle, mpc
from tests.support.disks import child, full_disk

NAMES = {
    "prosumer": "time prosumer p_target_kw q_target_kvar p_setpoint_kw q_setpoint_kvar p_measured_kw q_measured_kvar "
    "load_kw pv_kw battery_kw soc v_measured_pu rung pv_kvar",
    "node": "time node v_pu",
    "line": "time line i_a i_max_a",
    "price": "time prosumer price_chf_per_kwh tariff_chf_per_kwh compensation_chf cost_chf",
    "limits": "time v_min_pu v_max_pu slack_p_max_kw slack_q_max_kvar",
    "mpc": "time iterations wall_ms budget_ms primal dual gap_rel violation_pu status",
    "device": "time device latency_ms quality age_s state outcome lease_s p_kw q_kvar p_setpoint_kw q_setpoint_kvar",
    "alarm": "time alarm standing severity text",
    "service": "time mode cycle_ms missed backlog dropped dead_letters plan_age_s slack_p_kw slack_q_kvar "
    "violation_pu alarms warnings",
}
"""As other programs know them."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "telemetry.sqlite"


@pytest.fixture
def telemetry(path: Path) -> Iterator[Telemetry]:
    with Telemetry(path) as telemetry:
        yield telemetry


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.usefixtures("telemetry")
def test_names_are_those_that_other_programs_use(path: Path) -> None:
    assert MEASUREMENTS.keys() == NAMES.keys()
    for name, columns in NAMES.items():
        info = rows(path, f"SELECT name, type, pk FROM pragma_table_info('{name}')")
        assert [column for column, *_ in info] == columns.split()
        texts = {column for column, kind, pk in info if kind == "TEXT" and not pk}
        assert texts == set(TEXT) & set(columns.split())
        tag = MEASUREMENTS[name].tag
        assert [column for column, _, pk in info if pk] == (["time", tag] if tag else ["time"])
    assert rows(path, "SELECT * FROM meta") == [("schema_version", 1)]


def test_a_cycle_is_kept_whole(telemetry: Telemetry, path: Path) -> None:
    record = cycle(1)
    telemetry.write(record)
    time_ns = 1529575230_000_000_000
    n4 = record.prosumers["N4"]
    assert rows(path, "SELECT * FROM prosumer WHERE prosumer = 'N4'") == [
        (
            *(time_ns, "N4", n4.p_target_kw, n4.q_target_kvar, n4.p_setpoint_kw, n4.q_setpoint_kvar, n4.p_measured_kw),
            *(n4.q_measured_kvar, n4.load_kw, n4.pv_kw, n4.battery_kw, n4.soc, n4.v_measured_pu, n4.rung, -0.5),
        )
    ]
    assert rows(path, "SELECT * FROM price WHERE prosumer = 'N9'") == [(time_ns, "N9", 0.25, 0.2, -0.01, 0.4)]
    assert rows(path, "SELECT * FROM node WHERE node = 'N2'") == [(time_ns, "N2", 0.998)]
    assert rows(path, "SELECT * FROM line WHERE line = 'N2-N3'") == [(time_ns, "N2-N3", 3.0, None)]
    assert rows(path, "SELECT * FROM device WHERE device = 'd3'") == [(time_ns, "d3", 1.25, "good", 0.5, *[None] * 7)]
    assert rows(path, "SELECT * FROM limits") == [(time_ns, 0.95, 1.05, 24.75, 3.53)]
    assert rows(path, "SELECT * FROM service") == [
        (time_ns, "active", 12.5, 0.0, 1.0, 0.0, 0.0, 60.0, 3.5, None, 0.0, 0.0, 0.0)
    ]
    assert rows(path, "SELECT * FROM alarm") == []


def test_a_file_of_an_older_version_gets_the_columns_that_it_lacks(path: Path) -> None:
    with Telemetry(path) as telemetry:
        telemetry.write(cycle(1))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("ALTER TABLE prosumer DROP COLUMN pv_kvar")
    with Telemetry(path) as telemetry:
        telemetry.write(cycle(2))
    found = rows(path, "SELECT battery_kw, rung, pv_kvar FROM prosumer WHERE prosumer = 'N4' ORDER BY time")
    assert found == [(0.0, "use", None), (0.0, "use", -0.5)]


def test_an_alarm_stands_until_it_ends(telemetry: Telemetry, path: Path) -> None:
    alarm = Alarm("voltage", Severity.ALARM, "N9", "1.0600 p.u., allowed 0.95 … 1.05 p.u.", START)
    telemetry.write(replace(cycle(0), alarms=(alarm, replace(alarm, kind="device", severity=Severity.WARNING))))
    telemetry.write(replace(cycle(1), ended=(replace(alarm, until=cycle(1).time),)))
    assert rows(path, "SELECT alarm, standing, severity FROM alarm ORDER BY time, alarm") == [
        ("N9 device", 1.0, "warning"),
        ("N9 voltage", 1.0, "alarm"),
        ("N9 voltage", 0.0, "alarm"),
    ]
    assert rows(path, "SELECT alarms, warnings FROM service ORDER BY time") == [(1.0, 1.0), (0.0, 0.0)]


def test_an_mpc_run_is_kept(telemetry: Telemetry, path: Path) -> None:
    telemetry.write(mpc(0))
    assert rows(path, "SELECT * FROM mpc") == [
        (1529575200_000_000_000, 21.0, 180.5, 6e4, 1e-3, 2e-3, 1e-4, 2e-5, "converged")
    ]
    assert rows(path, "SELECT typeof(iterations), typeof(time) FROM mpc") == [("real", "integer")]


@pytest.mark.parametrize("unknown", [None, float("nan"), float("inf")])
def test_unknown_is_null(telemetry: Telemetry, path: Path, unknown: float | None) -> None:
    telemetry.write(cycle(0, soc=unknown))
    assert rows(path, "SELECT soc, typeof(soc) FROM prosumer WHERE prosumer = 'N3'") == [(None, "null")]


def test_a_repeated_point_replaces_the_first(telemetry: Telemetry, path: Path) -> None:
    telemetry.write(cycle(0, soc=0.5))
    telemetry.write(cycle(1, soc=0.6))
    telemetry.write(cycle(0, soc=None))
    assert rows(path, "SELECT DISTINCT time, soc FROM prosumer ORDER BY time") == [
        (nanoseconds(START), None),
        (nanoseconds(START) + 30_000_000_000, 0.6),
    ]
    assert [rows(path, f"SELECT count(*) FROM {name}") for name in ("prosumer", "node", "service")] == [
        [(10,)],
        [(18,)],
        [(2,)],
    ]


@given(st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(ZoneInfo("Europe/Zurich"))))
def test_nanoseconds_are_exact(instant: datetime) -> None:
    back = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=nanoseconds(instant) // 1000)
    assert nanoseconds(instant) % 1000 == 0
    assert back == instant.astimezone(UTC)


READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0)
print("ready", flush=True)
seen = {0}
while max(seen) < int(sys.argv[2]):
    connection.execute("BEGIN")
    counts = (connection.execute(f"SELECT count(*) FROM {table}") for table in ("prosumer", "service"))
    prosumers, services = (count.fetchone()[0] for count in counts)
    connection.execute("COMMIT")
    assert prosumers == 5 * services, (prosumers, services)
    seen.add(services)
print(len(seen), flush=True)
"""


def test_another_process_reads_whole_cycles_while_we_write(telemetry: Telemetry, path: Path) -> None:
    with child(READER, path, 150) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        for k in range(150):
            telemetry.write(cycle(k))
        assert int(reader.stdout.readline()) > 2


def test_a_reader_that_does_not_end_stops_nobody(telemetry: Telemetry, path: Path) -> None:
    telemetry.write(cycle(0))
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        count = "SELECT count(*) FROM service"
        assert reader.execute(count).fetchone() == (1,)
        for k in range(1, 10):
            telemetry.write(cycle(k))
        assert reader.execute(count).fetchone() == (1,)
    assert rows(path, count) == [(10,)]


def test_a_full_disk_is_one_error_and_loses_that_cycle_only(telemetry: Telemetry, path: Path) -> None:
    telemetry.write(cycle(0))
    log = path.with_name("telemetry.sqlite-wal")
    with full_disk(log.stat().st_size + 5000), pytest.raises(RecordError, match=r"telemetry\.sqlite"):
        telemetry.write(cycle(1))
    telemetry.write(cycle(2))
    assert rows(path, "SELECT time FROM service") == [(nanoseconds(START),), (nanoseconds(START) + 60_000_000_000,)]
    assert rows(path, "SELECT count(*) FROM prosumer") == [(2 * len(PROSUMERS),)]


def test_a_file_of_another_kind_is_set_aside(path: Path) -> None:
    path.write_bytes(b"no database" * 100)
    with Telemetry(path) as telemetry:
        assert re.search("set aside as telemetry.sqlite.aside-1", telemetry.damaged or "")
        telemetry.write(cycle(0))
    with Telemetry(path) as telemetry:
        assert telemetry.damaged is None
        telemetry.write(replace(cycle(1), mode="off"))
    assert rows(path, "SELECT mode FROM service ORDER BY time") == [("active",), ("off",)]


def test_without_a_file_there_is_an_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(RecordError, match="unable to open"), Telemetry(path):
        pass
    with pytest.raises(RecordError, match="not open"):
        Telemetry(path).write(cycle(0))
