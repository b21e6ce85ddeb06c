"""The Modbus connection under all that can happen to it: deadlines, retries, the breaker, nothing left behind."""

import asyncio
import socket
import time
from contextlib import suppress

import pytest

from drivers.exchange import BreakerState, NoAnswerError, Timing
from drivers.modbus import ModbusLink, ModbusUnit
from drivers.registers import RegisterRangeError, load_registers
from tests.drivers.devices import FakeDevice, served
from tests.support.drivers import QUICK, ManualClock, parts
from tests.support.paths import REGISTERS
from tests.support.scripted import READ, WRITE, Event, Exchange, linked

MAP = load_registers(REGISTERS / "converter_generic.yaml")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_words_and_acknowledgements() -> None:
    async with linked([READ, WRITE, READ]) as link:
        assert await link.read(1, 0, 2) == (1, 2)
        await link.write(1, 4, [75])
        assert await link.read(1, 0, 2) == (1, 2)


async def test_reading_is_tried_again_once_where_the_connection_had_served_and_was_lost() -> None:
    lost = (READ[0], Event.CLOSE)
    lines: list[Exchange] = [READ, lost, READ, lost, lost]
    async with linked(lines) as link:
        assert await link.read(1, 0, 2) == (1, 2)
        assert await link.read(1, 0, 2) == (1, 2), "second attempt"
        with pytest.raises(NoAnswerError):
            await link.read(1, 0, 2)


async def test_reading_that_nobody_answers_is_not_tried_again() -> None:
    async with linked([READ, (READ[0], Event.SILENCE), READ]) as link:
        await link.read(1, 0, 2)
        with pytest.raises(NoAnswerError):
            await link.read(1, 0, 2)
        assert await link.read(1, 0, 2) == (1, 2)


@pytest.mark.parametrize("event", [Event.SILENCE, Event.CLOSE])
async def test_new_connection_that_fails_is_not_tried_again(event: Event) -> None:
    async with linked([(READ[0], event)]) as link:
        with pytest.raises(NoAnswerError):
            await link.read(1, 0, 2)


@pytest.mark.parametrize("event", [Event.SILENCE, Event.CLOSE])
async def test_write_is_never_tried_again(event: Event) -> None:
    async with linked([READ, (WRITE[0], event)]) as link:
        await link.read(1, 0, 2)
        with pytest.raises(NoAnswerError):
            await link.write(1, 4, [75])


async def test_closed_connection_is_noticed_before_the_deadline() -> None:
    async with linked([READ, (READ[0], Event.CLOSE), READ], timing=Timing(request_s=10, exchange_s=10)) as link:
        await link.read(1, 0, 2)
        began = time.monotonic()
        await link.read(1, 0, 2)
        assert time.monotonic() - began < 2


async def test_after_a_deadline_the_connection_is_reset_with_what_it_carries() -> None:
    ended: asyncio.Future[BaseException | bytes] = asyncio.get_running_loop().create_future()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(14)
        try:
            ended.set_result(await reader.read())
        except ConnectionResetError as error:
            ended.set_result(error)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server, ModbusLink("127.0.0.1", server.sockets[0].getsockname()[1], ManualClock(), QUICK) as link:
        with pytest.raises(NoAnswerError):
            await link.write(1, 4, [75])
        assert isinstance(await ended, ConnectionResetError)


async def test_cancelled_request_ends_its_connection() -> None:
    async with linked([(READ[0], Event.SILENCE), READ], timing=Timing(request_s=10, exchange_s=10)) as link:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await link.read(1, 0, 2)
        assert await link.read(1, 0, 2) == (1, 2)


async def test_unreachable_device_is_asked_once_a_second_and_comes_back() -> None:
    clock, port = ManualClock(), free_port()
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


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 70 + ".invalid"])
async def test_host_without_address(host: str) -> None:
    async with ModbusLink(host, 502, ManualClock(), QUICK) as link:
        with pytest.raises(NoAnswerError):
            await link.read(1, 0, 2)


@pytest.mark.parametrize("writes", [False, True])
async def test_units_share_a_link_and_a_silent_one_holds_up_the_others_for_a_second_at_most(writes: bool) -> None:
    """Reading costs one deadline; a write that nobody answers is read back, and that costs a short one on top."""
    silent = 3

    async def gateway(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readexactly(6):
                unit, function, *rest = await reader.readexactly(int.from_bytes(request[4:6], "big"))
                said = (
                    bytes([unit, function, 4, 0, unit, 0, 0]) if function == 3 else bytes([unit, function, *rest[:4]])
                )
                if unit != silent:
                    writer.write(request[:4] + len(said).to_bytes(2, "big") + said)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def asked(link: ModbusLink, unit: int) -> tuple[int, float]:
        began, first = time.monotonic(), 0
        with suppress(NoAnswerError):
            if writes:
                with suppress(NoAnswerError):
                    await link.write(unit, 4, [75])
            first, _ = await link.read(unit, 0, 2)
        return first, time.monotonic() - began

    server = await asyncio.start_server(gateway, "127.0.0.1", 0)
    async with server, ModbusLink("127.0.0.1", server.sockets[0].getsockname()[1], ManualClock()) as link:
        answers = await asyncio.gather(*(asked(link, unit) for unit in (1, 2, silent, 4, 5)))
        assert [first for first, _ in answers] == [1, 2, 0, 4, 5]
        assert max(took for _, took in answers) < 1.0


async def test_only_registers_of_the_whitelist_are_written() -> None:
    async with ModbusLink("127.0.0.1", 9, ManualClock()) as link:
        unit = ModbusUnit(link, 1, MAP)
        with pytest.raises(RegisterRangeError, match="n3 p_kw: asked to write"):
            unit.plan({"p_setpoint_kw": 0.0, "p_kw": 1.0}, "n3")


async def test_command_is_written_last() -> None:
    async with ModbusLink("127.0.0.1", 9, ManualClock()) as link:
        unit = ModbusUnit(link, 1, MAP)
        plan = unit.plan({"p_setpoint_kw": 1.5, "lease_s": 75, "enable": 1}, "n3", last="p_setpoint_kw")
        assert [(block.address, words) for block, words in plan] == [(4, [75]), (6, [1]), (0, [0x3FC0, 0])]


async def test_breaker_leaves_a_silent_device_alone() -> None:
    clock = ManualClock()
    _, exchanges = parts("n3", clock)
    lines: list[Exchange] = [(READ[0], Event.SILENCE), (READ[0], Event.SILENCE), READ]
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


async def test_many_failures_leave_no_task_and_no_socket() -> None:
    clock = ManualClock()

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
