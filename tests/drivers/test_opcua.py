"""A converter behind OPC UA against a real server: samples with status and time, frames, sessions that come and go."""

# mypy: disable-error-code="attr-defined"

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from math import nan
from typing import Any

import pytest
from asyncua import ua

from core.devices import ConverterStatus, OperatingState, Outcome, Quality, Setpoint
from drivers.converter import WiredConverter
from drivers.converters.opcua import OpcUaWire
from drivers.exchange import NoAnswerError, RefusedError, Timing
from drivers.fencing import Fence
from drivers.opcua import OpcUaSession
from tests.support.drivers import ManualClock, parts
from tests.support.opcua_server import SAMPLED_AT, FakeConverter

TIMING = Timing(request_s=2.0, exchange_s=6.0)
SETPOINT = Setpoint(6.0, -8.0, 75.0)


@pytest.fixture(scope="module")
def shared() -> Iterator[FakeConverter]:
    with FakeConverter().served() as fake:
        yield fake


@pytest.fixture
def device(shared: FakeConverter) -> FakeConverter:
    shared.reset()
    return shared


@asynccontextmanager
async def connected(
    url: str, clock: ManualClock | None = None, timing: Timing = TIMING
) -> AsyncIterator[WiredConverter]:
    async with OpcUaSession(url, None, timing) as session:
        yield WiredConverter(OpcUaWire(session), *parts("n7", clock or ManualClock(), timing), fence=Fence(7))


async def test_reading(device: FakeConverter) -> None:
    async with connected(device.url) as converter:
        measurement = await converter.read()
        assert (measurement.p_kw, measurement.q_kvar, measurement.v_pu) == (1.0, -0.5, 1.0)
        assert (measurement.taken_at, measurement.quality) == (SAMPLED_AT, Quality.GOOD)


async def test_frames(device: FakeConverter) -> None:
    async with connected(device.url) as converter:
        assert await converter.write(SETPOINT) is Outcome.VERIFIED
        told = device.heard("p_setpoint_kw", "q_setpoint_kvar", "lease_s", "writer_epoch", "enable")
        assert told == [6.0, -8.0, 75.0, 7, True]
        await converter.read()
        assert converter.status == ConverterStatus(OperatingState.REMOTE, 15.0, 6.0, -8.0, 7, 75.0)
        device.say("state", OperatingState.SAFE)
        assert await converter.release() is Outcome.VERIFIED
        assert device.heard("enable", "p_setpoint_kw") == [False, 6.0]


@pytest.mark.parametrize("setpoint", [Setpoint(15.0, 1.0, 75.0), Setpoint(nan, 1.0, 75.0), Setpoint(1.0, 1.0, 0.0)])
async def test_setpoint_out_of_range_is_never_sent(device: FakeConverter, setpoint: Setpoint) -> None:
    async with connected(device.url) as converter:
        assert await converter.write(setpoint) is Outcome.REJECTED
        assert device.heard("p_setpoint_kw", "enable") == [0.0, False]


async def test_setpoint_that_is_not_followed_is_rejected(device: FakeConverter) -> None:
    device.say("state", OperatingState.LOCAL)
    async with connected(device.url) as converter:
        assert await converter.write(SETPOINT) is Outcome.REJECTED


GOOD, BAD = ua.StatusCodes.Good, ua.StatusCodes.BadSensorFailure


@pytest.mark.parametrize(
    ("sample", "quality"),
    [
        ({"value": nan}, Quality.INVALID),
        ({"value": 1.0, "status": BAD}, Quality.INVALID),
        ({"value": 1.0, "status": ua.StatusCodes.UncertainLastUsableValue}, Quality.INVALID),
        ({"value": None, "status": BAD}, Quality.INVALID),
        ({"value": 1.0, "age_s": None}, Quality.INVALID),
        ({"value": 1.0, "age_s": 3600}, Quality.STALE),
        ({"value": 1.0, "age_s": 11}, Quality.GOOD),
        ({"value": 0.0}, Quality.GOOD),
    ],
)
async def test_samples_that_only_look_good(device: FakeConverter, sample: dict[str, Any], quality: Quality) -> None:
    device.say("p_kw", **sample)
    async with connected(device.url) as converter:
        measurement = await converter.read()
        assert measurement.quality is quality
        assert (measurement.p_kw is None) == (quality is Quality.INVALID)
        assert measurement.q_kvar == -0.5


async def test_refused_value_leaves_the_frame_unsent(device: FakeConverter) -> None:
    device.refused.add("q_setpoint_kvar")
    async with connected(device.url) as converter:
        assert await converter.write(SETPOINT) is Outcome.REJECTED
        assert device.heard("enable") == [False]
        assert (await converter.read()).quality is Quality.GOOD, "a refusal is no loss"


async def test_only_variables_of_the_whitelist_are_written() -> None:
    async with OpcUaSession("opc.tcp://127.0.0.1:9/n7", None) as session:
        for values in ({"p_kw": 1.0}, {"p_setpoint_kw": nan}):
            with pytest.raises(RefusedError):
                await session.write(values)


async def test_server_that_goes_and_comes_back(device: FakeConverter) -> None:
    clock = ManualClock()
    async with connected(device.url, clock) as converter:
        assert (await converter.read()).quality is Quality.GOOD
        with device.away():
            began = time.monotonic()
            measurement = await converter.read()
            assert (measurement.quality, measurement.p_kw) == (Quality.INVALID, None)
            assert converter.status is None
            clock.move(1.0)
            assert await converter.write(SETPOINT) is Outcome.UNKNOWN
            assert time.monotonic() - began < TIMING.exchange_s
        assert (await converter.read()).quality is Quality.INVALID, "left alone for a second"
        clock.move(1.0)
        assert (await converter.read()).quality is Quality.GOOD
        assert device.heard("enable") == [False]


async def test_an_answer_that_crosses_its_deadline_is_no_answer(device: FakeConverter) -> None:
    async with OpcUaSession(device.url, None, Timing(request_s=0.2)) as session:
        before = await session.read(["p_kw"])
        late = asyncio.create_task(session.read(["p_kw"]))
        await asyncio.sleep(0)
        time.sleep(0.4)  # the loop stands: at its next turn the deadline has passed and the answer is there
        with pytest.raises(NoAnswerError):
            await late
        assert await session.read(["p_kw"]) == before


async def test_black_hole_costs_one_deadline() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
            await reader.read()
        writer.close()

    timing = Timing(request_s=0.2, exchange_s=0.3)
    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}/n7"
        async with connected(url, timing=timing) as converter:
            began = time.monotonic()
            assert (await converter.read()).quality is Quality.INVALID
            assert time.monotonic() - began < 2.0
            assert await converter.write(SETPOINT) is Outcome.UNKNOWN
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("path", ["n8", ""])
async def test_object_that_the_server_does_not_have(device: FakeConverter, path: str) -> None:
    async with connected(f"opc.tcp://127.0.0.1:{device.port}/{path}") as converter:
        assert (await converter.read()).quality is Quality.INVALID
