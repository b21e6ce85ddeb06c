"""Everything that a cycle leaves behind for later eyes: CSV tables of the run and live telemetry.

Nothing here is needed to control: if a disk fails, :class:`RecordError` says so and the loop goes on. What must not be
lost has files of its own, :mod:`controller.record.audit` and :mod:`controller.record.journal`; on a disk that fills up,
:class:`Room` leaves the rest to them.
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
from controller.record.room import Room
from controller.record.tables import CYCLE_TABLES, MPC, Table, mpc_row
from controller.record.telemetry import Telemetry
from core.config import TelemetryConfig


class Recorder:
    """Writes telemetry and, with ``tables``, the CSV files of a run, their times in the zone ``timezone``.

    A recorder that is opened on the files of an earlier one goes on with them. Any thread may use it.

    Args:
        telemetry: its file is relative to ``folder``, or absolute; a forwarder takes it on if it names a database.
    """

    def __init__(self, folder: Path, timezone: str, telemetry: TelemetryConfig, *, tables: bool = True) -> None:
        self._zone, self._lock, self._files = ZoneInfo(timezone), Lock(), ExitStack()
        path = folder / telemetry.sqlite
        self._telemetry = Telemetry(path, outbox=telemetry.influx is not None)
        self._room = Room(path.parent, telemetry.reserve_mb)
        kept = CYCLE_TABLES if tables else {}
        self._of_cycle = {name: Table(folder / name, table.columns) for name, table in kept.items()}
        self._of_mpc = [Table(folder / "mpc.csv", MPC)] if tables else []

    def __enter__(self) -> Self:
        """Open all files.

        Raises:
            RecordError: the disk does not let us, or a table has other columns.
        """
        with ExitStack() as files:
            files.enter_context(self._telemetry)
            for table in (*self._of_cycle.values(), *self._of_mpc):
                files.enter_context(table)
            self._files = files.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    @property
    def damaged(self) -> str | None:
        """What was wrong with a telemetry file that had to be set aside."""
        return self._telemetry.damaged

    def cycle(self, record: CycleRecord) -> None:
        """Keep one 30 s cycle.

        Raises:
            RecordError: a file could not be written; the others were.
        """
        time = self._local(record.time)
        rows = {name: CYCLE_TABLES[name].rows(time, record) for name in self._of_cycle}
        appends = (partial(table.append, rows[name]) for name, table in self._of_cycle.items())
        self._keep(record, *appends)

    def devices(self, record: DevicesRecord) -> None:
        """Keep what changed between two cycles.

        Raises:
            RecordError: it could not be written.
        """
        self._keep(record)

    def mpc(self, record: MpcRecord) -> None:
        """Keep one MPC run.

        Raises:
            RecordError: a file could not be written; the other was.
        """
        row = mpc_row(self._local(record.time), record)
        self._keep(record, *(partial(table.append, [row]) for table in self._of_mpc))

    def _local(self, time: datetime) -> str:
        return time.astimezone(self._zone).isoformat()

    def _keep(self, record: Record, *appends: Callable[[], None]) -> None:
        """Where there is room every write is tried, whatever becomes of the others."""
        failures = []
        with self._lock:
            try:
                self._room.require()
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
