"""``python -m controller.api.follow``: the controller of a simulated run, controlled by a clock master over stdin.

| request | answer |
|---|---|
| ``{"open": {…}}``, see :class:`ControllerOpening` | ``{"day_ahead", "live_port"}``: result of the day-ahead plan |
| ``{"cycle": t}`` | ``{"v_min_pu", "v_max_pu", "cost", "mpc", "mode"}`` at ``t`` seconds since the start |
| ``{"poll": t}`` | ``{}``: all devices were read, as between the cycles of real time |
| ``{"mode": mode, "who": name}`` · ``{"emergency_stop": who}`` | ``{"outcomes"}`` of the releases |
| ``{"jump": s}`` | ``{}``: the wall clock is shifted by ``s``; monotonic time is not |
| ``{"ask": "tomorrow"}`` | ``{}``: tomorrow's plan is made, as `serve` does in the evening |
| ``{"ask": "tasks"}`` | ``{"tasks"}``: number of asyncio tasks of this process |
| ``{"stop": t}`` | ``{"safe", "books", "cycle_ms", "check"}``; then it ends |

With ``"plan": false`` a cycle starts no MPC run, with ``"wait": false`` it does not wait for one in progress. As in
`serve`, a run that is resumed in ACTIVE has a cycle at its opening, and cycles in place of polls until the first
``cycle``. A request that fails is answered by ``{"error": text}``, and the process ends. When stdin ends it releases
every converter and ends as well. A virtual MPC run takes effect one cycle after its start, however long it took, so
that a run is repeatable.
"""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.api.app import Api
from controller.api.serving import api_server
from controller.api.tokens import Tokens
from controller.guardian.answering import service_stops
from controller.live.server import live_server
from controller.live.state import LiveState
from controller.process.clocks import SteppedClock, WallClock
from controller.process.failures import RecordError
from controller.process.follower import at_addresses, follow, log_to_stderr
from controller.process.lock import SERVICE_LOCK, exclusive_lock
from controller.process.modes import Mode
from controller.record.records import CycleRecord
from controller.runs.directory import write_table
from controller.runs.summaries import day_summary, write_plan, write_rounds
from controller.runs.tables import nodes_frame
from controller.service.planning import Replanned
from controller.service.service import Service
from controller.service.setup import Setup
from controller.service.state_files import StateFiles
from core.codec import encode
from core.config import InfluxConfig
from core.devices import Outcome
from core.errors import GridlabError
from core.load import load_config
from realtime.timing import READ_S, SOON


@dataclass(frozen=True)
class ControllerOpening:
    """The first request of the clock master.

    Attributes:
        start: start of virtual time, ISO 8601 with zone.
        margin: replaces that of the configuration; None keeps it.
        addresses: where each device listens, {host, port, unit} or {url} by name.
        live_port: port of a live page; 0 selects a free one, None serves none.
        api: whether the page's server also offers the API, as that of `serve`.
        at_s: virtual time at which an earlier controller of this folder has died; it is ACTIVE again if the journal
            allows.
        patience_s: how long a reading is waited for; by default long enough for every device.
        steadfast: a failed cycle is answered by ``{"failed": text}``, and the next one is tried, as in `serve`.
        influx, coordination: replace those of the configuration.
        planner: socket of a planner service.
        guardian_s: age of the guardian's last sign of life up to which it counts as living; by default one and a half
            cycles, since it looks after every cycle.
    """

    config: str
    folder: str
    start: str
    coordinate: bool
    margin: str | float | None
    addresses: Mapping[str, Mapping[str, Any]]
    live_port: int | None = None
    api: bool = False
    at_s: float | None = None
    patience_s: float = READ_S
    steadfast: bool = False
    influx: Mapping[str, str] | None = None
    coordination: Mapping[str, Any] | None = None
    planner: str | None = None
    guardian_s: float | None = None

    def setup(self) -> Setup:
        """The service's setup."""
        path, folder = Path(self.config), Path(self.folder)
        config = at_addresses(load_config(path), self.addresses)
        if self.margin is not None:
            limits = config.limits.model_copy(update={"margin": self.margin})
            config = config.model_copy(update={"limits": limits})
        if self.influx is not None:
            telemetry = config.telemetry.model_copy(update={"influx": InfluxConfig.model_validate(self.influx)})
            config = config.model_copy(update={"telemetry": telemetry})
        if self.coordination is not None:
            settings = config.coordination.model_copy(update=dict(self.coordination))
            config = config.model_copy(update={"coordination": settings})
        return Setup(
            config,
            path,
            folder,
            folder,
            tables=True,
            coordinate=self.coordinate,
            patience_s=self.patience_s,
            planner=Path(self.planner) if self.planner else None,
            guardian_s=1.5 * config.schedule.realtime_s if self.guardian_s is None else self.guardian_s,
        )


