"""Line protocol: numbers, unknown values, escapes; what is written can be read again."""

import re
from collections.abc import Sequence
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.record.line_protocol import LineError, line, stored_line
from controller.record.measurements import MEASUREMENTS, TEXT, MeasurementSchema, TelemetryPoint, points
from controller.record.records import CycleRecord, MpcRecord
from tests.support.cycle_records import cycle, mpc

PRINTABLE = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))
NUMBERS = st.none() | st.floats()
BLANK = re.compile(r"(?<!\\) ")


def split(text: str, separator: str, *, quotes: bool = False) -> list[str]:
    """At each separator outside of quotes that no backslash precedes."""
    parts, quoted, escaped = [""], False, False
    for character in text:
        if character == '"' and quotes and not escaped:
            quoted = not quoted
        if character == separator and not (quoted or escaped):
            parts.append("")
            continue
        escaped = character == "\\" and not escaped if quoted else character == "\\"
        parts[-1] += character
    return parts


def value(text: str) -> float | str:
    if text.startswith('"'):
        return re.sub(r'\\(["\\])', r"\1", text[1:-1])
    assert "." in text or "e" in text
    return float(text)


def read(text: str) -> tuple[str, dict[str, str], dict[str, float | str], int]:
    """Measurement, tags, fields, time: as the reference of line protocol says, apart from the code under test."""
    series, rest = BLANK.split(text, 1)
    fields, time_ns = split(rest, " ", quotes=True)
    name, *tags = split(series, ",")
    pairs = (split(tag, "=") for tag in tags)
    return (
        name,
        {key: re.sub(r"\\([,= ])", r"\1", tag) for key, tag in pairs},
        {key: value(field) for key, field in (pair.split("=", 1) for pair in split(fields, ",", quotes=True))},
        int(time_ns),
    )


@st.composite
def any_point(draw: st.DrawFn) -> TelemetryPoint:
    measurement: MeasurementSchema = draw(st.sampled_from(list(MEASUREMENTS.values())))
    tag = None if measurement.tag is None else draw(st.text(PRINTABLE).filter(lambda text: not text.endswith("\\")))
    texts = st.none() | st.text(PRINTABLE)
    return TelemetryPoint(
        measurement.name, tag, tuple(draw(texts if f in TEXT else NUMBERS) for f in measurement.fields)
    )


def known(point: TelemetryPoint) -> dict[str, float | str]:
    pairs = zip(MEASUREMENTS[point.measurement].fields, point.values, strict=True)
    return {f: v for f, v in pairs if v is not None and (isinstance(v, str) or isfinite(v))}


@given(any_point(), st.integers(-(2**63), 2**63 - 1))
def test_round_trip(point: TelemetryPoint, time_ns: int) -> None:
    text = line(point, time_ns)
    if text is None:
        assert not known(point)
        return
    name, tags, fields, back_ns = read(text)
    tag = MEASUREMENTS[point.measurement].tag
    assert (name, back_ns) == (point.measurement, time_ns)
    assert tags == ({tag: point.tag} if point.tag else {})
    assert fields == known(point)
    assert "\n" not in text


def test_examples() -> None:
    assert line(TelemetryPoint("node", "N 1", (1,)), 5) == r"node,node=N\ 1 v_pu=1.0 5"
    assert line(TelemetryPoint("line", "a=b,c", (-0.0, None)), -5) == r"line,line=a\=b\,c i_a=-0.0 -5"
    assert (
        line(TelemetryPoint("device", "d", (None, 'no "good"\\', float("nan"), *[None] * 7)), 5)
        == r'device,device=d quality="no \"good\"\\" 5'
    )
    assert line(TelemetryPoint("node", "N1", (float("inf"),)), 5) is None
    assert line(TelemetryPoint("node", "", (1e-9,)), 5) == "node v_pu=1e-09 5"


@pytest.mark.parametrize("record", [cycle(0), mpc(0)])
def test_every_value_of_a_record_keeps_its_type(record: CycleRecord | MpcRecord) -> None:
    for point in points(record):
        text = line(point, 1)
        assert text is not None
        for name, field in read(text)[2].items():
            assert isinstance(field, str) == (name in TEXT)


def test_a_stored_row_is_the_same_line() -> None:
    point = TelemetryPoint("device", "d3", (1.25, "good", None, "remote", None, 45.0, -1.5, 0.1, None, 0.0))
    row: Sequence[float | str | None] = (7, "d3", 1.25, "good", None, "remote", None, 45.0, -1.5, 0.1, None, 0.0)
    assert stored_line(MEASUREMENTS["device"], row) == line(point, 7)
    assert stored_line(MEASUREMENTS["service"], (7, "off", 1.0, 0.0, *[None] * 9)) == (
        'service mode="off",cycle_ms=1.0,missed=0.0 7'
    )


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (TelemetryPoint("node", "N1", ("high",)), "node: v_pu is 'high', allowed a number"),
        (TelemetryPoint("device", "d", (1.0, 2.0, 3.0)), "device: quality is 2.0, allowed text"),
        (TelemetryPoint("node", "N\n1", (1.0,)), "node: node 'N.n1', allowed without control characters"),
        (TelemetryPoint("device", "d", (1.0, "a\tb", 3.0)), "quality 'a.tb', allowed without control characters"),
        (TelemetryPoint("node", "N1\\", (1.0,)), "allowed without a backslash at the end"),
    ],
)
def test_what_has_no_line(point: TelemetryPoint, message: str) -> None:
    with pytest.raises(LineError, match=message):
        line(point, 1)
