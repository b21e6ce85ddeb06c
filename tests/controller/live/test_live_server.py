import asyncio
import json
import signal
import socket
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import pytest

from controller.live.server import CLIENTS_MAX, STOP_S, live_server
from controller.live.state import LiveState
from core.config import Config
from core.errors import InputError
from tests.support.cycle_records import cycle, mpc

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def body(self) -> str:
        try:
            return (await self.reader.readexactly(int(self.headers["content-length"]))).decode()
        finally:
            await self.close()

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def event(self) -> tuple[str, dict]:
        """The next event of a chunked stream."""
        event = ""
        while True:
            line = (await self.reader.readline()).decode().strip()
            if line.startswith("event: "):
                event = line.removeprefix("event: ")
            if line.startswith("data: "):
                return event, json.loads(line.removeprefix("data: "))


async def ask(port: int, path: str, host: str | None = None, method: str = "GET") -> Answer:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**22)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: {host or f'127.0.0.1:{port}'}\r\n\r\n".encode())
    status = int((await reader.readline()).split()[1])
    headers = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition(": ")
        headers[name.lower()] = value
    return Answer(status, headers, reader, writer)


@pytest.fixture
def state(gridlab9_config: Config) -> LiveState:
    return LiveState(gridlab9_config)


@pytest.mark.parametrize(
    ("path", "kind", "part"),
    [
        ("/", "text/html", '<script type="module" src="/live.js">'),
        ("/live.css", "text/css", "prefers-color-scheme"),
        ("/live.js", "text/javascript", "EventSource"),
        ("/icon.svg", "image/svg+xml", "<svg"),
        ("/api/v1/site", "application/json", '"slack": "N1"'),
        ("/api/v1/state", "application/json", '"cycle":null'),
    ],
)
async def test_routes(state: LiveState, path: str, kind: str, part: str):
    async with live_server(state) as port:
        answer = await ask(port, path)
        assert answer.status == 200
        assert answer.headers["content-type"].split(";")[0] == kind
        assert answer.headers.items() >= HEADERS.items()
        assert "server" not in answer.headers
        assert part in await answer.body()


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"path": "/", "host": "grid.example"}, 421),
        ({"path": "/api/v1/state", "host": "grid.example:80"}, 421),
        ({"path": "/api/v1/events", "host": "127.0.0.1.example"}, 421),
        ({"path": "/", "host": "localhost"}, 200),
        ({"path": "/", "method": "POST"}, 405),
        ({"path": "/api/v1/state", "method": "PUT"}, 405),
        ({"path": "/api/v1/state", "method": "DELETE"}, 405),
        ({"path": "/", "method": "OPTIONS"}, 405),
        ({"path": "/", "method": "HEAD"}, 405),
        ({"path": "/elsewhere"}, 404),
        ({"path": "/../server.py"}, 404),
    ],
)
async def test_what_is_refused(state: LiveState, request_: dict, status: int):
    async with live_server(state) as port:
        answer = await ask(port, **request_)
        assert answer.status == status
        assert answer.headers.items() >= HEADERS.items()
        await answer.close()


async def test_the_state_is_what_was_published(state: LiveState):
    state.publish(cycle(7))
    state.publish_mpc(mpc(0))
    async with live_server(state) as port:
        shown = json.loads(await (await ask(port, "/api/v1/state")).body())
    assert shown["cycle"]["nodes"] == cycle(7).nodes
    assert shown["cycle"]["prosumers"]["N4"]["p_setpoint_kw"] == cycle(7).prosumers["N4"].p_setpoint_kw
    assert shown["cycle"]["prosumers"]["N3"]["p_measured_kw"] is None
    assert [run["wall_ms"] for run in shown["mpc"]] == [180.5]


async def test_events_arrive_as_they_are_published(state: LiveState):
    async with live_server(state) as port:
        stream = await ask(port, "/api/v1/events")
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers.items() >= HEADERS.items()
        assert await stream.event() == ("beat", {"age_s": None})
        assert (await stream.event())[0] == "now"
        state.publish(cycle(3))
        event, update = await stream.event()
        assert (event, update["cycle"]["slack_p_kw"]) == ("update", 3.5)
        await stream.close()
        async with asyncio.timeout(5):
            while state.clients:
                await asyncio.sleep(0.01)


async def test_a_silent_stream_says_how_old_the_data_are(state: LiveState, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("controller.live.server.BEAT_S", 0.05)
    state.publish(cycle(0))
    async with live_server(state) as port:
        stream = await ask(port, "/api/v1/events")
        ages = [data["age_s"] for event, data in [await stream.event() for _ in range(4)] if event == "beat"]
        assert len(ages) == 3
        assert ages == sorted(ages)
        assert ages[-1] > 0.1
        await stream.close()


async def test_a_client_that_does_not_read_disturbs_neither_others_nor_the_end(state: LiveState):
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with live_server(state) as port:
            deaf.connect(("127.0.0.1", port))
            deaf.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            stream = await ask(port, "/api/v1/events")
            while state.clients < 2:
                await asyncio.sleep(0.01)
            for k in range(2000):
                state.publish(cycle(k))
                await asyncio.sleep(0)
            last = cycle(1999).time.astimezone(ZoneInfo("Europe/Zurich")).isoformat()
            time = ""
            async with asyncio.timeout(20):
                while time != last:
                    _, data = await stream.event()
                    time = data["cycle"]["time"] if data.get("cycle") else time
            await stream.close()
            began_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began_s < STOP_S + 1


async def test_clients_are_limited_and_leave_at_the_end(state: LiveState):
    async with live_server(state) as port:
        streams = [await ask(port, "/api/v1/events") for _ in range(CLIENTS_MAX)]
        for stream in streams:
            await stream.event()
        refused = await ask(port, "/api/v1/events")
        assert refused.status == 503
        assert refused.headers["retry-after"] == "10"
        assert "allowed 16" in await refused.body()
    for stream in streams:
        async with asyncio.timeout(2):
            await stream.reader.read()
        await stream.close()
    assert state.clients == 0


async def test_only_loopback_listens_and_signals_stay_with_the_service(state: LiveState):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with live_server(state) as port:
        await (await ask(port, "/")).body()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", port)


async def test_a_port_that_is_claimed_is_said(state: LiveState):
    async with live_server(state) as port:
        with pytest.raises(InputError, match=rf"--live-port: got {port}; allowed: a free port"):
            async with live_server(state, port):
                pass


async def test_an_error_in_the_block_is_the_callers(state: LiveState):
    with pytest.raises(LookupError):
        async with live_server(state):
            raise LookupError
