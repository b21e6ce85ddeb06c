"""What age and size delete, and that what waits goes last."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from controller.record.database import open_database
from controller.record.outbox import Counts, Outbox
from controller.record.retention import Retention, prune
from controller.record.telemetry import TABLES, Telemetry, nanoseconds
from tests.support.cycle_records import START, cycle
from tests.support.time_series_servers import number, stored

POINTS = 43
"""Of a cycle."""
NOWHERE = 2**62


def prune_all(path: Path, retention: Retention, now: datetime) -> Counts:
    with closing(open_database(path, TABLES)) as connection:
        for _ in range(1000):
            if not prune(path, connection, retention, nanoseconds(now)):
                return Outbox(path, connection).counts()
    raise AssertionError("does not end")


def empty_outbox(path: Path, before_ns: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM outbox WHERE time < ?", (before_ns,))


def test_age_spares_what_waits(telemetry: Telemetry, path: Path) -> None:
    for k in range(600):
        telemetry.write(cycle(k))
    half_ns = nanoseconds(START + timedelta(seconds=30 * 300))
    empty_outbox(path, half_ns)
    now = START + timedelta(days=1, seconds=30 * 200)
    assert prune_all(path, Retention(days=1), now) == Counts(backlog=300 * POINTS)
    assert number(stored(path)) == 400 * POINTS
    assert prune_all(path, Retention(days=1), now + timedelta(days=9)) == Counts(backlog=300 * POINTS)
    assert number(stored(path)) == 300 * POINTS
    empty_outbox(path, NOWHERE)
    assert prune_all(path, Retention(days=1), now + timedelta(days=9)) == Counts()
    assert stored(path) == {}


def test_size_drops_what_waits_last_and_counts_it(telemetry: Telemetry, path: Path) -> None:
    for k in range(600):
        telemetry.write(cycle(k))
    empty_outbox(path, nanoseconds(START + timedelta(seconds=30 * 300)))
    seen = []
    with closing(open_database(path, TABLES)) as connection:
        while prune(path, connection, Retention(days=1e5, max_bytes=1), nanoseconds(START)):
            counts = Outbox(path, connection).counts()
            seen.append(tuple(n // POINTS for n in (number(stored(path)), counts.backlog, counts.dropped)))
    assert seen == [(480, 300, 0), (360, 300, 0), (300, 300, 0), (180, 180, 120), (60, 60, 240), (0, 0, 300)]


def test_size_deletes_no_more_than_it_must(telemetry: Telemetry, path: Path) -> None:
    for k in range(600):
        telemetry.write(cycle(k))
    empty_outbox(path, NOWHERE)
    limit = Retention(days=1e5, max_bytes=used(path) // 2)
    assert prune_all(path, limit, START) == Counts()
    assert used(path) <= limit.max_bytes
    assert 180 * POINTS <= number(stored(path)) < 300 * POINTS


def used(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        names = ("page_count", "freelist_count", "page_size")
        pages, free, size = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    return int((pages - free) * size)
