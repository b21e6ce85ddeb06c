"""What every test of a driver needs: a clock in its hand, and an event loop that is left clean."""

import asyncio
import gc
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from drivers.exchange import Exchanges, Timing
from drivers.readings import Gauge

REGISTERS = Path(__file__).parents[2] / "configs" / "registers"
QUICK = Timing(request_s=0.3, exchange_s=2.0, pause_s=1.0)
"""Deadlines that a test can wait for; the pause is in the time of :class:`Hands`."""
T = TypeVar("T")


class Hands:
    """A :class:`core.time.Clock` that stands until somebody moves its hands."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0

    def now(self) -> datetime:
        return datetime(2018, 6, 21, 10, tzinfo=UTC) + timedelta(seconds=self.elapsed_s)

    def monotonic_s(self) -> float:
        return self.elapsed_s

    def move(self, by_s: float) -> None:
        self.elapsed_s += by_s


def parts(name: str, clock: Hands, timing: Timing = QUICK, s_max_kva: float = 15.0) -> tuple[Gauge, Exchanges]:
    """What the factory gives to a device of 400 V and 15 kVA."""
    return Gauge(name, 400.0, clock, s_max_kva), Exchanges(name, clock, timing)


def run(test: Coroutine[Any, Any, T]) -> T:
    """Run a test; a task or a socket that it leaves behind is a failure."""

    async def watched() -> T:
        async with asyncio.timeout(20):
            result = await test
        for _ in range(10):
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, left
        return result

    result = asyncio.run(watched())
    gc.collect(1)
    return result
