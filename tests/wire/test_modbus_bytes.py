"""Requests and answers byte by byte, worked out by hand from the maps.

They are the only witness of a wrong address, type or scale, as driver and simulated plant share the maps.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from core.devices import ConverterStatus, Measurement, OperatingState, Outcome, Quality, Setpoint
from drivers.converter import WiredConverter
from drivers.converters.generic_modbus import GenericModbusWire
from drivers.fencing import Fence
from drivers.meters.sicam import SicamMeter
from drivers.modbus import ModbusLink, ModbusUnit
from drivers.registers import load_registers
from tests.support.drivers import ManualClock, parts, sunspec_converter
from tests.support.paths import REGISTERS
from tests.support.scripted import Exchange, scripted

TEN = datetime(2018, 6, 21, 10, tzinfo=UTC)
"""2018-06-21 10:00:00 UTC is 1 529 575 200 s = 5b2b7720, or 1 529 575 200 000 ms = 0164 21c9 5500, after 1970 began."""

CONVERTER_SAYS = (
    "3fc00000"  # 0   p_setpoint_kw    1.5
    "c0000000"  # 2   q_setpoint_kvar −2
    "0049"  # 4       lease_s         73 left of 75
    "0007"  # 5       writer_epoch     7
    "0001"  # 6       enable
    "0002"  # 7       state            remote
    "3fa00000"  # 8   p_kw             1.25
    "bf000000"  # 10  q_kvar          −0.5
    "43c88000"  # 12  v_v            401
    "41600000"  # 14  s_max_kva       14
    "0000016421c95500"  # 16 clock_s
)


@asynccontextmanager
async def generic(lines: list[Exchange]) -> AsyncIterator[WiredConverter]:
    async with scripted(lines) as (port, _), ModbusLink("127.0.0.1", port, ManualClock()) as link:
        registers = load_registers(REGISTERS / "converter_generic.yaml")
        wire = GenericModbusWire(ModbusUnit(link, 1, registers))
        yield WiredConverter(wire, *parts("n3", ManualClock()), fence=Fence(7))


async def seen(device: AbstractAsyncContextManager[Any]) -> tuple[Measurement, ConverterStatus]:
    async with device as converter:
        return await converter.read(), converter.status


async def commanded(device: AbstractAsyncContextManager[Any], setpoint: Setpoint) -> Outcome:
    async with device as converter:
        outcome: Outcome = await converter.write(setpoint)
        return outcome


async def released(device: AbstractAsyncContextManager[Any]) -> Outcome:
    async with device as converter:
        outcome: Outcome = await converter.release()
        return outcome


async def test_generic_converter_is_read_by_one_request() -> None:
    measurement, status = await seen(generic([("03 0000 0014", f"03 28 {CONVERTER_SAYS}")]))
    assert measurement == Measurement("n3", 1.25, -0.5, 401 / 400, None, TEN, 0.0, Quality.GOOD)
    assert status == ConverterStatus(OperatingState.REMOTE, 14.0, 1.5, -2.0, 7, 73.0)


@pytest.mark.parametrize(
    ("held", "outcome"),
    [
        ("3fc00000 c0000000 004b 0007 0001 0002", Outcome.VERIFIED),
        ("3fc00000 c0000000 0048 0007 0001 0002", Outcome.VERIFIED),  # 3 s of the lease have run off
        ("3fc00000 c0000000 002d 0007 0001 0002", Outcome.REJECTED),  # 45 s left: an older lease
        ("3fc00000 c0000000 004b 0007 0001 0003", Outcome.REJECTED),  # local
        ("3fc00000 c0000000 004b 0008 0001 0002", Outcome.REJECTED),  # another writer
        ("00000000 c0000000 004b 0007 0001 0002", Outcome.REJECTED),  # acknowledged and ignored
        ("7fc00000 c0000000 004b 0007 0001 0002", Outcome.REJECTED),  # not available
    ],
)
async def test_generic_converter_is_said_by_one_request_and_read_back(held: str, outcome: Outcome) -> None:
    write = ("10 0000 0007 0e 3fc00000 c0000000 004b 0007 0001", "10 0000 0007")
    lines: list[Exchange] = [write, ("03 0000 0008", f"03 10 {held}")]
    assert (await commanded(generic(lines), Setpoint(1.5, -2.0, 75.0))) is outcome


async def test_generic_converter_never_rounds_a_setpoint_up() -> None:
    # 0.1 lies between the floats 3dcccccc (0.0999999940) and 3dcccccd (0.1000000015)
    write = ("10 0000 0007 0e 3dcccccc bdcccccc 004b 0007 0001", "10 0000 0007")
    lines: list[Exchange] = [write, ("03 0000 0008", "03 10 3dcccccc bdcccccc 004b 0007 0001 0002")]
    assert (await commanded(generic(lines), Setpoint(0.1, -0.1, 75.9))) is Outcome.VERIFIED


async def test_generic_converter_refuses() -> None:
    lines: list[Exchange] = [
        ("10 0000 0007 0e 3fc00000 c0000000 004b 0007 0001", "90 03"),
        ("03 0000 0008", "03 10 00000000 00000000 0000 0008 0000 0001"),
    ]
    assert (await commanded(generic(lines), Setpoint(1.5, -2.0, 75.0))) is Outcome.REJECTED


RELEASE: Exchange = ("10 0005 0002 04 0007 0000", "10 0005 0002")


@pytest.mark.parametrize("held", ["0007 0000 0001", "ffff 0000 0001"], ids=["ours", "another writer"])
async def test_generic_converter_is_released(held: str) -> None:
    assert (await released(generic([RELEASE, ("03 0005 0003", f"03 06 {held}")]))) is Outcome.VERIFIED


HIGHEST = CONVERTER_SAYS.replace("000700010002", "ffff00010002")


@pytest.mark.parametrize(
    ("repeated", "outcome"), [("ffff 0000 0001", Outcome.VERIFIED), ("ffff 0001 0002", Outcome.REJECTED)]
)
async def test_a_refused_release_is_repeated_with_the_epoch_of_the_device(repeated: str, outcome: Outcome) -> None:
    lines: list[Exchange] = [
        ("10 0005 0002 04 0007 0000", "90 03"),
        ("03 0005 0003", "03 06 ffff 0001 0002"),
        ("03 0000 0014", f"03 28 {HIGHEST}"),
        ("10 0005 0002 04 ffff 0000", "10 0005 0002"),
        ("03 0005 0003", f"03 06 {repeated}"),
    ]
    assert (await released(generic(lines))) is outcome


METER_SAYS = (
    "43c74000"  # 200 v_v     398.5 V
    "41440000"  # 202 i_a      12.25 A
    "c4bb8000"  # 204 p_kw  −1500 W, fed in
    "437a0000"  # 206 q_kvar  250 var
    "{}"  # 208       status
    "0000016421c95500"  # 209 clock_s
)


@pytest.mark.parametrize(("status", "quality"), [("0000", Quality.GOOD), ("0002", Quality.INVALID)])
async def test_meter(status: str, quality: Quality) -> None:
    async def read() -> Measurement:
        lines: list[Exchange] = [("03 00c8 000d", f"03 1a {METER_SAYS.format(status)}")]
        async with scripted(lines, unit=5) as (port, _), ModbusLink("127.0.0.1", port, ManualClock()) as link:
            registers = load_registers(REGISTERS / "sicam_meter.yaml")
            return await SicamMeter(ModbusUnit(link, 5, registers), *parts("n1", ManualClock())).read()

    assert (await read()) == Measurement("n1", -1.5, 0.25, 398.5 / 400, 12.25, TEN, 0.0, quality)


DISCOVERY: list[Exchange] = [
    ("03 9c40 0002", "03 04 53756e53"),  # 40000: SunS
    ("03 9c42 0002", "03 04 0001 0042"),  # 40002: model 1, 66 words
    ("03 9c86 0002", "03 04 02bd 0099"),  # 40070: model 701, 153 words
    ("03 9d21 0002", "03 04 02c0 0041"),  # 40225: model 704, 65 words
    ("03 9d64 0002", "03 04 02cb 0007"),  # 40292: model 715, 7 words
    ("03 9d6d 0002", "03 04 ffff 0000"),  # 40301: end
    # 40070 + 113: A_SF −2, V_SF −1, Hz_SF −2, W_SF 1, PF_SF −3, VA_SF 1, Var_SF 1
    ("03 9cf7 0007", "03 0e fffe ffff fffe 0001 fffd 0001 0001"),
    ("03 9d58 0003", "03 06 0000 ffff 0001"),  # 40225 + 55: WSet_SF 0, WSetPct_SF −1, VarSet_SF 1
]
BEFORE = "03 20 fffffc18 00000000 8000 8000 0000 0000004b 00000030 0001 0004 0000 0000012c"
"""40249 WSet −1000 W … 40263 VarSet 300 × 10 var: 1 kW drawn, 3 kvar fed in."""
SUNSPEC_MEASURES = (
    "0001"  # 40073 St
    "0003"  # InvSt: running
    "0001 00000000 00000000"  # ConnSt, Alrm, DERMode
    "ff83"  # 40080 W: −125 × 10 W, drawn
    "007f"  # VA
    "0032"  # Var: 50 × 10 var, injected
    "03e8"  # PF
    "00b7"  # A: 183 × 0.01 A
    "0faa"  # LLV: 4010 × 0.1 V
)


def sunspec_controls(rest: str, enabled: str = "0001") -> str:
    return (
        f"{enabled} 0001 fffffa24"  # 40247 WSetEna, WSetMod W, WSet −1500 W: 1.5 kW drawn
        "00000000 8000 8000"  # WSetRvrt, WSetPct, WSetPctRvrt
        f"0000 0000004b {rest}"  # WSetEnaRvrt, WSetRvrtTms 75 s, WSetRvrtRem
        f"{enabled} 0004 0000 000000c8"  # 40260 VarSetEna, VarSetMod var, VarSetPri, VarSet 200 × 10 var: −2 kvar
        "00000000 8000 8000"  # VarSetRvrt, VarSetPct, VarSetPctRvrt
        f"0000 0000004b {rest}"  # VarSetEnaRvrt, VarSetRvrtTms 75 s, VarSetRvrtRem
    )


@asynccontextmanager
async def sunspec(lines: list[Exchange]) -> AsyncIterator[WiredConverter]:
    async with scripted(lines) as (port, _), ModbusLink("127.0.0.1", port, ManualClock()) as link:
        yield sunspec_converter(link, ManualClock())


async def test_sunspec_converter_is_discovered_and_read() -> None:
    lines: list[Exchange] = [
        *DISCOVERY,
        ("03 9c89 000d", f"03 1a {SUNSPEC_MEASURES}"),
        ("03 9d37 001b", f"03 36 {sunspec_controls('00000032')}"),
        ("03 9d66 0005", "03 0a 0000 5b2b7720 00070009"),  # 40294: remote, DERHb, ControllerHb: epoch 7, ninth write
    ]
    measurement, status = await seen(sunspec(lines))
    expected = Measurement("n5", 1.25, -0.5, 401 / 400, 1.83, TEN, 0.0, Quality.GOOD)
    assert measurement == expected
    assert status == ConverterStatus(OperatingState.REMOTE, None, 1.5, -2.0, 7, 50.0)


async def test_sunspec_converter_that_has_only_what_it_must() -> None:
    lines: list[Exchange] = [
        *DISCOVERY[:-2],
        ("03 9cf7 0007", "03 0e 8000 8000 8000 0001 8000 8000 0001"),  # neither A_SF nor V_SF
        DISCOVERY[-1],
        ("03 9c89 000a", "03 14 0001 0003 0001 00000000 00000000 ff83 007f 0032"),
        ("03 9d37 001b", f"03 36 {sunspec_controls('ffffffff')}"),
        ("03 9d66 0005", "03 0a 0000 ffffffff ffffffff"),
    ]
    measurement, status = await seen(sunspec(lines))
    assert measurement == Measurement("n5", 1.25, -0.5, None, None, None, 0.0, Quality.GOOD)
    assert status.writer_epoch is None


@pytest.mark.parametrize(
    ("left", "outcome"),
    [("0000004a", Outcome.VERIFIED), ("ffffffff", Outcome.VERIFIED), ("0000002d", Outcome.REJECTED)],
)
async def test_sunspec_converter_is_said_what_shrinks_first(left: str, outcome: Outcome) -> None:
    # before: 1 kW and −3 kvar; so Q, which shrinks to −2 kvar, is written before P, which grows to 1.5 kW
    lines: list[Exchange] = [
        *DISCOVERY,
        ("03 9d39 0010", BEFORE),
        ("10 9d69 0002 04 00070001", "10 9d69 0002"),  # 40297 ControllerHb
        ("10 9d3f 0003 06 0000 0000004b", "10 9d3f 0003"),  # 40255 WSetEnaRvrt, WSetRvrtTms
        ("10 9d4d 0003 06 0000 0000004b", "10 9d4d 0003"),  # 40269 VarSetEnaRvrt, VarSetRvrtTms
        ("10 9d44 0005 0a 0001 0004 0000 000000c8", "10 9d44 0005"),  # 40260 VarSetEna … VarSet
        ("10 9d37 0004 08 0001 0001 fffffa24", "10 9d37 0004"),  # 40247 WSetEna … WSet
        ("03 9c89 0002", "03 04 0001 0003"),
        ("03 9d37 001b", f"03 36 {sunspec_controls(left)}"),
        ("03 9d66 0001", "03 02 0000"),
    ]
    assert (await commanded(sunspec(lines), Setpoint(1.5, -2.0, 75.0))) is outcome


async def test_sunspec_converter_is_released() -> None:
    lines: list[Exchange] = [
        *DISCOVERY,
        ("03 9d39 0010", BEFORE),
        ("10 9d69 0002 04 00070001", "10 9d69 0002"),
        ("10 9d37 0001 02 0000", "10 9d37 0001"),
        ("10 9d44 0001 02 0000", "10 9d44 0001"),
        ("03 9c89 0002", "03 04 0001 0007"),
        ("03 9d37 001b", f"03 36 {sunspec_controls('00000000', enabled='0000')}"),
        ("03 9d66 0001", "03 02 0000"),
    ]
    assert (await released(sunspec(lines))) is Outcome.VERIFIED
