"""A run under faults: a plant, a guardian, and controllers that are killed and restarted, in virtual time.

Every 5 s each process takes one step: the plant advances, the controller polls or, every 30 s, runs its cycle, then the
guardian checks the heartbeat; after a restart the 5 s start anew. Between two steps the plant alone can be advanced, so
that a fault can begin and end at any time.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from controller.chaos.command_log import commanding
from controller.process.modes import Mode
from controller.process.talk import Follower, FollowerError, LineClient, running_module
from controller.simulation.master import (
    CONTROLLER,
    GUARDIAN,
    Addresses,
    SimulationJob,
    controller_opening,
    guardian_opening,
    running_plant,
)
from realtime.timing import POLL_S, REQUEST_TIMEOUT_S

OPERATOR = "operator"
SPARE_S = 5.0
"""How much older than the longest step a guardian's sign of life may be (s)."""
SETTLE_S = 0.05
"""Real time (s) in which the last bytes of a killed process reach the plant."""


@dataclass
class ControllerState:
    """How the controller runs its next cycles, and its last answers.

    Attributes:
        plan, wait: options of its cycles, see :mod:`controller.api.follow`.
        mode: after the last cycle; None before the first one.
        failures: number of failed cycles so far.
        took_over: whether the guardian has taken over.
        port: of its HTTP server on this machine; None without.
    """

    plan: bool = True
    wait: bool = True
    mode: str | None = None
    failures: int = 0
    took_over: bool = False
    port: int | None = None


