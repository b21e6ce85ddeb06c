"""Two hours into VictoriaMetrics, which knows numbers only: every value of every field that is a float is counted."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from controller.record.measurements import MEASUREMENTS, columns
from tests.support.requirements import tool
from tests.support.simulated_day import import_run, scenario_with, simulating
from tests.support.time_series_servers import free_port, influx_config, program, request, stored

OPTIONS = ("-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms", "-search.latencyOffset=1s")
"""What is older than its month, or written twice, is as in an InfluxDB only with the first two."""
SPAN, CYCLES = ("--start", "11:00", "--end", "13:00"), 240
DIGITS = 1e-12
"""It rounds decimals to so much of the largest number of a series."""
EXPORT = "/api/v1/export?match[]=%7B__name__!=%22%22%7D&start=2018-06-01T00:00:00Z&end=2018-07-01T00:00:00Z"
KINDS = {
    f"{name}_{field}": kind
    for name, measurement in MEASUREMENTS.items()
    for field, kind in columns(measurement).items()
    if field != measurement.tag
}
"""Of every series: REAL or TEXT."""
Series = Mapping[tuple[str, str], list[tuple[int, float]]]
"""(measurement_field, tag) → (ms, value), oldest first."""


@contextmanager
def victoria_metrics(folder: Path) -> Iterator[int]:
    port = free_port()
    place = (f"-storageDataPath={folder / 'victoria'}", f"-httpListenAddr=127.0.0.1:{port}")
    with program([tool("victoria-metrics", "victoria-metrics"), *place, *OPTIONS], port, "/health"):
        yield port


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> tuple[Series, Series]:
    """What the run kept, and what the database has of it."""
    folder = tmp_path_factory.mktemp("victoria")
    with victoria_metrics(folder) as port:
        scenario = scenario_with(folder, influx_config(folder, port))
        with simulating(scenario, folder / "run", *SPAN) as day:
            run = day.ended()
        import_run(run, scenario)
        assert request(port, "GET", "/internal/force_flush")[0] == 200
        return kept(run.path / "telemetry.sqlite"), exported(request(port, "GET", EXPORT)[1])


def kept(database: Path) -> Series:
    """All numbers of the telemetry."""
    found = defaultdict(list)
    for name, rows in stored(database).items():
        measurement = MEASUREMENTS[name]
        first = 1 if measurement.tag is None else 2
        for row in rows:
            tag = str(row[1]) if measurement.tag else ""
            for field, value in zip(measurement.fields, row[first:], strict=True):
                if isinstance(value, float):
                    found[f"{name}_{field}", tag].append((int(row[0] or 0) // 10**6, value))
    return {key: sorted(samples) for key, samples in found.items()}


def exported(lines: bytes) -> Series:
    """All series of an export."""
    found = {}
    for series in map(json.loads, lines.splitlines()):
        name = series["metric"].pop("__name__")
        tag = "".join(series["metric"].values())
        found[name, tag] = sorted(zip(series["timestamps"], series["values"], strict=True))
    return found


def test_every_number_of_the_run_is_there_once(series: tuple[Series, Series]) -> None:
    kept, found = series
    numbers = {key: samples for key, samples in found.items() if KINDS[key[0]] == "REAL"}
    assert len(kept["service_cycle_ms", ""]) == CYCLES
    assert {key: len(samples) for key, samples in numbers.items()} == {key: len(kept[key]) for key in kept}
    for key, samples in kept.items():
        (times_ms, values), (there_ms, there) = np.transpose(samples), np.transpose(numbers[key])
        assert np.array_equal(times_ms, there_ms), key
        assert np.abs(values - there).max() <= DIGITS * np.abs(values).max(), key


def test_texts_are_not_kept(series: tuple[Series, Series]) -> None:
    _, found = series
    texts = {key[0]: {value for _, value in samples} for key, samples in found.items() if KINDS[key[0]] == "TEXT"}
    assert {"service_mode", "device_quality", "mpc_status", "prosumer_rung"} <= texts.keys()
    assert set().union(*texts.values()) == {0.0}
