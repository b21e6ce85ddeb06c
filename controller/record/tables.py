"""The CSV files of a closed-loop run, appended by complete lines; format and last column as in the tables of a plan."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO, StringIO
from math import isfinite
from pathlib import Path
from types import TracebackType
from typing import Self

from controller.process.failures import DamagedError, RecordError, recording
from controller.record.measurements import MEASUREMENTS, TEXT
from controller.record.records import CycleRecord, MpcRecord
from controller.runs.directory import DIGITS, SCHEMA_VERSION

Cell = float | str | None
Row = Sequence[Cell]
_LAST = "pv_kvar"
_MEASURED = (field for field in MEASUREMENTS["prosumer"].fields if field not in (*TEXT, _LAST))
_NUMBERS = (*_MEASURED, "tariff_chf_per_kwh", "price_chf_per_kwh")
REALTIME = ("time", "prosumer", *_NUMBERS, "rung", "reasons", _LAST)
NODES = ("time", "node", "v_pu")
LINES = ("time", "line", "i_a")
SLACK = ("time", "p_kw", "q_kvar")
MPC = ("time", "status", "iterations", "wall_ms", "gap_rel", "violation_pu", "adopted")
_TAIL_BYTES = 1 << 16


class AppendedTable:
    """One CSV file, open for appending; its last column is the schema version.

    An existing file is continued. An incomplete last line, left by a process that was killed, is removed.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._header = _text([(*columns, "schema_version")])
        self._file: FileIO | None = None
        self._size = 0

    def __enter__(self) -> Self:
        """Open the file, with its header if it is new.

        Raises:
            RecordError: the file cannot be opened, or has other columns.
        """
        with recording(self._path):
            self._file = self._path.open("ab+", buffering=0)
            try:
                self._resume(self._file)
            except BaseException:
                self._file.close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def append(self, rows: Iterable[Row]) -> None:
        """Append rows: all or none.

        Raises:
            RecordError: the file cannot be written; the rows are lost.
        """
        self._write(_text((*map(_cell, row), str(SCHEMA_VERSION)) for row in rows))

    def _resume(self, file: FileIO) -> None:
        end = file.seek(0, 2)
        tail_begin = file.seek(max(end - _TAIL_BYTES, 0))
        self._size = tail_begin + file.read().rfind(b"\n") + 1
        file.truncate(self._size)
        if not self._size:
            self._write(self._header)
        file.seek(0)
        if file.read(len(self._header)) != self._header:
            raise DamagedError(f"{self._path}: other columns, allowed {self._header.decode().strip()}")

    def _write(self, data: bytes) -> None:
        if self._file is None:
            raise RecordError(f"{self._path}: the table is not open")
        with recording(self._path):
            try:
                if (written := self._file.write(data)) != len(data):
                    raise OSError(None, f"{written} of {len(data)} bytes written")
            except OSError:
                self._file.truncate(self._size)
                raise
        self._size += len(data)


def realtime_rows(time: str, record: CycleRecord) -> Iterable[Row]:
    """Rows of realtime.csv, one per prosumer."""
    for name, prosumer in record.prosumers.items():
        numbers = (getattr(prosumer, field) for field in _NUMBERS)
        yield (time, name, *numbers, prosumer.rung, " ".join(prosumer.reasons), prosumer.pv_kvar)


def mpc_row(time: str, record: MpcRecord) -> Row:
    """A row of mpc.csv."""
    return (time, *(getattr(record, field) for field in MPC[1:]))


@dataclass(frozen=True)
class CycleTable:
    """A table that every cycle appends to; ``rows`` takes the local time as text and the record."""

    columns: tuple[str, ...]
    rows: Callable[[str, CycleRecord], Iterable[Row]]


CYCLE_TABLES: Mapping[str, CycleTable] = {
    "realtime.csv": CycleTable(REALTIME, realtime_rows),
    "nodes.csv": CycleTable(NODES, lambda time, record: ((time, *item) for item in record.nodes.items())),
    "lines.csv": CycleTable(LINES, lambda time, record: ((time, *item) for item in record.lines.items())),
    "slack.csv": CycleTable(SLACK, lambda time, record: [(time, record.slack_p_kw, record.slack_q_kvar)]),
}


def _text(rows: Iterable[Sequence[str]]) -> bytes:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: Cell) -> str:
    """Unknown, NaN and infinity are empty cells; zero has no sign."""
    match value:
        case str():
            return value
        case bool():
            return str(value)
        case None:
            return ""
    return DIGITS % (value + 0.0) if isfinite(value) else ""
