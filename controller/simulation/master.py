"""The clock master of a simulated run: plant, controller and guardian are processes that follow it in lock step.

Per cycle (30 s of virtual time) the plant advances, then the controller runs its cycle over the sockets. The result
does not depend on how long either takes, so one seed gives one run.
"""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import current_thread, main_thread
from typing import Any

from controller.process.talk import LineClient, connection, running_module
from controller.simulation.faults import FaultEvent, fault_requests
from core.config import Config
from core.errors import Caution
from core.time import Clock

CONTROLLER, GUARDIAN, PLANT = "controller.api.follow", "controller.guardian.follow", "sim_plant"
Addresses = Mapping[str, Any]
"""Where each device listens, {host, port, unit} or {url} by name."""


@dataclass(frozen=True)
class SimulationJob:
    """A run to simulate.

    Attributes:
        path: the file that ``config`` was read from.
        start, end: aware, within the day of the horizon.
        coordinate: False for the uncoordinated baseline.
        margin: replaces that of the configuration; None keeps it.
        pace: simulated seconds per second of wall time; None: as fast as possible.
        server_key: private key of the plant's servers if the configuration asks for security or TLS.
        live_port: port of a live page on this machine; 0 selects a free one, None serves none.
        plant_path: configuration of the plant if it is not the controller's, such as one with other impedances.
        cautions: what the user should know about the series.
    """

    config: Config
    path: Path
    start: datetime
    end: datetime
    seed: int = 0
    coordinate: bool = True
    margin: str | float | None = None
    pace: float | None = None
    faults: tuple[FaultEvent, ...] = ()
    server_key: Path | None = None
    live_port: int | None = None
    plant_path: Path | None = None
    cautions: tuple[Caution, ...] = ()

    @property
    def period_s(self) -> float:
        """Length of a cycle (30 s)."""
        return self.config.schedule.realtime_s

    @property
    def cycles(self) -> int:
        """Number of cycles of the run."""
        return round((self.end - self.start).total_seconds() / self.period_s)


@dataclass(frozen=True)
class RunProgress:
    """Progress of a run after a cycle; voltages are the extremes of the cycle, the cost is since the start."""

    at: datetime
    share: float
    v_min_pu: float | None
    v_max_pu: float | None
    cost: float
    mpc: str | None


@dataclass(frozen=True)
class RunResult:
    """The answers of the processes at the end of a run.

    Attributes:
        truths: true state of the plant at the start, at the last cycle, and at the end.
        interrupted: a signal ended the run early.
    """

    end: datetime
    cycles: int
    day_ahead: Mapping[str, Any]
    truths: tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]
    referee: Mapping[str, Any]
    controller: Mapping[str, Any]
    interrupted: bool


async def simulate(
    job: SimulationJob,
    folder: Path,
    clock: Clock,
    observe: Callable[[RunProgress], None],
    announce: Callable[[int], None],
) -> RunResult:
    """Run all cycles; the controller's tables are then in ``folder``. ``announce`` gets the port of the live page.

    Raises:
        FollowerError: a process failed.
    """
    async with AsyncExitStack() as stack:
        stop = stack.enter_context(_Interrupt())
        plant, addresses = await stack.enter_async_context(running_plant(job, folder))
        controller = await stack.enter_async_context(running_module(CONTROLLER, (), folder / "controller.log"))
        guardian = await stack.enter_async_context(running_module(GUARDIAN, (), folder / "guardian.log"))
        await guardian.ask({"open": guardian_opening(job, folder, addresses)})
        opened = await controller.ask({"open": controller_opening(job, folder, addresses)})
        if opened["live_port"] is not None:
            announce(opened["live_port"])
        run = _Run(job, plant, controller, guardian, clock, observe)
        done = await run.cycles(stop)
        return await run.finished(done, opened["day_ahead"])


class _Interrupt:
    """The first SIGINT or SIGTERM ends the run after the current cycle, with complete accounts.

    Only the main thread of a process receives signals; in any other thread this does nothing.
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._signals = (signal.SIGINT, signal.SIGTERM) if current_thread() is main_thread() else ()

    def __enter__(self) -> "_Interrupt":
        for number in self._signals:
            asyncio.get_running_loop().add_signal_handler(number, self._event.set)
        return self

    def __exit__(self, *_: object) -> None:
        for number in self._signals:
            asyncio.get_running_loop().remove_signal_handler(number)

    @property
    def requested(self) -> bool:
        """Whether a signal has arrived."""
        return self._event.is_set()

    async def sleep(self, seconds: float) -> None:
        """Sleep for ``seconds``, or until a signal arrives."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()


