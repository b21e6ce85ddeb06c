"""Connections that ask for nothing: reopened without end, they cost no request its answer and few descriptors."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from controller.live import connections
from controller.live.connections import (
    CONNECTIONS_MAX,
    CONNECTIONS_MIN,
    RESERVED,
    accepted_at_a_time,
    connections_within,
)
from controller.live.server import live_server
from controller.live.state import LiveState
from core.config import Config

HALF = b"GET /api/v1/state HTTP/1.1\r\nHost: 127"
STARTS = (b"", HALF, b"POST /")


@pytest.fixture
def state(gridlab9_config: Config) -> LiveState:
    return LiveState(gridlab9_config)


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


@asynccontextmanager
async def flood(port: int, clients: int) -> AsyncIterator[list[int]]:
    """So many clients; each connects, says nothing or half of something, and again as soon as it is closed."""
    opened = [0]

    async def again(start: bytes) -> None:
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            opened[0] += 1
            try:
                writer.write(start)
                with suppress(ConnectionError):
                    await reader.read()
            finally:
                writer.transport.abort()

    tasks = [asyncio.create_task(again(STARTS[k % len(STARTS)])) for k in range(clients)]
    try:
        yield opened
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.05)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def status(port: int, path: str = "/api/v1/state") -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


@pytest.mark.parametrize("clients", [100, 400])
async def test_idle_connections_reopened_without_end_cost_no_request(state: LiveState, clients: int) -> None:
    async with live_server(state) as port, flood(port, clients) as opened:
        await asyncio.sleep(0.3)
        answers = []
        async with asyncio.timeout(30):
            for _ in range(10):
                answers.append(await status(port))
                await asyncio.sleep(0.005)
        assert answers == [200] * 10
        assert opened[0] >= clients


async def test_descriptors_stay_within_the_budget(state: LiveState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("controller.process.descriptors.limit", lambda: RESERVED + 4 * 16)
    before = open_descriptors()
    async with live_server(state) as port, flood(port, 300):
        most = 0
        for _ in range(100):
            await asyncio.sleep(0.01)
            most = max(most, open_descriptors())
        assert await status(port) == 200
    ours, theirs = most - before, 300
    assert ours - theirs <= 16 + 3 * accepted_at_a_time(16) + 3


async def test_an_idle_connection_is_closed(state: LiveState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BEGIN_S", 0.1)
    async with live_server(state) as port, asyncio.timeout(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HALF)
        assert await reader.read() == b""
        writer.close()


async def test_who_does_not_read_its_answer_is_cut_off(state: LiveState, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "STALL_S", 0.2)
    monkeypatch.setattr(state, "now", lambda: "x" * (1 << 25))
    async with live_server(state) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.write(f"GET /api/v1/state HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        await asyncio.sleep(1.0)
        received = 0
        with suppress(ConnectionError):
            while part := await reader.read(1 << 20):
                received += len(part)
        writer.transport.abort()
    assert 0 < received < 1 << 25


@pytest.mark.parametrize(
    ("limit", "most"), [(64, CONNECTIONS_MIN), (1024, CONNECTIONS_MAX), (448, 64), (1 << 20, CONNECTIONS_MAX)]
)
def test_the_budget_follows_the_limit_of_descriptors(limit: int, most: int) -> None:
    assert connections_within(limit) == most
