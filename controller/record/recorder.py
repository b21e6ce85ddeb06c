"""Records what every cycle and MPC run produced: CSV tables of the run, and telemetry.

Control does not depend on any of this: if a disk fails, :class:`RecordError` is raised and the loop goes on. Data that
must not be lost has its own files, :mod:`controller.record.audit` and :mod:`controller.record.journal`; on a disk that
fills up, :class:`DiskReserve` keeps space for them.
"""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo

from controller.process.failures import RecordError
from controller.record.measurements import Record
from controller.record.records import CycleRecord, DevicesRecord, MpcRecord
from controller.record.room import DiskReserve
from controller.record.tables import CYCLE_TABLES, MPC, AppendedTable, mpc_row
from controller.record.telemetry import Telemetry
from core.config import TelemetryConfig


class Recorder:
    """Writes telemetry and, with ``tables``, the CSV files of a run, with times in the zone ``timezone``.

    A recorder that is opened on existing files continues them. Any thread may use it.

    Args:
        telemetry: its file is relative to ``folder``, or absolute; if it names an InfluxDB, points are queued for it.
    """

    def __init__(self, folder: Path, timezone: str, telemetry: TelemetryConfig, *, tables: bool = True) -> None:
        self._zone, self._lock, self._files = ZoneInfo(timezone), Lock(), ExitStack()
        path = folder / telemetry.sqlite
        self._telemetry = Telemetry(path, outbox=telemetry.influx is not None)
        self._reserve = DiskReserve(path.parent, telemetry.reserve_mb)
        kept = CYCLE_TABLES if tables else {}
        self._cycle_tables = {name: AppendedTable(folder / name, table.columns) for name, table in kept.items()}
        self._mpc_tables = [AppendedTable(folder / "mpc.csv", MPC)] if tables else []

    def __enter__(self) -> Self:
        """Open all files.

        Raises:
            RecordError: a file cannot be opened, or a table has other columns.
        """
        with ExitStack() as files:
            files.enter_context(self._telemetry)
            for table in (*self._cycle_tables.values(), *self._mpc_tables):
                files.enter_context(table)
            self._files = files.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._files.close()

    @property
    def damaged(self) -> str | None:
        """The damage of a telemetry file that had to be replaced; None if there was none."""
        return self._telemetry.damaged

    def write(self, record: Record) -> None:
        """Record a cycle, an MPC run, or a change between two cycles.

        Raises:
            RecordError: a file could not be written; the others were.
        """
        match record:
            case CycleRecord():
                self.cycle(record)
            case MpcRecord():
                self.mpc(record)
            case DevicesRecord():
                self.devices(record)

    def check(self) -> str | None:
        """Look after the telemetry's file, see :meth:`controller.record.telemetry.Telemetry.check`."""
        with self._lock:
            return self._telemetry.check()

    def cycle(self, record: CycleRecord) -> None:
        """Record one 30 s cycle.

        Raises:
            RecordError: a file could not be written; the others were.
        """
        time = self._local(record.time)
        rows = {name: CYCLE_TABLES[name].rows(time, record) for name in self._cycle_tables}
        appends = (partial(table.append, rows[name]) for name, table in self._cycle_tables.items())
        self._write_all(record, *appends)

    def devices(self, record: DevicesRecord) -> None:
        """Record a change between two cycles.

        Raises:
            RecordError: it could not be written.
        """
        self._write_all(record)

    def mpc(self, record: MpcRecord) -> None:
        """Record one MPC run.

        Raises:
            RecordError: a file could not be written; the other was.
        """
        row = mpc_row(self._local(record.time), record)
        self._write_all(record, *(partial(table.append, [row]) for table in self._mpc_tables))

    def lose(self, record: Record) -> None:
        """Count the points of a record that cannot even be requested as dropped; does not wait for a write."""
        self._telemetry.lose(record)

    def _local(self, time: datetime) -> str:
        return time.astimezone(self._zone).isoformat()

    def _write_all(self, record: Record, *appends: Callable[[], None]) -> None:
        """If the disk has space, try every write, even if others fail."""
        failures = []
        with self._lock:
            try:
                self._reserve.require()
            except RecordError:
                self._telemetry.lose(record)
                raise
            for write in (lambda: self._telemetry.write(record), *appends):
                try:
                    write()
                except RecordError as error:
                    failures.append(error)
        if failures:
            raise RecordError("; ".join(map(str, failures))) from failures[0]
