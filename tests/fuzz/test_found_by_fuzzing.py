"""What fuzzing has found, each by hand once."""

import json
from pathlib import Path

import pytest

from controller.process.failures import DamagedError
from controller.record.audit_lines import AuditWrite, read_audit
from core.codec import CodecError, decode
from core.devices import Quality
from drivers.converter import WiredConverter
from drivers.converters.opcua import OpcUaWire
from drivers.converters.sunspec import SunspecWire
from drivers.exchange import BadAnswerError, Exchanges
from drivers.fencing import Fence
from drivers.modbus import ModbusLink
from drivers.opcua import OpcUaSession
from drivers.readings import ReadingCheck
from tests.support.drivers import QUICK, ManualClock, parts
from tests.support.fuzz.findings import dice
from tests.support.fuzz.memory_wire import LoopClock, run_on
from tests.support.fuzz.opcua_samples import ServedValue, show
from tests.support.fuzz.sunspec_devices import LENGTHS, SANE, Device, bank
from tests.support.opcua_server import SAYS, FakeConverter
from tests.support.scripted import scripted

READ = "03 0000 0002"


@pytest.mark.parametrize(
    "answer",
    [
        bytes.fromhex("0000 0000 0007 01 03 04 0001 0002"),  # transaction 0
        "03 04 0001 0002 ffff",  # more than it counts
        "03 05 0001 0002 ff",  # an odd number of bytes
    ],
)
async def test_frames_that_are_not_by_the_account_are_no_answers(answer: str | bytes) -> None:
    lines = [(READ, answer), (READ, "03 04 0001 0002")]
    async with scripted(lines) as (port, _), ModbusLink("127.0.0.1", port, ManualClock(), QUICK) as link:
        with pytest.raises(BadAnswerError):
            await link.read(1, 0, 2)
        assert await link.read(1, 0, 2) == (1, 2)


@pytest.mark.parametrize(
    ("lengths", "words", "trouble"),
    [
        ({701: 117}, {}, "SunSpec model 701 of 117 words, allowed from 118 on"),
        ({715: 0}, {}, "SunSpec model 715 of 0 words, allowed from 5 on"),
        ({}, {(701, 116): 10}, "no SunSpec scale factor of ['p_kw']"),
    ],
)
def test_sunspec_devices_that_raised(
    lengths: dict[int, int], words: dict[tuple[int, int], int], trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    device = Device(dice(1), bank({**LENGTHS, **lengths}, {**SANE, **words}))

    async def test() -> None:
        clock = LoopClock()
        async with ModbusLink("sunspec", 1, clock) as link:
            gauge, turns = ReadingCheck("n5", 400.0, clock, 15.0), Exchanges("n5", clock, QUICK)
            wire = SunspecWire(link, 1, turns)
            converter = WiredConverter(wire, gauge, turns, fence=Fence(7))
            assert (await converter.read()).quality is Quality.INVALID
            with pytest.raises(BadAnswerError, match=trouble.replace("[", r"\[").replace("]", r"\]")):
                await wire.discovered()

    strays: list[BaseException] = []
    run_on(device.answer, test(), strays.append)
    assert strays == []


def test_a_current_in_units_of_ten_to_the_ten_is_left_out() -> None:
    device = Device(dice(1), bank(LENGTHS, {**SANE, (701, 113): 10}))

    async def test() -> None:
        clock = LoopClock()
        async with ModbusLink("sunspec", 1, clock) as link:
            gauge, turns = ReadingCheck("n5", 400.0, clock, 15.0), Exchanges("n5", clock, QUICK)
            reading = await WiredConverter(SunspecWire(link, 1, turns), gauge, turns, fence=Fence(7)).read()
            assert (reading.quality, reading.p_kw, reading.i_a) == (Quality.GOOD, 4.0, None)

    run_on(device.answer, test(), lambda error: pytest.fail(str(error)))


async def test_true_and_false_are_no_powers() -> None:
    with FakeConverter().served() as fake:

        async def test() -> None:
            clock = ManualClock()
            async with OpcUaSession(fake.url, None) as session:
                converter = WiredConverter(OpcUaWire(session), *parts("n7", clock), fence=Fence(7))
                said = {name: ServedValue.of(name) for name in SAYS}
                show(fake, said)
                assert (await converter.read()).quality is Quality.GOOD
                for lie in (True, False):
                    said["q_kvar"].set_boolean(lie)
                    reading = await converter.read()
                    assert (reading.quality, reading.q_kvar) == (Quality.INVALID, None)

        await test()


def test_a_number_that_no_float_can_hold_is_a_codec_error() -> None:
    with pytest.raises(CodecError, match=r"dict.*\[a\]"):
        decode(dict[str, float], {"a": 10**400})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("p_kw", "1.5"),
        ("p_kw", float("nan")),
        ("seq", True),
        ("outcome", "perhaps"),
        ("schema_version", 2),
        ("device", None),
        ("time", "2018-06-21T10:00:00"),
    ],
)
def test_an_audit_line_of_another_form_is_damage(key: str, value: object, tmp_path: Path) -> None:
    line = {
        "seq": 1, "time": "2018-06-21T10:00:00+00:00", "device": "n4", "p_kw": 1.5, "q_kvar": None, "reason": "use",
        "plan_id": "p-1", "outcome": "verified", "schema_version": 1,
    }  # fmt: skip
    path = tmp_path / "audit.jsonl"
    path.write_text(json.dumps(line) + "\n")
    (record,) = read_audit(path)
    assert isinstance(record, AuditWrite)
    path.write_text(json.dumps(line | {key: value}) + "\n")
    with pytest.raises(DamagedError, match="line 1"):
        list(read_audit(path))
