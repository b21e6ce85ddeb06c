"""The port of page and API: claimed by another program, free again, or none at all."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.api import serving
from controller.api.address import ADDRESS
from controller.api.app import Api
from controller.api.serving import NOTICE, ApiDoor
from controller.api.tokens import Tokens
from controller.live.state import LiveState
from controller.process.clocks import WallClock
from controller.service.alarms import Finding
from core.config import Config


@pytest.fixture
def claimed() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other


def door(config: Config, asked: int, state: Path) -> ApiDoor:
    return ApiDoor(Api(Tokens.of(state), WallClock()), LiveState(config), asked, state)


def address(state: Path) -> int:
    return int(json.loads((state / ADDRESS).read_text())["port"])


async def page(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /api/v1/site HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    answer = await reader.readline()
    writer.transport.abort()
    return answer


async def test_a_port_in_use_is_replaced_alarmed_and_tried_again(
    gridlab9_config: Config, tmp_path: Path, claimed: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "RETRY_S", 0.05)
    asked, notices = claimed.getsockname()[1], dict[str, Finding]()
    async with door(gridlab9_config, asked, tmp_path).opened() as opened, asyncio.timeout(20):
        opened.report_to(notices)
        assert opened.port not in (None, asked)
        assert address(tmp_path) == opened.port
        other = opened.port
        assert f"port {asked} is used by another program; page and API are at port {other}" in notices[NOTICE].text
        notices.clear()  # as ACTIVE does
        while NOTICE not in notices:
            await asyncio.sleep(0.01)
        claimed.close()
        while NOTICE in notices:
            await asyncio.sleep(0.01)
        assert (opened.port, address(tmp_path)) == (asked, asked)
        for port in (asked, other):
            assert await page(port) == b"HTTP/1.1 200 OK\r\n"
    assert not (tmp_path / ADDRESS).exists()


async def test_a_free_port_is_the_asked_one(gridlab9_config: Config, tmp_path: Path, claimed: socket.socket) -> None:
    asked, notices = claimed.getsockname()[1], dict[str, Finding]()
    claimed.close()
    async with door(gridlab9_config, asked, tmp_path).opened() as opened:
        opened.report_to(notices)
        assert (opened.port, address(tmp_path), notices) == (asked, asked, {})


async def test_without_any_port_the_service_runs_all_the_same(
    gridlab9_config: Config, tmp_path: Path, claimed: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, free = socket.socket.bind, [False]

    def bind(self: socket.socket, address: tuple[str, int]) -> None:
        if not free[0]:
            raise OSError(24, "Too many open files")
        real(self, address)

    monkeypatch.setattr(serving, "RETRY_S", 0.05)
    monkeypatch.setattr("controller.live.server._Listener.bind", bind, raising=False)
    async with door(gridlab9_config, claimed.getsockname()[1], tmp_path).opened() as opened, asyncio.timeout(20):
        assert opened.port is None
        free[0] = True
        while opened.port is None:
            await asyncio.sleep(0.01)
        assert address(tmp_path) == opened.port
