"""The Modbus connection under all that can happen to it: deadlines, retries, the breaker, nothing left behind."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.exchange import BadAnswerError, BreakerState, ExchangeError, NoAnswerError, RefusedError, Timing
from drivers.modbus import ModbusLink, ModbusUnit
from drivers.registers import RegisterRangeError, load_registers
from tests.drivers.devices import FakeDevice, served
from tests.drivers.scripted import Line, Stage, scripted
from tests.drivers.support import QUICK, REGISTERS, Hands, parts, run

MAP = load_registers(REGISTERS / "converter_generic.yaml")
READ = ("03 0000 0002", "03 04 0001 0002")
WRITE = ("10 0004 0001 02 004b", "10 0004 0001")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def linked(lines: list[Line], clock: Hands | None = None, timing: Timing = QUICK) -> AsyncIterator[ModbusLink]:
    async with scripted(lines) as (port, _), ModbusLink("127.0.0.1", port, clock or Hands(), timing) as link:
        yield link


def test_words_and_acknowledgements() -> None:
    async def test() -> None:
        async with linked([READ, WRITE, READ]) as link:
            assert await link.read(1, 0, 2) == (1, 2)
            await link.write(1, 4, [75])
            assert await link.read(1, 0, 2) == (1, 2)

    run(test())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("03 02 0001", BadAnswerError),  # one word short
        ("03 06 0001 0002 0003", BadAnswerError),
        ("04 04 0001 0002", BadAnswerError),  # input registers
        ("83 02", RefusedError),  # illegal address
        ("83 06", RefusedError),  # busy
        ("83 0b", NoAnswerError),  # a gateway that does not reach the unit
        ("03 04 0001", NoAnswerError),  # cut
        ("63 04 0001 0002", NoAnswerError),  # no function
    ],
)
def test_answers_to_a_reading_that_are_none(answer: str, error: type[ExchangeError]) -> None:
    async def test() -> None:
        async with linked([(READ[0], answer), READ]) as link:
            with pytest.raises(error):
                await link.read(1, 0, 2)
            assert await link.read(1, 0, 2) == (1, 2), "the next one is not misled"

    run(test())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ("10 0004 0002", BadAnswerError),
        ("10 0005 0001", BadAnswerError),
        ("06 0004 004b", BadAnswerError),
        ("90 03", RefusedError),
        ("90 05", NoAnswerError),  # taken, and not yet done
        ("90 0a", NoAnswerError),
    ],
)
def test_answers_to_a_write_that_are_none(answer: str, error: type[ExchangeError]) -> None:
    async def test() -> None:
        async with linked([(WRITE[0], answer), READ]) as link:
            with pytest.raises(error):
                await link.write(1, 4, [75])
            assert await link.read(1, 0, 2) == (1, 2)

    run(test())


@pytest.mark.parametrize("stage", [Stage.SILENCE, Stage.CLOSE])
def test_reading_is_tried_again_once_on_a_connection_that_had_served(stage: Stage) -> None:
    async def test() -> None:
        lines: list[Line] = [READ, (READ[0], stage), READ, (READ[0], stage), (READ[0], stage)]
        async with linked(lines) as link:
            assert await link.read(1, 0, 2) == (1, 2)
            assert await link.read(1, 0, 2) == (1, 2), "second attempt"
            with pytest.raises(NoAnswerError):
                await link.read(1, 0, 2)

    run(test())


@pytest.mark.parametrize("stage", [Stage.SILENCE, Stage.CLOSE])
def test_new_connection_that_fails_is_not_tried_again(stage: Stage) -> None:
    async def test() -> None:
        async with linked([(READ[0], stage)]) as link:
            with pytest.raises(NoAnswerError):
                await link.read(1, 0, 2)

    run(test())


@pytest.mark.parametrize("stage", [Stage.SILENCE, Stage.CLOSE])
def test_write_is_never_tried_again(stage: Stage) -> None:
    async def test() -> None:
        async with linked([READ, (WRITE[0], stage)]) as link:
            await link.read(1, 0, 2)
            with pytest.raises(NoAnswerError):
                await link.write(1, 4, [75])

    run(test())


def test_closed_connection_is_noticed_before_the_deadline() -> None:
    async def test() -> None:
        async with linked([READ, (READ[0], Stage.CLOSE), READ], timing=Timing(request_s=10, exchange_s=10)) as link:
            await link.read(1, 0, 2)
            began = time.monotonic()
            await link.read(1, 0, 2)
            assert time.monotonic() - began < 2

    run(test())


def test_late_answer_is_not_taken_for_the_next() -> None:
    async def test() -> None:
        late = bytes.fromhex("0001 0000 0007 01 03 04 0001 0002")  # transaction 1, when 2 is asked for
        lines: list[Line] = [READ, ("03 0008 0002", late), ("03 0008 0002", "03 04 3fa0 0000")]
        async with linked(lines) as link:
            await link.read(1, 0, 2)
            assert await link.read(1, 8, 2) == (0x3FA0, 0)

    run(test())


def test_after_a_deadline_the_connection_is_reset_with_what_it_carries() -> None:
    async def test() -> None:
        ended: asyncio.Future[BaseException | bytes] = asyncio.get_running_loop().create_future()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readexactly(14)
            try:
                ended.set_result(await reader.read())
            except ConnectionResetError as error:
                ended.set_result(error)
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        async with server, ModbusLink("127.0.0.1", server.sockets[0].getsockname()[1], Hands(), QUICK) as link:
            with pytest.raises(NoAnswerError):
                await link.write(1, 4, [75])
            assert isinstance(await ended, ConnectionResetError)

    run(test())


def test_cancelled_request_ends_its_connection() -> None:
    async def test() -> None:
        async with linked([(READ[0], Stage.SILENCE), READ], timing=Timing(request_s=10, exchange_s=10)) as link:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await link.read(1, 0, 2)
            assert await link.read(1, 0, 2) == (1, 2)

    run(test())


def test_unreachable_device_is_asked_once_a_second_and_comes_back() -> None:
    async def test() -> None:
        clock, port = Hands(), free_port()
        async with ModbusLink("127.0.0.1", port, clock, QUICK) as link:
            with pytest.raises(NoAnswerError, match="not reachable$"):
                await link.read(1, 0, 2)
            async with served({1: FakeDevice(MAP, {"p_setpoint_kw": 1.5})}, port):
                for _ in range(5):
                    with pytest.raises(NoAnswerError, match="not reachable just now"):
                        await link.read(1, 0, 2)
                clock.move(1.0)
                assert await link.read(1, 0, 2) == (0x3FC0, 0)
            with pytest.raises(NoAnswerError):
                await link.read(1, 0, 2)
            clock.move(1.0)
            async with served({1: FakeDevice(MAP, {})}, port):
                assert await link.read(1, 0, 2) == (0, 0)

    run(test())


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".invalid"])
def test_host_without_address(host: str) -> None:
    async def test() -> None:
        async with ModbusLink(host, 502, Hands(), QUICK) as link:
            with pytest.raises(NoAnswerError):
                await link.read(1, 0, 2)

    run(test())


def test_units_share_a_link_and_a_silent_one_holds_up_the_others_for_one_deadline_at_most() -> None:
    async def test() -> None:
        silent = 3

        async def gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while request := await reader.readexactly(12):
                    if request[6] != silent:
                        writer.write(request[:4] + bytes([0, 7, request[6], 3, 4, 0, request[6], 0, 0]))
            except asyncio.IncompleteReadError:
                writer.close()

        async def asked(unit: int) -> tuple[int, float]:
            try:
                first, _ = await link.read(unit, 0, 2)
            except NoAnswerError:
                first = 0
            return first, time.monotonic() - began

        server = await asyncio.start_server(gateway, "127.0.0.1", 0)
        async with server, ModbusLink("127.0.0.1", server.sockets[0].getsockname()[1], Hands(), QUICK) as link:
            began = time.monotonic()
            answers = await asyncio.gather(*(asked(unit) for unit in (1, 2, silent, 4, 5)))
            assert [first for first, _ in answers] == [1, 2, 0, 4, 5]
            assert max(took for first, took in answers if first) < 1.5 * QUICK.request_s + 0.1

    run(test())


def test_only_registers_of_the_whitelist_are_written() -> None:
    async def test() -> None:
        async with ModbusLink("127.0.0.1", 9, Hands()) as link:
            unit = ModbusUnit(link, 1, MAP)
            with pytest.raises(RegisterRangeError, match="n3 p_kw: asked to write"):
                unit.plan({"p_setpoint_kw": 0.0, "p_kw": 1.0}, "n3")

    run(test())


def test_command_is_written_last() -> None:
    async def test() -> None:
        async with ModbusLink("127.0.0.1", 9, Hands()) as link:
            unit = ModbusUnit(link, 1, MAP)
            plan = unit.plan({"p_setpoint_kw": 1.5, "lease_s": 75, "enable": 1}, "n3", last="p_setpoint_kw")
            assert [(block.address, words) for block, words in plan] == [(4, [75]), (6, [1]), (0, [0x3FC0, 0])]

    run(test())


def test_breaker_leaves_a_silent_device_alone() -> None:
    async def test() -> None:
        clock = Hands()
        _, exchanges = parts("n3", clock)
        lines: list[Line] = [(READ[0], Stage.SILENCE), (READ[0], Stage.SILENCE), READ]
        async with linked(lines, clock) as link:
            for second in range(3):
                for attempt in range(4):
                    if second == 2 and attempt == 0:
                        async with exchanges.attempt():
                            await link.read(1, 0, 2)
                        break
                    with pytest.raises(NoAnswerError):
                        async with exchanges.attempt():
                            await link.read(1, 0, 2)
                clock.move(1.0)
        assert exchanges.breaker.state is BreakerState.CLOSED

    run(test())


@settings(max_examples=40, deadline=None)
@given(garbage=st.binary(max_size=300), framed=st.booleans())
def test_garbage_is_an_exchange_error(garbage: bytes, framed: bool) -> None:
    reply = b"\0\1\0\0" + (len(garbage) + 1).to_bytes(2, "big") + b"\1" + garbage if framed else garbage

    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read(12)
            writer.write(reply)
            await reader.read()
        writer.close()

    async def test() -> None:
        async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            async with ModbusLink("127.0.0.1", port, Hands(), Timing(0.02, 1.0)) as link:
                with suppress(ExchangeError):
                    assert len(await link.read(1, 0, 2)) == 2
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.001)

    run(test())


def test_many_failures_leave_no_task_and_no_socket() -> None:
    async def test() -> None:
        clock = Hands()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                await reader.read()
            writer.close()

        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        timing = Timing(request_s=0.01, exchange_s=0.1)
        async with server, ModbusLink("127.0.0.1", server.sockets[0].getsockname()[1], clock, timing) as link:
            for _ in range(50):
                with pytest.raises(NoAnswerError):
                    await link.read(1, 0, 2)
                clock.move(1.0)
            while len(asyncio.all_tasks()) > 1:  # the server's end of a connection lives a little longer
                await asyncio.sleep(0.001)

    run(test())
