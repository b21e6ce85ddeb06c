"""Lets a world go on, one operation after the other, and looks after each of them whether every invariant holds."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from controller.process.modes import Mode
from core.errors import GridlabError
from sim_plant.converter import ControlState
from tests.state_machine import rules_of_safety as safety
from tests.state_machine.ledger import CONVERTERS, DEAF, FOREIGN, Fault, Ledger
from tests.state_machine.world import CYCLE_S, POLL_S, STALL_S, World, opened

T = TypeVar("T")
OPERATION_S = 30.0
"""Real time after which an operation hangs."""


@dataclass(frozen=True)
class Shared:
    """One event loop with one planner (its socket), for all examples; how often what has been tried in them."""

    runner: asyncio.Runner
    planner: Path
    reached: Counter[str] = field(default_factory=Counter)


class Conductor:
    """See the module. ``sound`` until an invariant was broken."""

    def __init__(self, shared: Shared) -> None:
        self.ledger, self.sound, self._resumes = Ledger(), True, False
        self.reached, self._runner, self._stack = shared.reached, shared.runner, AsyncExitStack()
        self._tasks = self.do(_tasks())
        self.world: World = self.do(self._stack.enter_async_context(opened(shared.planner)))

    @property
    def next_cycle_s(self) -> float:
        """When a cycle is due."""
        return CYCLE_S * (self.world.at_s // CYCLE_S + 1)

    def close(self) -> None:
        """Nothing is left of it (invariant 29)."""
        self.do(self._stack.aclose())
        assert self.do(_tasks()) <= self._tasks, "29: tasks are left"

    def pass_to(self, end_s: float, *, polled: bool) -> None:
        """Time goes on in steps of the polls, under the eyes of the guardian; the moment ``end_s`` is the caller's."""
        while self.world.at_s < end_s:
            at_s = min(POLL_S * (self.world.at_s // POLL_S + 1), end_s)
            self.operate(self.world.pass_to(at_s))
            if polled and at_s < end_s:
                self.poll()
            if at_s < end_s or self.world.service is None:
                self.guard()

    def poll(self) -> None:
        """If somebody lives; of a service that has just been resumed, a cycle."""
        if self.world.service and self._resumes:
            self.cycle()
        elif self.world.service:
            self.ledger.read(self.world.at_s)
            self.operate(self.world.poll())

    def start(self) -> None:
        """A new process; where it is ACTIVE by itself its first cycles come before the next one is due."""
        self.ledger.born()
        self.operate(self.world.start(), changes_mode=True)
        self._resumes = self.world.mode is Mode.ACTIVE and self.next_cycle_s - self.world.at_s > POLL_S
        if self._resumes:
            self.cycle()

    def guard(self) -> None:
        """The guardian looks, and takes over if it has to."""
        self.operate(self.world.guard())
        self.check(lambda: safety.guarded(self.world))

    def cycle(self) -> None:
        """One cycle, with what it says of itself."""
        world, was = self.world, self.world.mode
        self._resumes &= world.at_s % CYCLE_S != 0
        if was is not Mode.OFF:
            self.ledger.read(world.at_s)
        self.attended()
        record = self.operate(world.cycle(), changes_mode=True)
        self.ledger.intruded.clear()
        if record and was is Mode.ACTIVE:
            self.check(lambda: safety.record_true(world, self.ledger, record))

    def attended(self) -> None:
        """A cycle begins that may write."""
        if self.world.mode is Mode.ACTIVE:
            self.ledger.attended_s = self.world.at_s

    def begin(self, fault: Fault) -> None:
        """It lasts from now on."""
        foreign = fault.name in FOREIGN and self.ledger.has(fault.device, *FOREIGN)
        if fault in self.ledger.faults or foreign:
            return
        self.expect(fault, self.world.at_s)
        self.operate(self._switch(fault, on=True))

    def expect(self, fault: Fault, at_s: float) -> None:
        """Take note of a fault that is about to begin."""
        self.reached[fault.name] += 1
        self.ledger.begin(fault, at_s)
        if fault.name == "late_write":
            self.world.witness.late |= fault.mates
        if fault.name in DEAF:
            self.world.witness.deaf.add(fault.device)

    def end(self, fault: Fault) -> None:
        """It is over."""
        self.reached["heal"] += 1
        self.ledger.end(fault, self.world.at_s)
        self.operate(self._switch(fault, on=False))

    def commanded(self, name: str) -> bool:
        """Whether a converter follows a setpoint."""
        return self.world.plant.laboratory.converters[name].state.mode is ControlState.REMOTE

    def lowered(self, mode: Mode) -> None:
        """An operator, or a stop, demands this mode or a lower one."""
        self.ledger.commanded = self.ledger.commanded.at_most(mode)

    def all_safe(self, was: Mode) -> None:
        """After a release every converter that nothing disturbs is safe."""
        for name in CONVERTERS:
            if was is Mode.ACTIVE and self.ledger.calm_s(name, self.world.at_s) > CYCLE_S:
                assert not self.commanded(name), f"4: {name}: released, but remote"

    def operate(self, work: Coroutine[Any, Any, T], *, changes_mode: bool = False) -> T:
        """Do something, and see whether all invariants hold."""
        world, before = self.world, self.world.mode
        self.reached[getattr(work, "__name__", "")] += 1
        world.witness.begin(world.in_force)
        began_s = time.monotonic()
        try:
            return self.do(self._settled(work))
        finally:
            if time.monotonic() - began_s > STALL_S:
                self.ledger.stalled(world.at_s)
            self.check(lambda: safety.frames_allowed(world, self.ledger, before, changes_mode=changes_mode))
            self.check(lambda: safety.devices_safe(world, self.ledger))
            self.check(lambda: safety.mode_commanded(world, self.ledger))
            self.check(lambda: safety.charge_in_band(world, self.ledger))
            if world.mode is not before:
                self.ledger.changed(world.mode, world.at_s)

    def check(self, holds: Callable[[], None]) -> None:
        """Call what raises if an invariant does not hold."""
        try:
            holds()
        except BaseException:
            self.sound = False
            raise

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Without looking at anything; errors that a caller may expect leave everything sound."""

        async def in_time() -> T:
            async with asyncio.timeout(OPERATION_S):
                return await work

        try:
            return self._runner.run(in_time())
        except GridlabError:
            raise
        except BaseException:
            self.sound = False
            raise

    async def _settled(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        finally:
            await self.world.settled()

    async def _switch(self, fault: Fault, *, on: bool) -> None:
        twin = fault.name == "twin_write"
        number = self.world.plant.laboratory.converters[fault.device].state.epoch if twin and on else None
        await self.world.plant.switch("foreign_write" if twin else fault.name, fault.device, on=on, number=number)


async def _tasks() -> frozenset[asyncio.Task[Any]]:
    return frozenset(asyncio.all_tasks() - {task for task in (asyncio.current_task(),) if task})
