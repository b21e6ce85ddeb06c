"""``python -m controller.service.follow``: the controller of a simulated run, led by a clock master over stdin.

| request | answer |
|---|---|
| ``{"open": {…}}``, see :class:`Opening` | ``{"day_ahead", "live_port"}``: how the plan of the day turned out |
| ``{"cycle": t}`` | ``{"v_min_pu", "v_max_pu", "cost_per_h", "mpc"}`` of the cycle at ``t`` seconds since the start |
| ``{"stop": t}`` | ``{"safe", "books", "cycle_ms", "check"}``; then it ends |

What cannot be done is answered by ``{"error": text}``, and it ends. When stdin ends it releases every converter and
ends as well. A virtual MPC run takes effect one cycle after it began, however long it took: so a run is repeatable.
"""

import asyncio
import json
import logging
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.clock import WallClock
from controller.live.server import live_server
from controller.live.state import LiveState
from controller.record.codec import encode
from controller.record.records import CycleRecord
from controller.service.clocks import SteppedClock
from controller.service.desk import Replanned
from controller.service.modes import Mode
from controller.service.service import Service
from controller.service.setup import Setup
from controller.summaries import summarised, write_plan
from core.config import Config
from core.devices import Outcome
from core.errors import GridlabError
from core.load import load_config
from realtime.timing import READ_S


@dataclass(frozen=True)
class Opening:
    """What a clock master says first.

    ``addresses``: where each device listens, {host, port, unit} or {url} by name. ``margin``: in place of that of the
    configuration, unless None. ``live_port``: of a live page; 0 is a free one, None none at all.
    """

    config: str
    folder: str
    start: str
    coordinate: bool
    margin: str | float | None
    addresses: Mapping[str, Mapping[str, Any]]
    live_port: int | None = None

    def setup(self) -> Setup:
        """What the service is made of."""
        path, folder = Path(self.config), Path(self.folder)
        config = at_addresses(load_config(path), self.addresses)
        if self.margin is not None:
            limits = config.limits.model_copy(update={"margin": self.margin})
            config = config.model_copy(update={"limits": limits})
        return Setup(config, path, folder, folder, tables=True, coordinate=self.coordinate, patience_s=READ_S)


class Session:
    """One run from its opening to its stop; ``stack`` holds the service."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack, self._stopwatch = stack, WallClock()
        self._clock: SteppedClock
        self._service: Service
        self._pending: asyncio.Task[Replanned] | None = None
        self._cycle_ms: list[float] = []
        self._opened = False

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do what the clock master asks.

        Raises:
            GridlabError, OSError, ValueError: it cannot be done.
        """
        match request:
            case {"open": dict(opening)}:
                return await self._open(Opening(**opening))
            case {"cycle": int() | float() as t_s}:
                return await self._cycle(t_s)
            case {"stop": int() | float() as t_s}:
                return await self._stop(t_s)
        raise GridlabError(f"controller: asked {request}, allowed open, cycle, stop")

    async def release(self) -> Mapping[str, Outcome]:
        """Release every converter, once: while time stands there is nothing to wait for."""
        return await self._service.close(within_s=0.0) if self._opened else {}

    async def _open(self, opening: Opening) -> Mapping[str, Any]:
        setup = opening.setup()
        self._clock = SteppedClock(datetime.fromisoformat(opening.start))
        port = None
        if opening.live_port is not None:
            setup = replace(setup, live=(live := LiveState(setup.config)))
            port = await self._stack.enter_async_context(live_server(live, opening.live_port))
        self._service = await self._stack.enter_async_context(Service(setup, self._clock, self._stopwatch))
        self._opened = True
        day_ahead = self._service.desk.day_ahead
        assert day_ahead is not None, "nothing is resumed in a new folder"
        write_plan(setup.folder, day_ahead)
        await self._service.set_mode(Mode.ACTIVE)
        return {"day_ahead": summarised(day_ahead), "live_port": port}

    async def _cycle(self, t_s: float) -> Mapping[str, Any]:
        self._clock.advance_to(t_s)
        mpc = await self._adopt()
        began_s = self._stopwatch.monotonic_s()
        record = await self._service.cycle()
        self._cycle_ms.append(1e3 * (self._stopwatch.monotonic_s() - began_s))
        assert record is not None, "the mode is ACTIVE"
        if t_s % 60 == 0 and self._service.desk.due(record.time):
            self._pending = asyncio.create_task(self._service.replan())
        return {**_outline(record), "mpc": mpc}

    async def _adopt(self) -> str | None:
        if self._pending is None:
            return None
        done, self._pending = await self._pending, None
        return self._service.adopt(done).status

    async def _stop(self, t_s: float) -> Mapping[str, Any]:
        self._clock.advance_to(t_s)
        await self._adopt()
        check = self._service.check
        books = {name: encode(state.battery) for name, state in self._service.states.items()}
        outcomes = await self.release()
        return {
            "safe": {name: outcome is Outcome.VERIFIED for name, outcome in outcomes.items()},
            "books": books,
            "cycle_ms": self._cycle_ms,
            "check": encode(check) if check else None,
        }


def at_addresses(config: Config, addresses: Mapping[str, Mapping[str, Any]]) -> Config:
    """The configuration with its devices where they really listen."""
    devices = tuple(device.model_copy(update=dict(addresses.get(device.name, {}))) for device in config.devices)
    return config.model_copy(update={"devices": devices})


def _outline(record: CycleRecord) -> Mapping[str, Any]:
    """What a progress bar shows."""
    voltages = [v_pu for v_pu in record.nodes.values() if v_pu is not None]
    rates = [
        p.p_measured_kw * p.tariff_chf_per_kwh
        for p in record.prosumers.values()
        if p.p_measured_kw is not None and p.tariff_chf_per_kwh is not None
    ]
    return {"v_min_pu": min(voltages, default=None), "v_max_pu": max(voltages, default=None), "cost_per_h": sum(rates)}


async def _follow() -> None:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with AsyncExitStack() as stack:
        session = Session(stack)
        while line := await reader.readline():
            try:
                answer = await session.answer(json.loads(line))
            except (GridlabError, OSError, ValueError) as error:
                answer = {"error": str(error)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
            if "error" in answer:
                break
        await session.release()


def main() -> None:
    """Follow until stdin ends; the log goes to stderr."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    asyncio.run(_follow())


if __name__ == "__main__":
    main()
