"""Traps of the libraries that the drivers are built around; a release that changes one of them shows up here.

A trap that is gone is good news: then the driver can do without its precaution, and the test goes too.
"""

# mypy: disable-error-code="attr-defined"

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from inspect import signature
from math import isnan, nan
from typing import Any

import pytest
from asyncua import Server, ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClientState
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusIOException
from pymodbus.framer import FramerSocket

from tests.support.opcua_server import FakeConverter
from tests.support.scripted import Event, Exchange, scripted

READ = "03 0000 0002"


@asynccontextmanager
async def pymodbus(lines: Sequence[Exchange], **options: Any) -> AsyncIterator[AsyncModbusTcpClient]:
    settings = {"timeout": 0.1, "retries": 0, "reconnect_delay": 0, **options}
    async with scripted(lines) as (port, _), AsyncModbusTcpClient("127.0.0.1", port=port, **settings) as client:
        yield client


@pytest.mark.parametrize(("answer", "words"), [("03 02 0001", [1]), ("04 04 0001 0002", [1, 2])])
async def test_pymodbus_passes_short_answers_and_those_to_another_function(answer: str, words: list[int]) -> None:
    async with pymodbus([(READ, answer)], timeout=2) as client:
        reply = await client.read_holding_registers(0, count=2)
        assert not reply.isError()
        assert reply.registers == words


def test_pymodbus_encodes_nan_without_an_error() -> None:
    words = AsyncModbusTcpClient.convert_to_registers(nan, AsyncModbusTcpClient.DATATYPE.FLOAT32)
    value = AsyncModbusTcpClient.convert_from_registers(words, AsyncModbusTcpClient.DATATYPE.FLOAT32)
    assert isinstance(value, float)
    assert isnan(value)


@pytest.mark.parametrize("event", [Event.SILENCE, Event.CLOSE])
async def test_pymodbus_waits_for_every_retry_even_when_the_connection_is_lost(event: Event) -> None:
    requests = 3 if event is Event.SILENCE else 1
    async with pymodbus(requests * [(READ, event)], retries=2) as client:
        began = time.monotonic()
        with pytest.raises(ModbusIOException):
            await client.read_holding_registers(0, count=2)
        assert time.monotonic() - began >= 0.29


async def test_pymodbus_client_gives_a_silent_device_up_after_eight_calls_of_four_requests() -> None:
    defaults = signature(AsyncModbusTcpClient).parameters
    assert [defaults[x].default for x in ("timeout", "retries", "reconnect_delay_max")] == [3, 3, 300]
    async with pymodbus(32 * [(READ, Event.SILENCE)], timeout=0.005, retries=3) as client:
        for call in range(8):
            assert client.connected, call
            with pytest.raises(ModbusIOException):
                await client.read_holding_registers(0, count=2)
        assert not client.connected


async def test_pymodbus_passes_transaction_0_padding_and_odd_lengths() -> None:
    unasked = bytes.fromhex("0000 0000 0007 01 03 04 0001 0002")
    padded, odd = "03 04 0001 0002 ffff", "03 05 0001 0002 ff"
    async with pymodbus([(READ, unasked), (READ, padded), (READ, odd)], timeout=2) as client:
        for _ in range(3):
            assert (await client.read_holding_registers(0, count=2)).registers == [1, 2]


async def test_pymodbus_counts_transactions_anew_on_every_connection_unless_it_is_said() -> None:
    words = "03 04 0001 0002"
    async with pymodbus([(READ, words)] * 4, timeout=2) as client:
        for told in (None, 700):
            client.close()
            assert await client.connect()
            assert client.ctx.next_tid == 0
            client.ctx.next_tid = told or 0
            for k in (1, 2):
                reply = await client.read_holding_registers(0, count=2)
                assert reply.transaction_id == client.ctx.request_transaction_id == (told or 0) + k
        assert client.ctx.next_tid == 702


async def test_pymodbus_lets_the_event_loop_fail_over_what_it_cannot_decode() -> None:
    """All that a driver can change about it is the framer."""
    seen: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(str(context["message"])))
    async with pymodbus([(READ, "63 04 0001 0002")]) as client:
        assert type(client.ctx.framer) is FramerSocket
        with pytest.raises(ModbusIOException):
            await client.read_holding_registers(0, count=2)
    assert seen == ["Fatal error: protocol.data_received() call failed."]


