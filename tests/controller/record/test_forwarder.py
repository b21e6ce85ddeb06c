"""The forwarder against real databases: every point is counted, whatever fails meanwhile."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from controller.process.clocks import WallClock
from controller.process.failures import RecordError
from controller.record.database import open_database
from controller.record.forwarder import Forwarder, Pace
from controller.record.influx import Influx, InfluxError, RefusedLinesError, deliver
from controller.record.measurements import MEASUREMENTS, TEXT, columns
from controller.record.outbox import ENQUEUE, Counts, Outbox
from controller.record.retention import Retention
from controller.record.telemetry import TABLES, Telemetry, nanoseconds
from core.config import InfluxConfig
from tests.support.cycle_records import START, cycle, mpc
from tests.support.disks import full_disk
from tests.support.time_series_servers import (
    Influxd,
    free_port,
    influx_config,
    number,
    request,
    stored,
    victoria_metrics,
)

QUICK = Pace(period_s=0.02, batch_points=500, first_pause_s=0.05, last_pause_s=0.2, answer_s=2.0)
POINTS = 43
"""Of a cycle."""
FOREVER = Retention(days=1e5)
NOWHERE = 2**62


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    influxd = Influxd(tmp_path_factory.mktemp("influxd"))
    with influxd.running(), influxd.proxy():
        yield influxd


@pytest.fixture
def influxd(server: Influxd, bucket: str) -> Influxd:
    server.create(bucket)
    server.sick, server.delay_s, server.writes = None, 0.0, 0
    return server


@pytest.fixture
def bucket(tmp_path: Path) -> str:
    return tmp_path.name.replace("-", "_")


@pytest.fixture
def influx(influxd: Influxd, tmp_path: Path, bucket: str) -> InfluxConfig:
    return influx_config(tmp_path, influxd.proxy_port, bucket)


def forwarder(path: Path, influx: InfluxConfig | None, retention: Retention = FOREVER, pace: Pace = QUICK) -> Forwarder:
    return Forwarder(path, influx, WallClock(), retention, pace)


async def until_failed(sender: Forwarder) -> str:
    while sender.failure is None:
        await asyncio.sleep(0.01)
    return sender.failure


async def drained(path: Path, influx: InfluxConfig) -> Counts:
    async with forwarder(path, influx) as sender:
        assert await sender.drain(20)
        assert sender.failure is None
        return sender.counts


async def test_every_point_arrives_as_it_is(
    influxd: Influxd, bucket: str, influx: InfluxConfig, telemetry: Telemetry, path: Path
) -> None:
    for k in range(30):
        telemetry.write(cycle(k))
        telemetry.write(mpc(k, gap_rel=None))
    telemetry.write(cycle(30, soc=float("nan")))
    counts = await drained(path, influx)
    assert influxd.rows(bucket) == stored(path)
    assert counts == Counts(sent=31 * POINTS + 30) == Counts(sent=number(stored(path)))
    assert not path.with_name("dead_letters.jsonl").exists()


async def test_database_killed_for_half_of_the_run(tmp_path: Path, telemetry: Telemetry, path: Path) -> None:
    influxd = Influxd(tmp_path / "influxd")
    influxd.folder.mkdir()
    cycles = iter(range(240))

    async def write(count: int) -> None:
        for _ in range(count):
            telemetry.write(cycle(next(cycles)))
            await asyncio.sleep(0)

    async def day() -> None:
        async with forwarder(path, influx_config(tmp_path, influxd.proxy_port)) as sender:
            with influxd.running():
                await write(60)
                assert await sender.drain(10)
            await write(120)
            assert "503" in await until_failed(sender)
            assert sender.counts.sent >= 60 * POINTS
            with influxd.running():
                await write(60)
                assert await sender.drain(20)
                assert sender.counts == Counts(sent=240 * POINTS)
                assert sender.failure is None
                assert influxd.rows() == stored(path)
                assert number(influxd.rows()) == 240 * POINTS

    with influxd.proxy():
        await day()


async def test_victoria_metrics_takes_every_sample(tmp_path: Path, telemetry: Telemetry, path: Path) -> None:
    for k in range(20):
        telemetry.write(cycle(k))
    with victoria_metrics(tmp_path) as port:
        counts = await drained(path, influx_config(tmp_path, port))
        query = "match[]=%7B__name__!=%22%22%7D&start=2018-01-01T00:00:00Z&end=2019-01-01T00:00:00Z"
        assert request(port, "GET", "/internal/force_flush")[0] == 200
        found = exported(request(port, "GET", f"/api/v1/export?{query}")[1])
    assert counts.sent == 20 * POINTS
    assert found == pytest.approx(samples(path), rel=1e-12)


def exported(lines: bytes) -> dict[tuple[str, str, int], float]:
    """(name, tag, ms) → value of all fields that are numbers."""
    found = {}
    for series in map(json.loads, lines.splitlines()):
        labels = series["metric"]
        name = labels["__name__"]
        tag = next((labels[m.tag] for m in MEASUREMENTS.values() if m.tag in labels), "")
        pairs = zip(series["timestamps"], series["values"], strict=True)
        found.update({(name, tag, ms): value for ms, value in pairs if not name.endswith(TEXT)})
    return found


def samples(path: Path) -> dict[tuple[str, str, int], float]:
    found: dict[tuple[str, str, int], float] = {}
    for name, rows in stored(path).items():
        measurement = MEASUREMENTS[name]
        names = ("time", *columns(measurement))
        for row in rows:
            cells = dict(zip(names, row, strict=True))
            tag = str(cells[measurement.tag]) if measurement.tag else ""
            ms = int(row[0] or 0) // 10**6
            known = {field: cells[field] for field in measurement.fields if isinstance(cells[field], float)}
            found.update({(f"{name}_{field}", tag, ms): float(value or 0) for field, value in known.items()})
    return found


async def test_a_poison_point_dies_alone(
    influxd: Influxd, bucket: str, influx: InfluxConfig, telemetry: Telemetry, path: Path
) -> None:
    before_all_time_ns = -(2**63)
    for k in range(10):
        telemetry.write(cycle(k))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO node VALUES (?, 'N1', 1.0)", (before_all_time_ns,))
        connection.execute(ENQUEUE, ("node", before_all_time_ns, 1))
        connection.execute("UPDATE node SET v_pu = 'high' WHERE node = 'N2' AND time = ?", (nanoseconds(START),))
    for k in range(10, 12):
        telemetry.write(cycle(k))
    counts = await drained(path, influx)
    assert counts == Counts(sent=12 * POINTS - 1, dead_letters=2)
    assert number(influxd.rows(bucket)) == 12 * POINTS - 1
    letters = [json.loads(line) for line in path.with_name("dead_letters.jsonl").read_text().splitlines()]
    assert [letter["text"] for letter in letters] == [
        f"node ({nanoseconds(START)}, 'N2', 'high')",
        f"node,node=N1 v_pu=1.0 {before_all_time_ns}",
    ]
    assert "allowed a number" in letters[0]["error"]
    assert ": 400 " in letters[1]["error"]
    assert "time outside range" in letters[1]["error"]


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503, 302])
async def test_a_sick_database_loses_nothing(
    influxd: Influxd, bucket: str, influx: InfluxConfig, telemetry: Telemetry, path: Path, status: int
) -> None:
    async def sickness() -> Counts:
        influxd.sick = status
        telemetry.write(cycle(0))
        async with forwarder(path, influx) as sender:
            assert str(status) in await until_failed(sender)
            assert sender.counts == Counts(backlog=POINTS)
            influxd.sick = None
            assert await sender.drain(10)
            assert sender.failure is None
            return sender.counts

    assert (await sickness()) == Counts(sent=POINTS)
    assert influxd.rows(bucket) == stored(path)


def test_pauses_grow_to_a_minute() -> None:
    assert [Pace().pause_s(failures) for failures in (1, 2, 3, 6, 7, 1000)] == [1, 2, 4, 32, 60, 60]


async def test_a_point_that_is_written_again_is_sent_again(
    influxd: Influxd, bucket: str, influx: InfluxConfig, telemetry: Telemetry, path: Path
) -> None:
    async with forwarder(path, influx) as sender:
        telemetry.write(cycle(0, soc=0.5))
        assert await sender.drain(10)
        telemetry.write(cycle(1, soc=0.5))
        telemetry.write(cycle(0, soc=0.75))
        assert await sender.drain(10)
    assert influxd.rows(bucket) == stored(path)
    assert number(influxd.rows(bucket)) == 2 * POINTS


async def test_a_crash_between_sending_and_counting_sends_again(
    influxd: Influxd, bucket: str, influx: InfluxConfig, telemetry: Telemetry, path: Path
) -> None:
    telemetry.write(cycle(0))
    with closing(open_database(path, TABLES)) as connection, Influx(influx) as target:
        batch = Outbox(path, connection).next_batch(POINTS)
        assert batch is not None
        assert deliver(target.write, batch.lines).sent == POINTS
    telemetry.write(cycle(1))
    assert (await drained(path, influx)) == Counts(sent=2 * POINTS)
    assert influxd.rows(bucket) == stored(path)
    assert (await drained(path, influx)) == Counts(sent=2 * POINTS)


async def test_a_slow_database_holds_up_neither_loop_nor_writer(
    influxd: Influxd, influx: InfluxConfig, telemetry: Telemetry, path: Path
) -> None:
    async def slow() -> float:
        influxd.delay_s = 1.0
        longest_s = 0.0
        async with forwarder(path, influx, pace=replace(QUICK, answer_s=0.3)) as sender:
            failed = asyncio.create_task(until_failed(sender))
            while not failed.done():
                begin_s = time.monotonic()
                telemetry.write(cycle(0))
                await asyncio.sleep(0.01)
                longest_s = max(longest_s, time.monotonic() - begin_s)
            assert "timed out" in failed.result().lower()
            begin_s = time.monotonic()
        assert time.monotonic() - begin_s < 1.0
        return longest_s

    assert (await slow()) < 0.25


async def test_nobody_listens(tmp_path: Path, telemetry: Telemetry, path: Path) -> None:
    telemetry.write(cycle(0))
    async with forwarder(path, influx_config(tmp_path, free_port())) as sender:
        assert "127.0.0.1" in await until_failed(sender)
        assert not await sender.drain(0.3)
        assert sender.counts == Counts(backlog=POINTS)


async def test_without_a_token_all_is_kept(influx: InfluxConfig, telemetry: Telemetry, path: Path) -> None:
    text = influx.token_file.read_text(encoding="utf-8")
    influx.token_file.unlink()
    telemetry.write(cycle(0))
    async with forwarder(path, influx) as sender:
        assert "token: no readable token of http://127.0.0.1" in await until_failed(sender)
        influx.token_file.write_text(text, encoding="utf-8")
        assert await sender.drain(10)


def test_an_empty_token_is_said(tmp_path: Path) -> None:
    config = influx_config(tmp_path, free_port(), token=" ")
    with pytest.raises(InfluxError, match="token: empty, allowed a token of http://127.0.0.1"), Influx(config):
        pass


async def test_a_stop_during_an_outage_is_quick_and_silent(
    influxd: Influxd, influx: InfluxConfig, telemetry: Telemetry, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def stop() -> float:
        influxd.delay_s = 0.2
        influxd.sick = 400
        telemetry.write(cycle(0))
        async with forwarder(path, influx) as sender:
            while not influxd.writes:
                await asyncio.sleep(0.01)
            begin_s = time.monotonic()
        assert sender.counts == Counts(backlog=POINTS)
        return time.monotonic() - begin_s

    assert (await stop()) < 0.6
    assert caplog.records == []
    assert not path.with_name("dead_letters.jsonl").exists()


async def test_a_token_that_is_renewed_needs_no_restart(influx: InfluxConfig, telemetry: Telemetry, path: Path) -> None:
    good = influx.token_file.read_text(encoding="utf-8")
    influx.token_file.write_text("expired", encoding="utf-8")
    telemetry.write(cycle(0))
    async with forwarder(path, influx) as sender:
        assert "401" in await until_failed(sender)
        influx.token_file.write_text(good, encoding="utf-8")
        assert await sender.drain(10)


async def test_a_damaged_file_fails_without_an_end_of_the_thread(tmp_path: Path, path: Path) -> None:
    path.write_bytes(b"no database" * 100)
    async with forwarder(path, influx_config(tmp_path, free_port())) as sender:
        assert "not a database" in await until_failed(sender)
        path.unlink()
        with Telemetry(path):  # as a recorder begins it anew
            assert await sender.drain(10)


async def test_one_warning_when_lost_and_one_when_back(
    influxd: Influxd, influx: InfluxConfig, telemetry: Telemetry, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    influxd.sick = 500
    telemetry.write(cycle(0))
    async with forwarder(path, influx) as sender:
        await until_failed(sender)
        while influxd.writes < 3:
            await asyncio.sleep(0.01)
        influxd.sick = None
        assert await sender.drain(10)
    messages = [record.message for record in caplog.records if record.name == "controller.record.forwarder"]
    assert [message.split(":")[1] for message in messages] == [" not forwarded", " forwarded again, 0 points wait"]


def test_points_and_their_entries_are_one_commit(telemetry: Telemetry, path: Path) -> None:
    telemetry.write(cycle(0))
    log = path.with_name("telemetry.sqlite-wal")
    with full_disk(log.stat().st_size + 5000), pytest.raises(RecordError):
        telemetry.write(cycle(1))
    telemetry.write(cycle(2))
    with closing(open_database(path, TABLES)) as connection:
        assert Outbox(path, connection).counts().backlog == number(stored(path)) == 2 * POINTS


class Refusing:
    """Refuses some lines, as a database would."""

    def __init__(self, poison: set[str]) -> None:
        self.poison, self.kept = poison, set[str]()

    def write(self, lines: tuple[str, ...]) -> None:
        if self.poison & set(lines):
            raise RefusedLinesError("422 poison")
        self.kept |= set(lines)


@pytest.mark.parametrize("poison", [set(), {"l0"}, {"l99"}, {"l3", "l4", "l50"}, {f"l{n}" for n in range(100)}])
def test_splitting_finds_every_poison_line(poison: set[str]) -> None:
    target = Refusing(poison)
    lines = tuple(f"l{n}" for n in range(100))
    delivery = deliver(target.write, lines)
    assert {letter.text for letter in delivery.dead} == poison
    assert delivery.sent == 100 - len(poison)
    assert target.kept == set(lines) - poison


async def test_limits_are_kept_without_an_influx(path: Path) -> None:
    async def keep() -> None:
        async with forwarder(path, None, Retention(days=1e5, max_bytes=1)) as sender:
            while stored(path) or not sender.counts.removed:
                await asyncio.sleep(0.02)
            assert sender.counts.backlog == sender.counts.dropped == 0

    with Telemetry(path) as telemetry:
        for k in range(300):
            telemetry.write(cycle(k))
        await keep()
