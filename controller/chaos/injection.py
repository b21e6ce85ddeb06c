"""The interface of an injection: what it gets and what it returns."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random

from controller.chaos.faulted_run import FaultedRun
from controller.judge.case import CaseConfig, InjectedFault, Kind

WARM_S = 120.0
"""Time after which every converter is in REMOTE and follows a plan."""
AFTER_S = 120.0
"""How long a run continues after a fault: twice the time allowed for a recovery."""


@dataclass(frozen=True)
class ProcessResources:
    """Resources of the controller's process that a leak increases."""

    tasks: int
    files: int
    rss_kb: int


@dataclass(frozen=True)
class TrialContext:
    """One run of an injection; ``random`` is seeded by fault number and seed."""

    number: int
    seed: int
    faulted: FaultedRun
    site: CaseConfig
    random: Random

    async def run_to_injection(self, at_s: float = WARM_S) -> datetime:
        """Run to the time of the injection, at random between two cycles; returns that time."""
        await self.faulted.run_until(at_s + self.random.uniform(0.0, self.faulted.job.period_s))
        return self.faulted.now

    async def run_for(self, shortest_s: float, longest_s: float) -> datetime:
        """Run for a random duration; returns the time after it."""
        await self.faulted.run_until(self.faulted.now_s + self.random.uniform(shortest_s, longest_s))
        return self.faulted.now

    async def run_recovery(self) -> None:
        """Run for the time of a recovery."""
        await self.faulted.run_until(self.faulted.now_s + AFTER_S)

    async def resources(self) -> ProcessResources:
        """Current resources of the controller."""
        tasks = (await self.faulted.running_controller.ask({"ask": "tasks"}))["tasks"]
        process = Path(f"/proc/{self.faulted.running_controller.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        return ProcessResources(tasks, len(list((process / "fd").iterdir())), int(status["VmRSS"].split()[0]))

    def fault(
        self, name: str, kind: Kind, begins: datetime, device: str | None = None, *, noticeable: bool = True
    ) -> InjectedFault:
        """A fault that ends now."""
        return InjectedFault(name, self.number, device, begins, self.faulted.now, kind, noticeable=noticeable)


@dataclass(frozen=True)
class InjectionResult:
    """Result of an injection.

    Attributes:
        complaints: faults that only the injection itself could observe.
        alarm: an alarm that must have been raised, by its name in telemetry.
        also: further faults that the injection has brought about on the way.
    """

    fault: InjectedFault
    complaints: tuple[str, ...] = ()
    alarm: str | None = None
    also: tuple[InjectedFault, ...] = ()


Injection = Callable[..., Awaitable[InjectionResult]]
"""Injects a fault into the run of a :class:`TrialContext`, with the trial's helper as further argument."""