async def test_a_write_that_timed_out_still_reaches_a_device_that_wakes_up() -> None:
    awake, heard = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def device(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await awake.wait()
        heard.set_result(await reader.readexactly(15))
        writer.close()

    server = await asyncio.start_server(device, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, AsyncModbusTcpClient("127.0.0.1", port=port, timeout=0.05, retries=0) as client:
        with pytest.raises(ModbusIOException):
            await client.write_registers(4, [75])
        awake.set()
        assert (await heard)[7:] == bytes.fromhex("10 0004 0001 02 004b")


async def test_pymodbus_neither_connects_again_after_a_first_failure_nor_awaits_to_say_so() -> None:
    async with scripted([]) as (port, _):
        pass
    client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=0.1, reconnect_delay=0.01)
    assert not await client.connect()
    assert len(asyncio.all_tasks()) == 1, "nobody tries again"
    with pytest.raises(ConnectionException):
        _ = client.read_holding_registers(0, count=2)  # not awaited
    client.close()


async def test_pymodbus_tells_of_a_lost_connection_and_shows_its_transport() -> None:
    seen: list[bool] = []
    lost = asyncio.Event()

    def noticed(connected: bool) -> None:
        seen.append(connected)
        if not connected:
            lost.set()

    async with pymodbus([(READ, Event.CLOSE)], trace_connect=noticed) as client:
        assert isinstance(client.ctx.transport, asyncio.Transport)
        with pytest.raises(ModbusIOException):
            await client.read_holding_registers(0, count=2)
        await lost.wait()
        assert seen == [True, False]
        assert not client.connected


@pytest.fixture(scope="module")
def device() -> Iterator[FakeConverter]:
    with FakeConverter().served() as fake:
        yield fake


def client_of(device: FakeConverter) -> Client:
    return Client(device.url, timeout=2, watchdog_intervall=1e6)


async def node_of(client: Client, name: str) -> "object":
    index = await client.get_namespace_index("urn:gridlab:converter")
    return await client.nodes.objects.get_child([f"{index}:n7", f"{index}:{name}"])


async def test_asyncua_passes_nan_and_old_values_as_good(device: FakeConverter) -> None:
    async with client_of(device) as client:
        node = await node_of(client, "p_kw")
        device.say("p_kw", nan)
        assert isnan(await node.read_value())
        device.say("p_kw", 1.0, age_s=3600)
        assert await node.read_value() == 1.0
        assert (await node.read_data_value()).StatusCode.is_good()


async def test_asyncua_takes_no_int_for_a_double(device: FakeConverter) -> None:
    async with client_of(device) as client:
        node = await node_of(client, "p_setpoint_kw")
        with pytest.raises(ua.uaerrors.BadTypeMismatch):
            await node.write_value(1)


async def test_asyncua_writes_some_values_of_a_request_and_refuses_others(device: FakeConverter) -> None:
    async with client_of(device) as client:
        names = ("p_setpoint_kw", "q_setpoint_kvar")
        nodes = [(await node_of(client, name)).nodeid for name in names]
        kinds = (ua.VariantType.Double, ua.VariantType.Int32)
        data = [ua.DataValue(ua.Variant(kind_of(3), kind)) for kind, kind_of in zip(kinds, (float, int), strict=True)]
        codes = await client.uaclient.write_attributes(nodes, data)
        assert [code.is_good() for code in codes] == [True, False]
        assert device.heard(*names) == [3.0, 0.0]


async def test_asyncua_client_that_does_not_reconnect_stays_dead(device: FakeConverter) -> None:
    async with client_of(device) as client:
        node = await node_of(client, "p_kw")
        with device.away(), pytest.raises(ConnectionError):
            await node.read_value()
        with pytest.raises(ConnectionError):
            await node.read_value()


async def test_asyncua_client_that_reconnects_holds_requests_back_for_a_minute(device: FakeConverter) -> None:
    """The gate before every request; in 2.1.0 most requests meet a closed socket behind it and fail at once."""
    assert signature(Client).parameters["reconnect_request_timeout"].default == 60
    settings: dict[str, Any] = {"auto_reconnect": True, "reconnect_request_timeout": 0.3, "watchdog_intervall": 1e6}
    async with Client(device.url, timeout=2, **settings) as client:
        with device.away():
            while client.uaclient.state is not UaClientState.RECONNECTING:
                await asyncio.sleep(0.01)
            began = time.monotonic()
            with pytest.raises(ConnectionError, match="waiting for client to reconnect"):
                await client.check_connection()
            assert time.monotonic() - began >= 0.29


def test_asyncua_server_listens_everywhere_and_trusts_everybody_unless_said() -> None:
    server = Server()
    assert server.endpoint.hostname == "0.0.0.0"
    assert ua.SecurityPolicyType.NoSecurity in server._security_policy
    assert server.iserver.certificate_validator is None
    users = server.iserver.user_manager
    assert users
    assert users.get_user(server.iserver, "anybody", "any password")


def test_clamping_nan_gives_a_limit() -> None:
    assert max(-15.0, min(15.0, nan)) == 15.0