class ControllerSession:
    """One run from its opening to its stop; ``stack`` owns the service."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack, self._stopwatch = stack, WallClock()
        self._clock: SteppedClock
        self._service: Service
        self._pending: asyncio.Task[Replanned] | None = None
        self._cycle_ms: list[float] = []
        self._opened = self._steadfast = self._resumes = False
        self._slack = ""

    async def answer(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Execute one request; what it has recorded is on the disk when it is answered.

        Raises:
            GridlabError, OSError, ValueError: it failed.
        """
        answer = await self._execute(request)
        if self._opened:
            await self._service.settled()
        return answer

    async def _execute(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        match request:
            case {"open": dict(opening)}:
                return await self._open(ControllerOpening(**opening))
            case {"cycle": int() | float() as t_s}:
                self._resumes = False
                return await self._cycle(t_s, plan=request.get("plan", True), wait=request.get("wait", True))
            case {"poll": int() | float() as t_s} if self._resumes:
                return await self._cycle(t_s, plan=False, wait=False)
            case {"poll": int() | float() as t_s}:
                self._clock.advance_to(t_s)
                await self._service.poll()
                return {}
            case {"mode": str(mode), "who": str(who)}:
                return {"outcomes": await self._service.set_mode(Mode(mode), who=who)}
            case {"emergency_stop": str(who)}:
                return {"outcomes": await self._service.emergency_stop(who)}
            case {"jump": int() | float() as seconds}:
                self._clock.jump(seconds)
                return {}
            case {"ask": "tasks" | "tomorrow" as what}:
                return await self._asked(what)
            case {"stop": int() | float() as t_s}:
                return await self._stop(t_s)
        allowed = "open, cycle, poll, mode, emergency_stop, jump, ask, stop"
        raise GridlabError(f"controller: asked {request}, allowed {allowed}")

    async def _asked(self, what: str) -> Mapping[str, Any]:
        if what == "tasks":
            return {"tasks": len(asyncio.all_tasks())}
        await self._service.tomorrow()
        return {}

    async def release(self) -> Mapping[str, Outcome]:
        """Release every converter, once: virtual time stands still, so there is nothing to wait for."""
        return await self._service.close(within_s=0.0) if self._opened else {}

    async def _open(self, opening: ControllerOpening) -> Mapping[str, Any]:
        setup, self._steadfast = opening.setup(), opening.steadfast
        self._slack = setup.config.grid.slack
        lock = self._stack.enter_context(exclusive_lock(setup.state, SERVICE_LOCK, "service"))
        setup = replace(setup, files=StateFiles(setup.state, lock))
        self._clock = SteppedClock(datetime.fromisoformat(opening.start))
        self._clock.advance_to(opening.at_s or 0.0)
        api = Api(Tokens.of(setup.state), self._clock) if opening.api else None
        port = None
        if opening.live_port is not None:
            setup = replace(setup, live=(live := LiveState(setup.config)))
            at = opening.live_port
            server = api_server(api, live, at, setup.state) if api else live_server(live, at)
            port = await self._stack.enter_async_context(server)
        self._stack.enter_context(service_stops(setup.state, setup.stops, self._clock))
        self._service = await self._stack.enter_async_context(Service(setup, self._clock, self._stopwatch))
        self._opened = True
        day_ahead = self._service.planning.day_ahead
        if opening.at_s is None:
            assert day_ahead is not None, "nothing is resumed in a new folder"
            write_plan(setup.folder, day_ahead)
            if opening.coordinate:
                write_rounds(setup.folder, day_ahead)
            write_table(setup.folder / "plan_nodes.csv", nodes_frame(day_ahead))
        if opening.at_s is None:
            await self._service.set_mode(Mode.ACTIVE)
        else:
            await self._service.begin()
        if api:
            await self._stack.enter_async_context(api.operating(self._service))
        if opening.at_s is not None and self._service.mode is Mode.ACTIVE:
            await self._resume(opening.at_s, setup.config.schedule.realtime_s)
        return {"day_ahead": day_summary(day_ahead) if day_ahead else None, "live_port": port}

    async def _resume(self, at_s: float, period_s: float) -> None:
        self._resumes = period_s - at_s % period_s > SOON * period_s
        if self._resumes:
            await self._cycle(at_s, plan=False, wait=False)

    async def _cycle(self, t_s: float, *, plan: bool, wait: bool) -> Mapping[str, Any]:
        self._clock.advance_to(t_s)
        mpc = await self._adopt(wait=wait)
        start_s = self._stopwatch.monotonic_s()
        try:
            record = await self._service.cycle()
        except RecordError as error:
            if not self._steadfast:
                raise
            return {"mode": self._service.mode, "failed": str(error)}
        self._cycle_ms.append(1e3 * (self._stopwatch.monotonic_s() - start_s))
        if record is None:
            return {"mode": self._service.mode}
        if plan and self._pending is None and t_s % 60 == 0 and self._service.planning.due(record.time):
            self._pending = asyncio.create_task(self._service.replan())
        return {**_progress(record, self._slack), "mpc": mpc, "mode": self._service.mode}

    async def _adopt(self, *, wait: bool = True) -> str | None:
        if self._pending is None or not (wait or self._pending.done()):
            return None
        done, self._pending = await self._pending, None
        return self._service.adopt(done).status

    async def _stop(self, t_s: float) -> Mapping[str, Any]:
        self._clock.advance_to(t_s)
        await self._adopt()
        check = self._service.check
        accounts = {name: encode(battery) for name, battery in self._service.batteries.items()}
        outcomes = await self.release()
        await self._service.sent()
        return {
            "safe": {name: outcome is Outcome.VERIFIED for name, outcome in outcomes.items()},
            "books": accounts,
            "cycle_ms": self._cycle_ms,
            "check": encode(check) if check else None,
        }


def _progress(record: CycleRecord, slack: str) -> Mapping[str, Any]:
    """The values that a progress display shows: extremes of the voltages with limits, and the cost since the start."""
    voltages = [v_pu for node, v_pu in record.nodes.items() if v_pu is not None and node != slack]
    cost = sum(prosumer.cost_chf or 0.0 for prosumer in record.prosumers.values())
    return {"v_min_pu": min(voltages, default=None), "v_max_pu": max(voltages, default=None), "cost": cost}


async def _control() -> None:
    async with AsyncExitStack() as stack:
        session = ControllerSession(stack)
        await follow(session)
        await session.release()


def main() -> None:
    """Run until stdin ends."""
    log_to_stderr()
    asyncio.run(_control())


if __name__ == "__main__":
    main()
