"""What a script of a trial is given and gives back."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random

from controller.chaos.faulted_run import FaultedRun
from controller.judge.case import InjectedFault, Kind, Site

WARM_S = 120.0
"""Until all is well: every converter is in REMOTE and follows a plan."""
AFTER_S = 120.0
"""How long a run goes on after a fault: twice what a recovery may context."""


@dataclass(frozen=True)
class Resources:
    """What a leak would make grow, of the controller's process."""

    tasks: int
    files: int
    rss_kb: int


@dataclass(frozen=True)
class TrialContext:
    """A script's first, second, … time on faulted; ``random`` is seeded by the fault and the seed."""

    number: int
    seed: int
    faulted: FaultedRun
    site: Site
    random: Random

    async def warmed_up(self, at_s: float = WARM_S) -> datetime:
        """Lead to the moment of the injection, somewhere between two cycles."""
        await self.faulted.until(at_s + self.random.uniform(0.0, self.faulted.job.period_s))
        return self.faulted.now

    async def passing(self, shortest_s: float, longest_s: float) -> datetime:
        """Let so much time pass; the moment after it."""
        await self.faulted.until(self.faulted.now_s + self.random.uniform(shortest_s, longest_s))
        return self.faulted.now

    async def aftermath(self) -> None:
        """Time for a recovery."""
        await self.faulted.until(self.faulted.now_s + AFTER_S)

    async def resources(self) -> Resources:
        """Of the controller, just now."""
        tasks = (await self.faulted.alive.ask({"ask": "tasks"}))["tasks"]
        process = Path(f"/proc/{self.faulted.alive.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        return Resources(tasks, len(list((process / "fd").iterdir())), int(status["VmRSS"].split()[0]))

    def fault(
        self, name: str, kind: Kind, begins: datetime, device: str | None = None, *, noticeable: bool = True
    ) -> InjectedFault:
        """One that ends just now."""
        return InjectedFault(name, self.number, device, begins, self.faulted.now, kind, noticeable=noticeable)


@dataclass(frozen=True)
class Injected:
    """What was injected.

    Attributes:
        complaints: what the script itself saw go wrong, that no history shows.
        alarm: one that must have been raised, as telemetry calls it.
    """

    fault: InjectedFault
    complaints: tuple[str, ...] = ()
    alarm: str | None = None


Script = Callable[..., Awaitable[Injected]]
"""Of a :class:`TrialContext`, and of what plays a part in it."""
