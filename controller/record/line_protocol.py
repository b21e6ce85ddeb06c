"""Points as InfluxDB line protocol: ``measurement,tag=value field=value,… time``, time in nanoseconds.

Numbers are always written as floats, so that a field never changes its type; unknown values are left out. Source: "Line
protocol", InfluxDB v2 reference.
"""

from collections.abc import Sequence
from math import isfinite

from controller.record.measurements import MEASUREMENTS, TEXT, MeasurementSchema, TelemetryPoint
from core.errors import GridlabError

Cell = float | str | None
_IN_NAME = str.maketrans({"\\": "\\", ",": "\\,", "=": "\\=", " ": "\\ "})
_IN_TEXT = str.maketrans({"\\": "\\\\", '"': '\\"'})


class LineError(GridlabError):
    """A point has no form in line protocol."""


def line(point: TelemetryPoint, time_ns: int) -> str | None:
    """The line of a point, without line end; None if no value is known.

    Raises:
        LineError: a control character, a tag that ends with a backslash, or a value of the wrong type.
    """
    measurement = MEASUREMENTS[point.measurement]
    pairs = zip(measurement.fields, point.values, strict=True)
    known = [f"{field}={text}" for field, value in pairs if (text := _value(measurement, field, value))]
    if not known:
        return None
    return f"{measurement.name}{_tag(measurement, point.tag)} {','.join(known)} {time_ns}"


def stored_line(measurement: MeasurementSchema, row: Sequence[Cell]) -> str | None:
    """The line of a row of the measurement's SQLite table: time, tag if it has one, fields.

    Raises:
        LineError: as for :func:`line`.
    """
    first = 1 if measurement.tag is None else 2
    tag = None if measurement.tag is None else str(row[1])
    return line(TelemetryPoint(measurement.name, tag, tuple(row[first:])), int(row[0] or 0))


def _tag(measurement: MeasurementSchema, value: str | None) -> str:
    """An empty tag counts as none."""
    if measurement.tag is None or not value:
        return ""
    if value.endswith("\\"):
        raise LineError(f"{measurement.name}: {measurement.tag} {value!r}, allowed without a backslash at the end")
    return f",{measurement.tag}={_printable(measurement, measurement.tag, value).translate(_IN_NAME)}"


def _value(measurement: MeasurementSchema, field: str, value: Cell) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) != (field in TEXT):
        kind = "text" if field in TEXT else "a number"
        raise LineError(f"{measurement.name}: {field} is {value!r}, allowed {kind}")
    if isinstance(value, str):
        return f'"{_printable(measurement, field, value).translate(_IN_TEXT)}"'
    return repr(float(value)) if isfinite(value) else None


def _printable(measurement: MeasurementSchema, name: str, text: str) -> str:
    if any(character < " " or character == "\x7f" for character in text):
        raise LineError(f"{measurement.name}: {name} {text!r}, allowed without control characters")
    return text