class _Run:
    """The steps of a run."""

    def __init__(
        self,
        job: SimulationJob,
        plant: LineClient,
        controller: LineClient,
        guardian: LineClient,
        clock: Clock,
        observe: Callable[[RunProgress], None],
    ) -> None:
        self._job, self._plant, self._controller, self._guardian = job, plant, controller, guardian
        self._clock, self._observe = clock, observe
        self._first: Mapping[str, Any] = {}

    async def cycles(self, stop: _Interrupt) -> int:
        """Run all cycles, or those until a signal arrives; returns their number."""
        start_s = self._clock.monotonic_s()
        self._first = await self._plant.ask({"ask": "truth"})
        for k in range(self._job.cycles):
            await self._keep_pace(k, start_s, stop)
            if stop.requested and k:
                return k
            await self._cycle(k)
        return self._job.cycles

    async def finished(self, cycles: int, day_ahead: Mapping[str, Any]) -> RunResult:
        """Let the last cycle's setpoints act for their 30 s, then stop the controller."""
        job, plant = self._job, self._plant
        at_last_cycle = await plant.ask({"ask": "truth"})
        end_s = cycles * job.period_s
        await plant.ask({"advance_to": end_s})
        at_end = await plant.ask({"ask": "truth"})
        stopped = await self._controller.ask({"stop": end_s})
        referee = await plant.ask({"ask": "referee"})
        return RunResult(
            end=job.start + timedelta(seconds=end_s),
            cycles=cycles,
            day_ahead=day_ahead,
            truths=(self._first, at_last_cycle, at_end),
            referee=referee,
            controller=stopped,
            interrupted=cycles < job.cycles,
        )

    async def _cycle(self, k: int) -> None:
        job, t_s = self._job, k * self._job.period_s
        await self._plant.ask({"advance_to": t_s})
        for request in fault_requests(job.faults, job.start, t_s, job.period_s):
            await self._plant.ask(request)
        answer = await self._controller.ask({"cycle": t_s})
        await self._guardian.ask({"tick": t_s})
        at, share = job.start + timedelta(seconds=t_s), (k + 1) / job.cycles
        self._observe(RunProgress(at, share, answer["v_min_pu"], answer["v_max_pu"], answer["cost"], answer["mpc"]))

    async def _keep_pace(self, k: int, start_s: float, stop: _Interrupt) -> None:
        if self._job.pace is not None:
            due_s = start_s + k * self._job.period_s / self._job.pace
            await stop.sleep(max(0.0, due_s - self._clock.monotonic_s()))


@asynccontextmanager
async def running_plant(job: SimulationJob, folder: Path) -> AsyncIterator[tuple[LineClient, Addresses]]:
    """Run the plant in lock step on free ports; yields its client and the addresses of its devices."""
    async with running_module(PLANT, _plant_arguments(job, folder), folder / "plant.log") as process:
        ready = await process.receive()
        async with connection("plant", ready["control"]) as plant:
            yield plant, ready["devices"]


def controller_opening(job: SimulationJob, folder: Path, addresses: Addresses) -> Mapping[str, Any]:
    """The first request to the controller, see :class:`controller.api.follow.ControllerOpening`."""
    return {
        "config": str(job.path),
        "folder": str(folder),
        "start": job.start.isoformat(),
        "coordinate": job.coordinate,
        "margin": job.margin,
        "addresses": addresses,
        "live_port": job.live_port,
    }


def guardian_opening(job: SimulationJob, folder: Path, addresses: Addresses) -> Mapping[str, Any]:
    """The first request to the guardian, see :class:`controller.guardian.follow.GuardianOpening`."""
    return {"config": str(job.path), "state": str(folder), "start": job.start.isoformat(), "addresses": addresses}


def _plant_arguments(job: SimulationJob, folder: Path) -> Sequence[str]:
    key = () if job.server_key is None else ("--server-key", str(job.server_key))
    start = ("--start", job.start.isoformat(), "--seed", str(job.seed))
    return (
        str(job.plant_path or job.path),
        "--lock-step",
        "--free-ports",
        "--until-eof",
        *start,
        *key,
        "--frames",
        str(folder / "frames.jsonl"),
    )