@dataclass
class FaultedRun:
    """A run under faults, opened by :func:`open_faulted_run`.

    Attributes:
        poll_s: time between two steps.
        options: further options of each controller's opening.
        restarts_s: real time that each restart took.
        cycles_s: real time that each cycle took, from request to answer.
    """

    job: SimulationJob
    folder: Path
    plant: LineClient
    addresses: Addresses
    poll_s: float
    options: Mapping[str, Any]
    now_s: float = 0.0
    state: ControllerState = field(default_factory=ControllerState)
    restarts_s: list[float] = field(default_factory=list)
    cycles_s: list[float] = field(default_factory=list)
    controller: Follower | None = None
    _guardian: Follower | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _suspended: bool = False
    _guardian_suspended: bool = False
    _next_s: float = 0.0

    @property
    def now(self) -> datetime:
        """The plant's time, UTC."""
        return (self.job.start + timedelta(seconds=self.now_s)).astimezone(UTC)

    @property
    def running_controller(self) -> Follower:
        """The controller.

        Raises:
            FollowerError: none is running.
        """
        if self.controller is None:
            raise FollowerError(f"{CONTROLLER}: not running")
        return self.controller

    async def run_until(self, t_s: float) -> None:
        """Run all processes until ``t_s`` (s since the start)."""
        while self._next_s <= t_s:
            await self._advance(self._next_s)
            await self._step()
        await self._advance(t_s)

    async def signal_in_cycle(self, cycle_s: float, number: signal.Signals, after_s: float) -> None:
        """Run until the cycle at ``cycle_s`` and send the controller a signal during it.

        Args:
            after_s: real time between the start of the cycle and the signal.
        """
        while self._next_s < cycle_s:
            await self._advance(self._next_s)
            await self._step()
        await self._advance(cycle_s)
        await self.running_controller.send({"cycle": cycle_s})
        await asyncio.sleep(after_s)
        self.running_controller.send_signal(number)
        self._suspended = True
        if number is signal.SIGKILL:
            await self.kill()
        await self._tick_guardian()

    async def kill(self) -> None:
        """Kill the controller with SIGKILL; bytes that it has already sent arrive at the plant."""
        self.running_controller.send_signal(signal.SIGKILL)
        await self.running_controller.exit_code()
        self.controller, self._suspended = None, False
        await asyncio.sleep(SETTLE_S)

    def suspend(self) -> None:
        """Suspend the controller (SIGSTOP); it takes no more steps."""
        self.running_controller.send_signal(signal.SIGSTOP)
        self._suspended = True

    def resume(self) -> None:
        """Resume the suspended controller (SIGCONT)."""
        self.running_controller.send_signal(signal.SIGCONT)
        self._suspended = False

    async def restart(self, **options: Any) -> None:
        """Start another controller on the state of the last one.

        Raises:
            FollowerError: it refuses to start.
        """
        start_s = time.monotonic()
        controller = await self._stack.enter_async_context(
            running_module(CONTROLLER, (), self.folder / "controller.log")
        )
        base = controller_opening(self.job, self.folder, self.addresses)
        opened = await controller.ask({"open": {**base, "at_s": self.now_s, **self.options, **options}})
        self.restarts_s.append(time.monotonic() - start_s)
        self.controller, self.state.mode, self.state.port = controller, None, opened["live_port"]
        self._schedule_next()

    async def request(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send a request to the controller at the current time; returns its answer."""
        await self.poll_now()
        with commanding(self.folder, self.now, request):
            return await self.running_controller.ask(request)

    async def kill_during(self, request: Mapping[str, Any], after_s: float) -> None:
        """Send a request to the controller, and kill it while it carries that out.

        Args:
            after_s: real time between the two.
        """
        await self.poll_now()
        with commanding(self.folder, self.now, request):
            await self.running_controller.send(request)
            await asyncio.sleep(after_s)
        await self.kill()

    async def kill_guardian(self) -> None:
        """Kill the guardian with SIGKILL."""
        self.running_guardian.send_signal(signal.SIGKILL)
        await self.running_guardian.exit_code()
        self._guardian, self._guardian_suspended = None, False

    def suspend_guardian(self) -> None:
        """Suspend the guardian (SIGSTOP); it looks no more."""
        self.running_guardian.send_signal(signal.SIGSTOP)
        self._guardian_suspended = True

    async def start_guardian(self) -> None:
        """Start another guardian, in place of one that was killed.

        Raises:
            FollowerError: it refuses to start.
        """
        guardian = await self._stack.enter_async_context(running_module(GUARDIAN, (), self.folder / "guardian.log"))
        await guardian.ask({"open": {**guardian_opening(self.job, self.folder, self.addresses), "at_s": self.now_s}})
        self._guardian = guardian

    @property
    def running_guardian(self) -> Follower:
        """The guardian.

        Raises:
            FollowerError: none is running.
        """
        if self._guardian is None:
            raise FollowerError(f"{GUARDIAN}: not running")
        return self._guardian

    async def poll_now(self) -> None:
        """Let the controller read its clock and its devices now."""
        await self.running_controller.ask({"poll": self.now_s})

    async def catch_up(self) -> None:
        """Let guardian and controller, unless it is dead or suspended, read the plant's time."""
        if self.controller is not None and not self._suspended:
            await self.poll_now()
        await self._tick_guardian()

    async def activate(self) -> None:
        """Switch to ACTIVE in the operator's name."""
        await self.request({"mode": Mode.ACTIVE, "who": OPERATOR})

    async def switch(self, fault: str, device: str, *, on: bool, number: float | None = None) -> None:
        """Begin or end a fault of a device or of its link, now."""
        with_number = {} if number is None or not on else {"number": number}
        await self.plant.ask({"fault": fault, "device": device, "on": on, **with_number})

    async def stop(self) -> Mapping[str, Any]:
        """Stop the controller regularly; returns its answer."""
        answer = await self.request({"stop": self.now_s})
        await self.running_controller.stop()
        self.controller = None
        return answer

    async def close(self) -> None:
        """Stop all processes; a suspended one is killed, as it would not see the end of its stdin."""
        if self.controller is not None and self._suspended:
            await self.kill()
        if self._guardian_suspended:
            await self.kill_guardian()
        await self._stack.aclose()

    async def _advance(self, t_s: float) -> None:
        await self.plant.ask({"advance_to": t_s})
        self.now_s = t_s

    async def _step(self) -> None:
        """One step of all running processes, at the plant's time."""
        if self.controller is not None and not self._suspended:
            if self.now_s % self.job.period_s == 0:
                start_s = time.monotonic()
                answer = await self.controller.ask(
                    {"cycle": self.now_s, "plan": self.state.plan, "wait": self.state.wait}
                )
                self.cycles_s.append(time.monotonic() - start_s)
                self.state.mode = answer["mode"]
                self.state.failures += "failed" in answer
            else:
                await self.controller.ask({"poll": self.now_s})
        await self._tick_guardian()

    async def _tick_guardian(self) -> None:
        """Let the guardian check the heartbeat, if there is one."""
        if self._guardian is not None and not self._guardian_suspended:
            self.state.took_over = (await self._guardian.ask({"tick": self.now_s}))["took_over"]
        self._schedule_next()

    def _schedule_next(self) -> None:
        """The next step is the next poll, or the cycle if that comes before a second poll: as in `serve`."""
        cycle_s = self.job.period_s * (self.now_s // self.job.period_s + 1)
        polls = cycle_s - self.now_s >= 2 * self.poll_s
        self._next_s = self.now_s + self.poll_s if polls else cycle_s


@asynccontextmanager
async def open_faulted_run(
    job: SimulationJob, folder: Path, poll_s: float = POLL_S, **options: Any
) -> AsyncIterator[FaultedRun]:
    """A run at its start, ACTIVE, on the plan of the journal in ``folder``.

    Args:
        options: further options of each controller's opening.

    Raises:
        FollowerError: a process failed.
    """
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_module(CONTROLLER, (), folder / "controller.log"))
        guardian = await stack.enter_async_context(running_module(GUARDIAN, (), folder / "guardian.log"))
        plant, addresses = await stack.enter_async_context(running_plant(job, folder))
        step_s = min(2 * poll_s, job.period_s)
        all_options = {"patience_s": REQUEST_TIMEOUT_S, "guardian_s": step_s + SPARE_S, **options}
        faulted = FaultedRun(job, folder, plant, addresses, poll_s, all_options, controller=first, _guardian=guardian)
        stack.push_async_callback(faulted.close)
        await guardian.ask({"open": guardian_opening(job, folder, addresses)})
        opened = await first.ask({"open": {**controller_opening(job, folder, addresses), "at_s": 0.0, **all_options}})
        faulted.state.port = opened["live_port"]
        await faulted.activate()
        yield faulted
