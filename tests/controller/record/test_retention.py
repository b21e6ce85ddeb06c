"""What age and size delete, and that what waits goes last."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.record.database import open_database
from controller.record.outbox import Counts, Outbox
from controller.record.retention import RemovedPoints, Retention, count_run, prune
from controller.record.telemetry import TABLES, Telemetry, nanoseconds
from tests.support.cycle_records import START, cycle
from tests.support.time_series_servers import number, stored

POINTS = 43
"""Of a cycle."""
NOWHERE = 2**62


def prune_all(path: Path, retention: Retention, run_days: float = 0.0) -> Counts:
    """After the service has run so much longer."""
    with closing(open_database(path, TABLES)) as connection:
        count_run(path, connection, round(86_400 * run_days))
        for _ in range(1000):
            if not prune(path, connection, retention):
                return Outbox(path, connection).counts()
    raise AssertionError("does not end")


def empty_outbox(path: Path, before_ns: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM outbox WHERE time < ?", (before_ns,))


def test_age_spares_what_waits(telemetry: Telemetry, path: Path) -> None:
    for k in range(600):
        telemetry.write(cycle(k))
    empty_outbox(path, nanoseconds(START + timedelta(hours=3)))
    assert prune_all(path, Retention(days=1), 0.9) == Counts(backlog=240 * POINTS)
    assert number(stored(path)) == 600 * POINTS
    assert prune_all(path, Retention(days=1), 0.2) == Counts(backlog=240 * POINTS, removed=360 * POINTS)
    assert number(stored(path)) == 240 * POINTS
    assert prune_all(path, Retention(days=1), 9) == Counts(backlog=240 * POINTS, removed=360 * POINTS)
    empty_outbox(path, NOWHERE)
    assert prune_all(path, Retention(days=1)) == Counts(removed=600 * POINTS)
    assert stored(path) == {}


@pytest.mark.parametrize("jump", [timedelta(days=100), timedelta(days=-100), timedelta(days=-17_000)])
def test_a_clock_that_jumps_and_returns_deletes_nothing(telemetry: Telemetry, path: Path, jump: timedelta) -> None:
    limit = Retention(days=90)
    for k in range(240):
        telemetry.write(cycle(k))
    empty_outbox(path, NOWHERE)
    telemetry.write(replace(cycle(240), time=START + jump))
    assert prune_all(path, limit) == Counts(backlog=POINTS)
    for k in range(241, 250):
        telemetry.write(cycle(k))
    empty_outbox(path, NOWHERE)
    assert prune_all(path, limit, 89.9) == Counts()
    assert number(stored(path)) == 250 * POINTS
    assert prune_all(path, limit, 0.2) == Counts(removed=250 * POINTS)


def test_what_is_written_again_is_young_again(telemetry: Telemetry, path: Path) -> None:
    telemetry.write(cycle(0))
    empty_outbox(path, NOWHERE)
    assert prune_all(path, Retention(days=1), 0.9) == Counts()
    telemetry.write(cycle(1))
    empty_outbox(path, NOWHERE)
    assert prune_all(path, Retention(days=1), 0.9) == Counts()
    assert prune_all(path, Retention(days=1), 0.2) == Counts(removed=2 * POINTS)


def test_the_age_of_a_file_of_an_older_version_begins_at_the_upgrade(telemetry: Telemetry, path: Path) -> None:
    for k in range(240):
        telemetry.write(cycle(k))
    empty_outbox(path, NOWHERE)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE hours")
    with Telemetry(path):
        pass
    assert prune_all(path, Retention(days=1), 0.9) == Counts()
    assert prune_all(path, Retention(days=1), 0.2) == Counts(removed=240 * POINTS)


def test_size_drops_what_waits_last_and_counts_it(telemetry: Telemetry, path: Path) -> None:
    for k in range(600):
        telemetry.write(cycle(k))
    empty_outbox(path, nanoseconds(START + timedelta(hours=2, minutes=30)))
    seen = []
    with closing(open_database(path, TABLES)) as connection:
        while prune(path, connection, Retention(days=1e5, max_bytes=1)):
            counts = Outbox(path, connection).counts()
            numbers = (number(stored(path)), counts.backlog, counts.dropped, counts.removed)
            seen.append(tuple(n // POINTS for n in numbers))
    assert seen == [(480, 300, 0, 120), (360, 300, 0, 240), (240, 240, 60, 360), (120, 120, 180, 480), (0, 0, 300, 600)]


def test_size_deletes_what_was_written_longest_ago_also_if_a_clock_was_wrong(telemetry: Telemetry, path: Path) -> None:
    for k in range(240):
        telemetry.write(cycle(k))
    prune_all(path, Retention(days=1e5), 0.1)
    telemetry.write(replace(cycle(0), time=START - timedelta(days=17_000)))
    empty_outbox(path, NOWHERE)
    with closing(open_database(path, TABLES)) as connection:
        removed = prune(path, connection, Retention(days=1e5, max_bytes=1))
    assert removed == RemovedPoints(int(START.timestamp()) // 3600, 120 * POINTS, 0, "1e-06 MB")


def test_size_deletes_no_more_than_it_must(telemetry: Telemetry, path: Path) -> None:
    for k in range(600):
        telemetry.write(cycle(k))
    empty_outbox(path, NOWHERE)
    limit = Retention(days=1e5, max_bytes=used(path) // 2)
    prune_all(path, limit)
    assert used(path) <= limit.max_bytes
    assert 180 * POINTS <= number(stored(path)) < 300 * POINTS


def used(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    return int((pages - free) * size)
