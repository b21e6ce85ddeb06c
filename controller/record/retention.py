"""Telemetry has limits of age and size: the oldest points are deleted first, points not yet forwarded last.

The age limit deletes forwarded points only. The size limit also deletes unsent points if no other is left; those are
counted as dropped. The file never shrinks, but its free pages are used again.
"""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from controller.process.failures import recording
from controller.record.database import transaction
from controller.record.measurements import MEASUREMENTS
from controller.record.outbox import DROPPED, count
from core.config import TelemetryConfig

SLICE_NS = 3600 * 10**9
"""Time span of the points that one call deletes at most, so that the writer of the next cycle never waits long."""
_DAY_NS = 24 * SLICE_NS
_NEVER_NS = 2**63 - 1


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
class _Extent:
    """Earliest time of all points (None: no points) and of the unsent ones (``_NEVER_NS``: none), and bytes in use."""

    oldest_ns: int | None
    waiting_ns: int
    used_bytes: int


def prune(path: Path, connection: sqlite3.Connection, retention: Retention, now_ns: int) -> bool:
    """Delete at most an hour of points beyond the limits; True if there may be more to delete.

    Raises:
        RecordError: the disk or another process prevents it.
    """
    with recording(path):
        end_ns = _end_ns(_extent(connection), retention, now_ns)
        if end_ns is None:
            return False
        with transaction(connection, durable=False):
            for name in MEASUREMENTS:
                connection.execute(f"DELETE FROM {name} WHERE time < ?", (end_ns,))
            lost = connection.execute("SELECT sum(points) FROM outbox WHERE time < ?", (end_ns,)).fetchone()[0]
            if lost:
                connection.execute("DELETE FROM outbox WHERE time < ?", (end_ns,))
                count(connection, [(DROPPED, lost)])
    return True


def _end_ns(extent: _Extent, retention: Retention, now_ns: int) -> int | None:
    """Points before this time are to be deleted; None: none are."""
    oldest_ns = extent.oldest_ns
    if oldest_ns is None:
        return None
    too_old_ns = min(now_ns - int(retention.days * _DAY_NS), extent.waiting_ns)
    if oldest_ns < too_old_ns:
        return min(oldest_ns + SLICE_NS, too_old_ns)
    if extent.used_bytes <= retention.max_bytes:
        return None
    end_ns = oldest_ns + SLICE_NS
    return min(end_ns, extent.waiting_ns) if oldest_ns < extent.waiting_ns else end_ns


def _extent(connection: sqlite3.Connection) -> _Extent:
    firsts = [connection.execute(f"SELECT min(time) FROM {name}").fetchone()[0] for name in MEASUREMENTS]
    known = [first_ns for first_ns in firsts if first_ns is not None]
    (waiting_ns,) = connection.execute("SELECT coalesce(min(time), ?) FROM outbox", (_NEVER_NS,)).fetchone()
    pages, free, page_bytes = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return _Extent(min(known, default=None), waiting_ns, (pages - free) * page_bytes)
