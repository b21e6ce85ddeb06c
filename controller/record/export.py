"""Exports the telemetry of a past run: to Parquet files, a line protocol file, or an InfluxDB."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from controller.record.influx import Influx, deliver
from controller.record.line_protocol import Cell, stored_line
from controller.record.measurements import MEASUREMENTS, MeasurementSchema, columns
from controller.record.outbox import DEAD_LETTERS, append_dead_letters, to_lines
from controller.record.reading import reading
from core.config import InfluxConfig
from core.errors import Fault, InputError

LINE_PROTOCOL = "telemetry.lp"
_ROWS = 5000
"""Points that are read and sent at a time."""


@dataclass(frozen=True)
class ImportCounts:
    """Points that the InfluxDB accepted, and points that it refused for good."""

    sent: int
    dead_letters: int


def export_line_protocol(database: Path, out: Path) -> Path:
    """Write all points of ``database`` as line protocol into the folder ``out``; points without a known value have no
    line.

    Raises:
        InputError: there is no readable telemetry, or the folder cannot be written.
        LineError: a point has no form in line protocol.
    """
    with (
        reading(database) as connection,
        _writing(out, LINE_PROTOCOL) as path,
        path.open("w", encoding="utf-8") as file,
    ):
        for measurement, rows in _all_chunks(connection):
            file.writelines(f"{text}\n" for row in rows if (text := stored_line(measurement, row)))
    return out / LINE_PROTOCOL


def export_parquet(database: Path, out: Path) -> tuple[Path, ...]:
    """Write one file per measurement into the folder ``out``: time (UTC), tag, fields; unknown values are null.

    Raises:
        InputError: pyarrow is not installed, there is no readable telemetry, or the folder cannot be written.
    """
    try:
        arrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise InputError([Fault("--parquet", "", "no pyarrow", "with the extra gridlab[parquet] installed")]) from error
    written = []
    types = {"INTEGER": arrow.timestamp("ns", "UTC"), "REAL": arrow.float64(), "TEXT": arrow.string()}
    with reading(database) as connection:
        for measurement in MEASUREMENTS.values():
            kinds = {"time": "INTEGER", **columns(measurement)}
            schema = arrow.schema([(name, types[kind]) for name, kind in kinds.items()])
            file = f"{measurement.name}.parquet"
            with _writing(out, file) as path, parquet.ParquetWriter(path, schema) as writer:
                for rows in _chunks(connection, measurement):
                    cells = zip(schema.types, zip(*rows, strict=True), strict=True)
                    writer.write_table(arrow.table([arrow.array(c, kind) for kind, c in cells], schema=schema))
            written.append(out / file)
    return tuple(written)


def import_influx(database: Path, influx: InfluxConfig, progress: Callable[[int, int], None]) -> ImportCounts:
    """Send all points of ``database``; points that are refused for good go to ``dead_letters.jsonl`` in the same
    folder.

    Repeating it, in whole or after a failure, is harmless.

    Args:
        progress: called with the number of points done and in total.

    Raises:
        InputError: there is no readable telemetry.
        InfluxError: the database or its token is not available, or it fails.
        RecordError: a dead letter cannot be written.
    """
    sent = done = dead = 0
    with reading(database) as connection, Influx(influx) as target:
        total = sum(connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in MEASUREMENTS)
        progress(done, total)
        for measurement, rows in _all_chunks(connection):
            lines, unencodable = to_lines((measurement, row) for row in rows)
            delivery = deliver(target.write, lines)
            letters = (*unencodable, *delivery.dead)
            append_dead_letters(database.with_name(DEAD_LETTERS), datetime.now(UTC), letters)
            sent, done, dead = sent + delivery.sent, done + len(rows), dead + len(letters)
            progress(done, total)
    return ImportCounts(sent, dead)


@contextmanager
def _writing(out: Path, name: str) -> Iterator[Path]:
    """A temporary file to fill; it is renamed to ``out/name`` when the block ends, and deleted if the block fails."""
    draft = out / f".{name}.partial"
    try:
        out.mkdir(parents=True, exist_ok=True)
        try:
            yield draft
            draft.replace(out / name)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InputError([Fault("--out", "", str(out), f"a folder that can be written ({error.strerror})")]) from error


def _all_chunks(connection: sqlite3.Connection) -> Iterator[tuple[MeasurementSchema, list[tuple[Cell, ...]]]]:
    for measurement in MEASUREMENTS.values():
        for rows in _chunks(connection, measurement):
            yield measurement, rows


def _chunks(connection: sqlite3.Connection, measurement: MeasurementSchema) -> Iterator[list[tuple[Cell, ...]]]:
    """All rows of a measurement by time, ``_ROWS`` at a time."""
    names = ", ".join(("time", *columns(measurement)))
    cursor = connection.execute(f"SELECT {names} FROM {measurement.name} ORDER BY time")
    while rows := cursor.fetchmany(_ROWS):
        yield rows
