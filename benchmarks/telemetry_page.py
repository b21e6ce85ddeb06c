"""How long the live page waits for its server, with two hours of history."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.cases import ROOT
from benchmarks.tables import ResultTable, three_digits
from controller.live.history import HISTORY_S
from controller.live.server import live_server
from controller.live.state import MPC_KEPT, LiveState
from core.load import load_config
from tests.support.cycle_records import cycle, mpc

REPEATS = 200
ENOUGH_BYTES = 1 << 22


@dataclass(frozen=True)
class PageTimes:
    """Wall time from connecting to the last byte awaited, and ``size`` of the answer in bytes."""

    p50_ms: float
    p95_ms: float
    max_ms: float
    size: int

    @classmethod
    def of(cls, waited_ms: Sequence[float], size: int) -> "PageTimes":
        """Percentiles of ``waited_ms``."""
        p50_ms, p95_ms, max_ms = np.percentile(waited_ms, (50, 95, 100))
        return cls(float(p50_ms), float(p95_ms), float(max_ms), size)


Answers = Mapping[str, PageTimes]
"""Times by path."""


def measure() -> Answers:
    """Measure the requests that a page makes when it opens, alternately."""
    return asyncio.run(_measure())


async def _measure() -> Answers:
    state = LiveState(load_config(ROOT / "configs" / "gridlab9.yaml"))
    for k in range(round(HISTORY_S / state.site.cycle_s)):
        state.publish(cycle(k))
    for k in range(MPC_KEPT):
        state.publish_mpc(mpc(k))
    waits: dict[str, Callable[[asyncio.StreamReader], Awaitable[int]]] = {
        "/api/v1/site": _body,
        "/api/v1/state": _body,
        "/api/v1/events": _first_event,
    }
    waited_ms: dict[str, list[float]] = {path: [] for path in waits}
    sizes = dict[str, int]()
    async with live_server(state) as port:
        for _ in range(REPEATS):
            for path, wait in waits.items():
                began_s = time.perf_counter()
                sizes[path] = await _ask(port, path, wait)
                waited_ms[path].append(1e3 * (time.perf_counter() - began_s))
    return {path: PageTimes.of(ms, sizes[path]) for path, ms in waited_ms.items()}


async def _ask(port: int, path: str, wait: Callable[[asyncio.StreamReader], Awaitable[int]]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=ENOUGH_BYTES)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        status = await reader.readline()
        if b" 200 " not in status:
            raise ConnectionError(f"{path}: {status.decode().strip()}, allowed 200")
        return await wait(reader)
    finally:
        writer.close()
        await writer.wait_closed()


async def _body(reader: asyncio.StreamReader) -> int:
    return len((await reader.read(-1)).partition(b"\r\n\r\n")[2])


async def _first_event(reader: asyncio.StreamReader) -> int:
    """Size of the first event with data of the grid, bytes."""
    await reader.readuntil(b"event: now\n")
    return len(await reader.readuntil(b"\n\n"))


def table(answers: Answers) -> ResultTable:
    """One row per path."""
    table = ResultTable(
        f"Live page of the nine-node grid with two hours of history, {REPEATS} times each, ms",
        ["GET", "p50", "p95", "max", "kB"],
    )
    for path, answer in answers.items():
        label = f"{path}, first `now`" if path.endswith("events") else path
        times = map(three_digits, (answer.p50_ms, answer.p95_ms, answer.max_ms))
        table.add(label, *times, f"{answer.size / 1e3:.1f}")
    return table
