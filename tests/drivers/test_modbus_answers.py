"""What comes in place of an answer to a Modbus request is none, and misleads nobody later."""

import asyncio
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.exchange import BadAnswerError, ExchangeError, NoAnswerError, RefusedError, Timing
from drivers.modbus import ModbusLink
from tests.support.asynchronous import run
from tests.support.drivers import ManualClock
from tests.support.scripted import READ, WRITE, Event, Exchange, linked


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("03 02 0001", BadAnswerError),  # one word short
        ("03 06 0001 0002 0003", BadAnswerError),
        ("04 04 0001 0002", BadAnswerError),  # input registers
        ("83 02", RefusedError),  # illegal address
        ("83 06", RefusedError),  # busy
        ("83 0b", NoAnswerError),  # a gateway that does not reach the unit
        ("03 04 0001", BadAnswerError),  # cut
        ("63 04 0001 0002", BadAnswerError),  # no function
        (bytes.fromhex("0000 0000 0007 01 03 04 0001 0002"), BadAnswerError),  # of no transaction
        (bytes.fromhex("0000 0000 0003 01 83 02"), BadAnswerError),
    ],
)
async def test_answers_to_a_reading_that_are_none(answer: str | bytes, error: type[ExchangeError]) -> None:
    async with linked([(READ[0], answer), READ]) as link:
        with pytest.raises(error):
            await link.read(1, 0, 2)
        assert await link.read(1, 0, 2) == (1, 2), "the next one is not misled"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("10 0004 0002", BadAnswerError),
        ("10 0005 0001", BadAnswerError),
        ("06 0004 004b", BadAnswerError),
        ("90 03", RefusedError),
        ("90 05", NoAnswerError),  # taken, and not yet done
        ("90 0a", NoAnswerError),
        (bytes.fromhex("0000 0000 0006 01 10 0004 0001"), BadAnswerError),  # of no transaction
        (bytes.fromhex("0000 0000 0003 01 90 03"), BadAnswerError),
    ],
)
async def test_answers_to_a_write_that_are_none(answer: str | bytes, error: type[ExchangeError]) -> None:
    async with linked([(WRITE[0], answer), READ]) as link:
        with pytest.raises(error):
            await link.write(1, 4, [75])
        assert await link.read(1, 0, 2) == (1, 2)


async def test_late_answer_is_not_claimed_for_the_next() -> None:
    late = bytes.fromhex("0001 0000 0007 01 03 04 0001 0002")  # transaction 1, when 2 is asked for
    lines: list[Exchange] = [READ, ("03 0008 0002", late), ("03 0008 0002", "03 04 3fa0 0000")]
    async with linked(lines) as link:
        await link.read(1, 0, 2)
        with pytest.raises(NoAnswerError):
            await link.read(1, 8, 2)
        assert await link.read(1, 8, 2) == (0x3FA0, 0)


async def test_late_answer_is_not_claimed_for_the_next_on_another_connection() -> None:
    """Of the first connection's request, in place of the second's."""
    late = bytes.fromhex("0001 0000 0007 01 03 04 0001 0002")
    lines: list[Exchange] = [(READ[0], Event.SILENCE), (READ[0], late), READ]
    async with linked(lines) as link:
        for _ in range(2):
            with pytest.raises(NoAnswerError):
                await link.read(1, 0, 2)
        assert await link.read(1, 0, 2) == (1, 2)


def test_what_cannot_be_decoded_is_no_matter_of_the_event_loop(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with linked([READ, (READ[0], "63 04 0001 0002"), READ], timing=Timing(request_s=10)) as link:
            await link.read(1, 0, 2)
            began = time.monotonic()
            with pytest.raises(BadAnswerError, match="what came cannot be decoded"):
                await link.read(1, 0, 2)
            assert time.monotonic() - began < 2, "it is not waited for any longer"
            assert await link.read(1, 0, 2) == (1, 2)

    run(test())
    assert not [record for record in caplog.records if record.name == "asyncio"]


@settings(max_examples=40, deadline=None)
@given(garbage=st.binary(max_size=300), framed=st.booleans())
async def test_garbage_is_an_exchange_error(garbage: bytes, framed: bool) -> None:
    reply = b"\0\1\0\0" + (len(garbage) + 1).to_bytes(2, "big") + b"\1" + garbage if framed else garbage

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(12)
            writer.write(reply)
            await reader.read()
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with ModbusLink("127.0.0.1", port, ManualClock(), Timing(0.02, 1.0)) as link:
            with suppress(ExchangeError):
                assert len(await link.read(1, 0, 2)) == 2
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.001)
