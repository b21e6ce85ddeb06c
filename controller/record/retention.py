"""Telemetry has limits of age and size: the hours written longest ago are deleted first, unsent ones last.

Age is the time for which the service has run since, by the monotonic clock: the file counts it, and notes for every
hour of its time stamps at which count it was last written. So a wall clock that jumps, ahead or back, deletes nothing,
and neither does its return.

The age limit deletes forwarded points only. The size limit also deletes unsent points if no other is left; those are
counted as dropped. The file never shrinks, but its free pages are used again.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from controller.process.failures import recording
from controller.record.database import transaction
from controller.record.measurements import MEASUREMENTS
from controller.record.outbox import DROPPED, REMOVED, count
from core.config import TelemetryConfig

HOUR_NS = 3600 * 10**9
"""Time span of the points that one call deletes at most, so that the writer of the next cycle never waits long."""
DAY_S = 86_400
HOURS = "CREATE TABLE IF NOT EXISTS hours (hour INTEGER PRIMARY KEY, run_s INTEGER NOT NULL)"
"""Hours since 1970 of time stamps; ``run_s``: :data:`RUN_S` when a point of that hour was last written."""
RUN_S = "run_s"
"""Key in ``meta``: seconds for which services have run on this file."""
_RUN = f"(SELECT coalesce(max(value), 0) FROM meta WHERE key = '{RUN_S}')"
STAMP_HOUR = f"INSERT OR REPLACE INTO hours VALUES (?, {_RUN})"
_ADOPT = f"""INSERT INTO hours SELECT DISTINCT time / {HOUR_NS}, {_RUN} FROM service
    WHERE NOT EXISTS (SELECT 1 FROM hours)"""
_OLDEST = "SELECT hour FROM hours WHERE run_s < ? ORDER BY run_s, hour"
_NEVER = 2**62


@dataclass(frozen=True)
class Retention:
    """Limits of a telemetry file; by default those of a configuration that sets none."""

    days: float = TelemetryConfig().keep_days
    max_bytes: float = 1e6 * TelemetryConfig().keep_mb

    @classmethod
    def of(cls, config: TelemetryConfig) -> "Retention":
        """The limits of a configuration."""
        return cls(config.keep_days, 1e6 * config.keep_mb)


DEFAULT_RETENTION = Retention()


@dataclass(frozen=True)
class RemovedPoints:
    """An hour that was deleted: since 1970; how many points; how many of them were never sent; which limit."""

    hour: int
    points: int
    unsent: int
    limit: str


def adopt_hours(path: Path, connection: sqlite3.Connection) -> None:
    """Let the age of the points of a file of an older version begin now.

    Raises:
        RecordError: the disk or another process prevents it.
    """
    with recording(path), transaction(connection, durable=False):
        connection.execute(_ADOPT)


def count_run(path: Path, connection: sqlite3.Connection, seconds: int) -> None:
    """Count time for which a service has run.

    Raises:
        RecordError: the disk or another process prevents it.
    """
    with recording(path), transaction(connection, durable=False):
        count(connection, [(RUN_S, seconds)])


def prune(path: Path, connection: sqlite3.Connection, retention: Retention) -> RemovedPoints | None:
    """Delete an hour of points beyond the limits; None if there is nothing to delete.

    Raises:
        RecordError: the disk or another process prevents it.
    """
    with recording(path):
        due = _due(connection, retention)
        if due is None:
            return None
        hour, limit = due
        span = (hour * HOUR_NS, (hour + 1) * HOUR_NS)
        with transaction(connection, durable=False):
            statements = (f"DELETE FROM {name} WHERE time >= ? AND time < ?" for name in MEASUREMENTS)
            points = sum(connection.execute(statement, span).rowcount for statement in statements)
            waiting = "SELECT coalesce(sum(points), 0) FROM outbox WHERE time >= ? AND time < ?"
            (unsent,) = connection.execute(waiting, span).fetchone()
            connection.execute("DELETE FROM outbox WHERE time >= ? AND time < ?", span)
            connection.execute("DELETE FROM hours WHERE hour = ?", (hour,))
            count(connection, [(DROPPED, unsent), (REMOVED, points)])
    return RemovedPoints(hour, points, unsent, limit)


def _due(connection: sqlite3.Connection, retention: Retention) -> tuple[int, str] | None:
    """The hour to delete next, and the limit that it is beyond."""
    (run_s,) = connection.execute(f"SELECT {_RUN}").fetchone()
    old = [hour for (hour,) in connection.execute(_OLDEST, (run_s - int(retention.days * DAY_S),))]
    if old and (sent := _sent(connection, old)):
        return sent[0], f"{retention.days:g} days"
    if _used_bytes(connection) <= retention.max_bytes:
        return None
    hours = [hour for (hour,) in connection.execute(_OLDEST, (_NEVER,))]
    return next(((hour, f"{retention.max_bytes / 1e6:g} MB") for hour in (*_sent(connection, hours), *hours)), None)


def _sent(connection: sqlite3.Connection, hours: list[int]) -> list[int]:
    """Those of the hours in which nothing waits to be sent."""
    waiting = {hour for (hour,) in connection.execute(f"SELECT DISTINCT time / {HOUR_NS} FROM outbox")}
    return [hour for hour in hours if hour not in waiting]


def _used_bytes(connection: sqlite3.Connection) -> int:
    pages, free, page_bytes = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * page_bytes)
