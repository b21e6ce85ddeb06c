"""Telemetry: points per second, bytes of a day, answers of the live page, and a loop whose database is dead."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks import telemetry_days, telemetry_page
from benchmarks.tables import ResultTable, Targets, ratio, three_digits
from controller.process.clocks import WallClock
from controller.record.export import export_line_protocol
from controller.record.forwarder import Forwarder
from controller.record.measurements import points
from controller.record.recorder import Recorder
from controller.record.records import CycleRecord
from controller.record.retention import Retention
from core.config import InfluxConfig, TelemetryConfig
from tests.support.cycle_records import cycle
from tests.support.time_series_servers import Influxd, influx_config, request, victoria_metrics

REPEATS, CYCLES, CYCLE_S = 3, 2880, 30.0
BATCH, DRAIN_S = 5000, 300.0
FOREVER = Retention(days=1e5)
"""Retention beyond all records: they are of 2018, and a forwarder that deletes by age would delete them."""
QUEUED = TelemetryConfig(
    influx=InfluxConfig(url="http://127.0.0.1:8086", org="lab", bucket="gridlab", token_file=Path("token"))
)
"""Configuration of a forwarder, with which everything written enters the queue; nothing listens at its address."""
LEAST_PER_S, MOST_MB, MOST_MS, MOST_RATIO = 20_000, 100, 50, 1.2


@dataclass(frozen=True)
class PointRates:
    """Points per second for a day of cycles: into SQLite in three ways, ready lines posted, and forwarded in two
    ways.
    """

    alone: float
    queued: float
    with_tables: float
    posted: float
    to_influxd: float
    to_victoria_metrics: float


def run() -> Iterator[ResultTable]:
    """Yield rates, answers, days, then the targets of issue 4."""
    records = [cycle(k) for k in range(CYCLES)]
    rounds = [astuple(_rates(records)) for _ in range(REPEATS)]
    rates = PointRates(*map(median, zip(*rounds, strict=True)))
    yield _rate_table(rates, _count(records) / (CYCLES * CYCLE_S))
    answers = telemetry_page.measure()
    yield telemetry_page.table(answers)
    days = telemetry_days.measure()
    yield telemetry_days.table(days)
    yield _targets(rates, answers, days)


def _rates(records: Sequence[CycleRecord]) -> PointRates:
    """Measure all rates once, in new folders."""
    with TemporaryDirectory() as scratch:
        alone, queued, with_tables = (Path(scratch, name) for name in ("alone", "queued", "tables"))
        written = (
            _write_rate(alone, records, TelemetryConfig(), tables=False),
            _write_rate(queued, records, QUEUED, tables=False),
            _write_rate(with_tables, records, QUEUED, tables=True),
        )
        influxd = Influxd(Path(scratch))
        with influxd.running(), influxd.proxy():
            posted = _http_rate(queued, influxd.port)
            to_influxd = _forward_rate(queued, influx_config(alone, influxd.proxy_port))
        with victoria_metrics(alone) as port:
            return PointRates(*written, posted, to_influxd, _forward_rate(with_tables, influx_config(alone, port)))


def _count(records: Sequence[CycleRecord]) -> int:
    return sum(1 for record in records for _ in points(record))


def _write_rate(folder: Path, records: Sequence[CycleRecord], telemetry: TelemetryConfig, *, tables: bool) -> float:
    """Points per second written by the recorder of the service."""
    with Recorder(folder, "Europe/Zurich", telemetry, tables=tables) as recorder:
        began_s = time.perf_counter()
        for record in records:
            recorder.cycle(record)
        return _count(records) / (time.perf_counter() - began_s)


def _forward_rate(folder: Path, influx: InfluxConfig) -> float:
    """Points per second sent by the forwarder of the service, from the queue in the telemetry."""

    async def drained() -> float:
        async with Forwarder(folder / "telemetry.sqlite", influx, WallClock(), FOREVER) as forwarder:
            began_s = time.perf_counter()
            if not await forwarder.drain(DRAIN_S):
                raise TimeoutError(forwarder.failure)
            return forwarder.counts.sent / (time.perf_counter() - began_s)

    return asyncio.run(drained())


def _http_rate(folder: Path, port: int) -> float:
    """Points per second posted as ready lines straight to the database, into a bucket of their own."""
    lines = export_line_protocol(folder / "telemetry.sqlite", folder).read_bytes().splitlines()
    request(port, "POST", "/query?q=CREATE+DATABASE+posted")
    began_s = time.perf_counter()
    for first in range(0, len(lines), BATCH):
        request(port, "POST", "/write?db=posted&precision=n", b"\n".join(lines[first : first + BATCH]))
    return len(lines) / (time.perf_counter() - began_s)


def _rate_table(rates: PointRates, made_per_s: float) -> ResultTable:
    table = ResultTable(
        f"A day of the nine-node grid, {made_per_s:.2f} points/s when it happens; medians of {REPEATS}",
        ["", "points/s", "as it happens", "by SQLite alone", "by lines posted"],
    )
    for label, rate in {
        "SQLite alone, no queue": rates.alone,
        "SQLite with the queue of the forwarder (`serve`)": rates.queued,
        "… and the CSV tables (`simulate`)": rates.with_tables,
        "ready lines posted to influxd": rates.posted,
        "forwarded to influxd, through a proxy that rewrites": rates.to_influxd,
        "forwarded to VictoriaMetrics": rates.to_victoria_metrics,
    }.items():
        ratios = (ratio(rate, made_per_s), ratio(rate, rates.alone), ratio(rate, rates.posted))
        table.add(label, three_digits(rate), *ratios)
    return table


def _targets(rates: PointRates, answers: telemetry_page.Answers, days: telemetry_days.Days) -> Targets:
    """Compare with the targets of issue 4."""
    table = Targets()
    for label, rate in (("into SQLite", rates.queued), ("forwarded to influxd", rates.to_influxd)):
        table.check(f"≥ {LEAST_PER_S} points/s {label}", three_digits(rate), rate >= LEAST_PER_S)
    most_mb = max(day.telemetry_mb for day in days.values())
    table.check(f"telemetry of a day < {MOST_MB} MB", f"{most_mb:.1f} MB", most_mb < MOST_MB)
    slowest_ms = max(answer.p95_ms for answer in answers.values())
    table.check(f"live page: p95 ≤ {MOST_MS} ms", f"{slowest_ms:.1f} ms", slowest_ms <= MOST_MS)
    p50, p99 = days[telemetry_days.KILLED].ratios_to(days[telemetry_days.UP])
    asked = f"cycle p50, p99, database killed / up ≤ {MOST_RATIO}"
    table.check(asked, f"{p50:.2f}×, {p99:.2f}×", max(p50, p99) <= MOST_RATIO)
    return table
