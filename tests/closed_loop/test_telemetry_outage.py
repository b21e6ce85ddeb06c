"""Four hours into InfluxDB, which is killed for the middle half of them: every point arrives, and the loop goes on."""

import asyncio
import shutil
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from math import fsum
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from controller.process.clocks import WallClock
from controller.record.forwarder import Forwarder
from controller.record.measurements import MEASUREMENTS, columns
from controller.record.retention import Retention
from controller.record.telemetry import nanoseconds
from controller.runs.directory import Run
from core.config import InfluxConfig
from core.load import load_config
from tests.support.paths import CONFIG
from tests.support.simulated_day import import_run, scenario_with, simulating
from tests.support.time_series_servers import Influxd, Row, influx_config, number, stored

SPAN, CYCLES = ("--start", "10:00", "--end", "14:00"), 480
DOWN_H, UP_H = 11, 13
Rows = dict[str, set[Row]]


async def forwarder_starts_again(telemetry: Path, influx: InfluxConfig) -> None:
    """As in a service that was down: it sends what waits in the queue, and nothing else."""
    async with Forwarder(telemetry, influx, WallClock(), Retention(days=1e5)) as forwarder:
        assert await forwarder.drain(120), forwarder.failure


@dataclass(frozen=True)
class Outage:
    """A run without its database from ``killed_ns`` to ``back_ns``; what was in it when the run ended, and later."""

    run: Run
    killed_ns: int
    back_ns: int
    at_the_end: Rows
    after_the_queue: Rows
    after_import: Rows

    @property
    def telemetry(self) -> Path:
        return self.run.path / "telemetry.sqlite"

    def ask(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.telemetry)) as connection:
            return connection.execute(query, {"killed": self.killed_ns, "back": self.back_ns}).fetchall()


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Outage:
    folder = tmp_path_factory.mktemp("outage")
    influxd = Influxd(folder / "influxd")
    influxd.folder.mkdir()
    midnight = load_config(CONFIG).horizon.axis().times[0]
    down_ns, up_ns = (nanoseconds(midnight + timedelta(hours=hours)) for hours in (DOWN_H, UP_H))
    with ExitStack() as stack:
        stack.enter_context(influxd.proxy())
        influx = influx_config(folder, influxd.proxy_port)
        scenario = scenario_with(folder, influx)
        with influxd.running():
            day = stack.enter_context(simulating(scenario, folder / "run", *SPAN))
            day.until(down_ns)
        killed_ns = day.until(down_ns)
        back_ns = day.until(up_ns)
        with influxd.running():
            run = day.ended()
            at_the_end = influxd.rows()
            copy = shutil.copy(run.path / "telemetry.sqlite", folder)
            asyncio.run(forwarder_starts_again(Path(copy), influx))
            after_the_queue = influxd.rows()
            import_run(run, scenario)
            return Outage(run, killed_ns, back_ns, at_the_end, after_the_queue, influxd.rows())


def tally(rows: Rows) -> dict[str, tuple[int, float]]:
    """Of every field: how many values, and their sum (text: its length)."""
    found = {}
    for name, points in rows.items():
        for at, field in enumerate(columns(MEASUREMENTS[name]), start=1):
            values = [value for point in points if (value := point[at]) is not None]
            found[f"{name}.{field}"] = len(values), fsum(len(v) if isinstance(v, str) else v for v in values)
    return found


@pytest.mark.parametrize("found", ["after_the_queue", "after_import"])
def test_every_point_of_the_run_is_there_once(outage: Outage, found: str) -> None:
    kept, rows = stored(outage.telemetry), getattr(outage, found)
    assert len(kept["service"]) == len(kept["node"]) / 9 == CYCLES
    assert {name: len(points) for name, points in rows.items()} == {name: len(kept[name]) for name in kept}
    assert tally(rows) == tally(kept)
    assert [name for name, points in kept.items() if points != rows[name]] == []


def test_what_had_not_come_when_the_run_ended_waits_in_its_queue(outage: Outage) -> None:
    waiting = {(name, at) for name, at in outage.ask("SELECT measurement, time FROM outbox")}
    kept = stored(outage.telemetry)
    missing = {(name, row[0]) for name, rows in kept.items() for row in rows - outage.at_the_end.get(name, set())}
    assert missing <= waiting
    counts = dict(outage.ask("SELECT key, value FROM meta"))
    assert number(outage.at_the_end) <= counts["sent"]
    assert counts.keys() == {"schema_version", "sent", "run_s"}


def test_the_outage_is_telemetry_itself(outage: Outage) -> None:
    within = "FROM service WHERE time > :killed AND time <= :back"
    ((least, most, cycles),) = outage.ask(f"SELECT min(backlog), max(backlog), count(*) {within}")
    ((points,),) = outage.ask("SELECT count(*) FROM node WHERE time > :killed AND time <= :back")
    assert cycles == pytest.approx(CYCLES / 2, abs=60)
    assert most > points
    assert least < most / 4
    log = (outage.run.path / "controller.log").read_text(encoding="utf-8")
    assert "telemetry: not forwarded" in log


def test_the_loop_does_not_notice(outage: Outage) -> None:
    down = outage.ask("SELECT cycle_ms FROM service WHERE time > :killed AND time <= :back")
    up = outage.ask("SELECT cycle_ms FROM service WHERE time <= :killed OR time > :back")
    assert len(down) + len(up) == CYCLES
    assert median(ms for (ms,) in down) <= 2 * median(ms for (ms,) in up) + 10
    assert outage.run.summary["realtime"]["missed"] == 0
    assert outage.run.summary["realtime"]["cycles"] == CYCLES


def test_the_run_itself_is_sound(outage: Outage) -> None:
    assert outage.run.summary["referee"]["violations"] == 0
    assert all(outage.run.summary["safe"].values())
