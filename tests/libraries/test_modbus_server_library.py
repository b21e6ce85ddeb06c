"""Traps of pymodbus's server that sim_plant/modbus_server.py is built around; a change of one shows up here."""

import asyncio
from asyncio import Server
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from inspect import signature
from typing import Any

import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


@asynccontextmanager
async def pymodbus_server(blocks: list[SimData], action: Any = None) -> AsyncIterator[int]:
    server = ModbusTcpServer([SimDevice(1, blocks, action=action)], address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    assert isinstance(server.transport, Server)
    try:
        yield int(server.transport.sockets[0].getsockname()[1])
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


async def test_pymodbus_server_that_awaits_gives_the_answer_to_another_question() -> None:
    async def slow(*_: object) -> None:
        await asyncio.sleep(0.1)

    blocks = [SimData(0, values=[100, 200], datatype=DataType.REGISTERS)]
    async with (
        pymodbus_server(blocks, slow) as port,
        AsyncModbusTcpClient("127.0.0.1", port=port, timeout=0.06, retries=0) as client,
    ):
        with pytest.raises(ModbusIOException):
            await client.read_holding_registers(0, count=1)
        assert (await client.read_holding_registers(1, count=1)).registers == [100], "what register 0 holds"
        await asyncio.sleep(0.1)


async def test_pymodbus_server_drops_all_but_the_last_of_pipelined_requests() -> None:
    blocks = [SimData(0, values=[100, 200], datatype=DataType.REGISTERS)]
    async with pymodbus_server(blocks) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"".join(bytes.fromhex(f"000{k} 0000 0006 01 03 000{k - 1} 0001") for k in (1, 2)))
        answers = [await reader.readexactly(11)]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                answers.append(await reader.readexactly(11))
        assert len(answers) == 1
        writer.close()
        await writer.wait_closed()


async def test_pymodbus_server_shifts_registers_that_overlap_behind_a_gap() -> None:
    blocks = [
        SimData(0, values=[1], datatype=DataType.REGISTERS),
        SimData(10, count=5, values=2, datatype=DataType.REGISTERS),
        SimData(12, values=[3], datatype=DataType.REGISTERS),
    ]
    async with (
        pymodbus_server(blocks) as port,
        AsyncModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0) as client,
    ):
        assert (await client.read_holding_registers(10, count=6)).registers == [2, 2, 2, 2, 2, 3]


def test_pymodbus_server_listens_everywhere_unless_said() -> None:
    assert signature(ModbusTcpServer).parameters["address"].default == ("", 502)
