"""The points of the driver against SunSpec's own model definitions, and devices that are none."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sunspec2  # type: ignore[import-untyped]

from core.devices import Outcome, Quality, Setpoint
from drivers.modbus import ModbusLink
from drivers.sunspec_points import MODELS, POINTS, SENTINELS, SunspecPoint
from tests.support.drivers import QUICK, ManualClock, sunspec_converter
from tests.support.scripted import Event, Exchange, scripted

SIZES = {"int16": 1, "uint16": 1, "enum16": 1, "int32": 2, "uint32": 2}
SYMBOLS = {
    "WSetMod": ("WATTS", 1),
    "VarSetMod": ("VARS", 4),
    "VarSetPri": ("ACTIVE", 0),
    "InvSt": ("FAULT", 6),
    "LocRemCtl": ("LOCAL", 1),
    "St": ("OFF", 0),
    "WSetEna": ("ENABLED", 1),
}
"""What the driver writes and compares with."""


@cache
def definition(model: int) -> dict[str, tuple[int, dict[str, Any]]]:
    """Point → (offset, definition), by pysunspec2."""
    text = (Path(sunspec2.__file__).parent / "models" / "json" / f"model_{model}.json").read_text()
    found, offset = {}, 0
    for point in json.loads(text)["group"]["points"]:
        found[point["name"]] = (offset, point)
        offset += point["size"]
    return found


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.sunspec)
def test_points_are_those_of_the_models(point: SunspecPoint) -> None:
    assert point.model in MODELS
    offset, defined = definition(point.model)[point.sunspec]
    assert point.offset == offset
    assert point.type == defined["type"].replace("enum16", "uint16")
    assert point.writable == (defined.get("access") == "RW")
    scale = defined.get("sf")
    assert point.sf_offset == (definition(point.model)[scale][0] if scale else None)
    if point.factor != 1:
        assert (point.factor, defined["units"].upper(), point.unit[0]) in ((-0.001, "W", "k"), (-0.001, "VAR", "k"))


@pytest.mark.parametrize("name", SYMBOLS)
def test_enumerations_are_those_of_the_models(name: str) -> None:
    model = next(point.model for point in POINTS if point.sunspec == name)
    symbols = {symbol["name"]: symbol["value"] for symbol in definition(model)[name][1]["symbols"]}
    word, value = SYMBOLS[name]
    assert symbols[word] == value


def test_sentinels() -> None:
    assert SENTINELS == {"int16": -0x8000, "uint16": 0xFFFF, "int32": -0x80000000, "uint32": 0xFFFFFFFF}


MARK: Exchange = ("03 9c40 0002", "03 04 53756e53")
COMMON: Exchange = ("03 9c42 0002", "03 04 0001 0042")
MODEL_701: Exchange = ("03 9c86 0002", "03 04 02bd 0099")


@pytest.mark.parametrize(
    ("lines", "trouble"),
    [
        ([("03 9c40 0002", "03 04 00000000")], "no SunSpec mark at 40000"),
        ([("03 9c40 0002", "83 02")], "exception 2"),
        ([MARK, ("03 9c42 0002", "03 04 ffff 0000")], "no SunSpec models [1, 701, 704, 715] among []"),
        ([MARK, COMMON, MODEL_701, ("03 9d21 0002", "03 04 ffff 0000")], "no SunSpec models [704, 715]"),
        ([MARK, ("03 9c42 0002", "03 04 0001 fff0")], "does not end"),
        (
            [
                MARK,
                COMMON,
                MODEL_701,
                ("03 9d21 0002", "03 04 02c0 0041"),
                ("03 9d64 0002", "03 04 02cb 0007"),
                ("03 9d6d 0002", "03 04 ffff 0000"),
                ("03 9cf7 0007", "03 0e fffe ffff fffe 8000 fffd 0001 0001"),
                ("03 9d58 0003", "03 06 0000 ffff 0001"),
            ],
            "no SunSpec scale factor of ['p_kw']",
        ),
        ([MARK, ("03 9c42 0002", Event.CLOSE), ("03 9c42 0002", Event.CLOSE)], "no answer"),
    ],
)
async def test_devices_that_are_none(lines: list[Exchange], trouble: str, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    async with scripted(lines) as (port, _), ModbusLink("127.0.0.1", port, clock, QUICK) as link:
        converter = sunspec_converter(link, clock)
        assert (await converter.read()).quality is Quality.INVALID
        assert await converter.write(Setpoint(0.0, 0.0, 75.0)) is Outcome.UNKNOWN
    assert trouble in next(message for message in caplog.messages if message.startswith("n5: lost"))


async def test_setpoint_out_of_range_is_never_sent() -> None:
    async with scripted([]) as (port, _), ModbusLink("127.0.0.1", port, ManualClock(), QUICK) as link:
        converter = sunspec_converter(link, ManualClock())
        assert await converter.write(Setpoint(15.0, 15.0, 75.0)) is Outcome.REJECTED
