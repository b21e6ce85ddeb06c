"""A run with chaos in it: a plant, a guardian, and controllers that come and go, led in virtual time.

Every 5 s all that live are led one step: the plant advances, the controller polls or, every 30 s, does its cycle, then
the guardian looks; after a restart the 5 s count anew. Between two steps the plant alone can be advanced, so that a
fault begins and ends when it wants to.
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

from controller.process.modes import Mode
from controller.process.talk import Follower, FollowerError, LineClient, running_module
from controller.simulation.master import (
    CONTROLLER,
    GUARDIAN,
    Addresses,
    Job,
    controller_opening,
    guardian_opening,
    started_plant,
)
from realtime.timing import POLL_S, REQUEST_TIMEOUT_S

OPERATOR = "operator"
SETTLE_S = 0.05
"""Real time in which what a dead process has sent last reaches the plant."""


@dataclass
class Led:
    """How the controller is led from now on, and what it said last.

    Attributes:
        plan, wait: of its cycles, see :mod:`controller.api.follow`.
        mode: after the last cycle; None before the first one.
        failures: cycles that failed so far.
        took_over: whether the guardian stands in.
        port: of its HTTP, on this machine; None without.
    """

    plan: bool = True
    wait: bool = True
    mode: str | None = None
    failures: int = 0
    took_over: bool = False
    port: int | None = None


@dataclass
class FaultedRun:
    """See the module; made by :func:`open_faulted_run`.

    Attributes:
        poll_s: between two steps.
        words: what else a controller is told at its opening.
        restarts_s: real time that each restart took.
        cycles_s: real time that each cycle took, from the word to its answer.
    """

    job: Job
    folder: Path
    plant: LineClient
    addresses: Addresses
    poll_s: float
    words: Mapping[str, Any]
    now_s: float = 0.0
    led: Led = field(default_factory=Led)
    restarts_s: list[float] = field(default_factory=list)
    cycles_s: list[float] = field(default_factory=list)
    controller: Follower | None = None
    _guardian: Follower | None = None
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)
    _hung: bool = False
    _next_s: float = 0.0

    @property
    def now(self) -> datetime:
        """The plant's time, UTC."""
        return (self.job.start + timedelta(seconds=self.now_s)).astimezone(UTC)

    @property
    def alive(self) -> Follower:
        """The controller.

        Raises:
            FollowerError: there is none.
        """
        if self.controller is None:
            raise FollowerError(f"{CONTROLLER}: asked for, but dead")
        return self.controller

    async def until(self, t_s: float) -> None:
        """Lead everything to ``t_s`` seconds since the start."""
        while self._next_s <= t_s:
            await self._advance(self._next_s)
            await self._lead()
        await self._advance(t_s)

    async def strike(self, cycle_s: float, number: signal.Signals, after_s: float) -> None:
        """Lead up to the cycle at ``cycle_s`` and send the controller a signal in the midst of it.

        Args:
            after_s: real time since the cycle began.
        """
        while self._next_s < cycle_s:
            await self._advance(self._next_s)
            await self._lead()
        await self._advance(cycle_s)
        await self.alive.send({"cycle": cycle_s})
        await asyncio.sleep(after_s)
        self.alive.send_signal(number)
        self._hung = True
        if number is signal.SIGKILL:
            await self.kill()
        await self._look()

    async def kill(self) -> None:
        """Kill −9; what it has sent before arrives."""
        self.alive.send_signal(signal.SIGKILL)
        await self.alive.exit_code()
        self.controller, self._hung = None, False
        await asyncio.sleep(SETTLE_S)

    def hang(self) -> None:
        """Stop the process where it stands; it is not led any more."""
        self.alive.send_signal(signal.SIGSTOP)
        self._hung = True

    def wake(self) -> None:
        """Let it go on."""
        self.alive.send_signal(signal.SIGCONT)
        self._hung = False

    async def restart(self, **words: Any) -> None:
        """Start another controller on what the last one has left.

        Raises:
            FollowerError: it refuses.
        """
        began_s = time.monotonic()
        successor = await self._stack.enter_async_context(
            running_module(CONTROLLER, (), self.folder / "controller.log")
        )
        base = controller_opening(self.job, self.folder, self.addresses)
        opened = await successor.ask({"open": {**base, "at_s": self.now_s, **self.words, **words}})
        self.restarts_s.append(time.monotonic() - began_s)
        self.controller, self.led.mode, self.led.port = successor, None, opened["live_port"]
        self._pause()

    async def order(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Let somebody ask something of the controller, just now; its answer."""
        await self.be_seen()
        return await self.alive.ask(request)

    async def be_seen(self) -> None:
        """Let the controller look at its clock and its devices, just now."""
        await self.alive.ask({"poll": self.now_s})

    async def arm(self) -> None:
        """The operator wants ACTIVE."""
        await self.order({"mode": Mode.ACTIVE, "who": OPERATOR})

    async def switch(self, fault: str, device: str, *, on: bool, number: float | None = None) -> None:
        """Begin or end a fault of a device or its link, just now."""
        with_number = {} if number is None or not on else {"number": number}
        await self.plant.ask({"fault": fault, "device": device, "on": on, **with_number})

    async def stop(self) -> Mapping[str, Any]:
        """Let the controller stop as it should; what it says of that."""
        said = await self.order({"stop": self.now_s})
        await self.alive.stop()
        self.controller = None
        return said

    async def close(self) -> None:
        """End all controllers; one that hangs would never see the end of its stdin."""
        if self.controller is not None and self._hung:
            await self.kill()
        await self._stack.aclose()

    async def _advance(self, t_s: float) -> None:
        await self.plant.ask({"advance_to": t_s})
        self.now_s = t_s

    async def _lead(self) -> None:
        """One step of all that live, at the plant's time."""
        if self.controller is not None and not self._hung:
            if self.now_s % self.job.period_s == 0:
                began_s = time.monotonic()
                said = await self.controller.ask({"cycle": self.now_s, "plan": self.led.plan, "wait": self.led.wait})
                self.cycles_s.append(time.monotonic() - began_s)
                self.led.mode = said["mode"]
                self.led.failures += "failed" in said
            else:
                await self.controller.ask({"poll": self.now_s})
        await self._look()

    async def _look(self) -> None:
        """The guardian's."""
        assert self._guardian is not None
        self.led.took_over = (await self._guardian.ask({"tick": self.now_s}))["took_over"]
        self._pause()

    def _pause(self) -> None:
        """Until the next poll, or the cycle if that comes before a second one: as `serve` does."""
        cycle_s = self.job.period_s * (self.now_s // self.job.period_s + 1)
        polls = cycle_s - self.now_s >= 2 * self.poll_s
        self._next_s = self.now_s + self.poll_s if polls else cycle_s


@asynccontextmanager
async def open_faulted_run(job: Job, folder: Path, poll_s: float = POLL_S, **words: Any) -> AsyncIterator[FaultedRun]:
    """A run at its first instant, ACTIVE, on the plan that the journal in ``folder`` has.

    Args:
        words: what else every controller is told at its opening.

    Raises:
        FollowerError: a process failed.
    """
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_module(CONTROLLER, (), folder / "controller.log"))
        guardian = await stack.enter_async_context(running_module(GUARDIAN, (), folder / "guardian.log"))
        plant, addresses = await stack.enter_async_context(started_plant(job, folder))
        told = {"patience_s": REQUEST_TIMEOUT_S, **words}
        faulted = FaultedRun(job, folder, plant, addresses, poll_s, told, controller=first, _guardian=guardian)
        stack.push_async_callback(faulted.close)
        await guardian.ask({"open": guardian_opening(job, folder, addresses)})
        opened = await first.ask({"open": {**controller_opening(job, folder, addresses), "at_s": 0.0, **told}})
        faulted.led.port = opened["live_port"]
        await faulted.arm()
        yield faulted
