"""Price computation in a process of its own, so that the event loop stays free.

One child process, kept warm, computes one job after the other; a job that comes while another is computed waits for
its turn. How a job may end:

| what happens | the caller gets | the child |
|---|---|---|
| the plan is computed, or the best so far when the budget ends (at most ``best_s``) | the plan | lives |
| a solver fails, or input is bad | the same error | lives |
| memory runs out, or any other exception | :class:`PlannerError` | lives |
| no answer within ``kill_s`` from the job's turn | :class:`PlannerError` | is killed |
| the child dies | :class:`PlannerError`, at once | is dead |
| the caller is cancelled | its ``CancelledError`` | is killed |

After a death the next job starts a new child. When this process is gone, however that came, the child ends itself.
"""

import asyncio
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from signal import SIGKILL, Signals
from struct import Struct
from typing import Any, Self

from controller.planner.answer import Answer
from core.config_coordination import CoordinationConfig
from core.errors import GridlabError, InputError
from core.scenario import Scenario
from core.time import Clock
from mpc.day_ahead import DayAhead, coordinate, uncoordinated
from mpc.forecast import Observed
from mpc.intra_day import Running, Situation, replan, replan_uncoordinated
from mpc.prosumer import participants
from mpc.solvers.quadratic import PIQP
from realtime.timing import MPC_BEST_S, MPC_KILL_S

CHILD = "controller.planner.child"
START_S = 60.0
"""A new child that is not ready by then is given up; importing what it needs takes about a second."""
SIZE = Struct("!Q")
"""Length of what follows on a pipe, before every pickled job and answer."""
UNLIMITED = 2**62
"""Bytes that may wait to be read, so that the end of a pipe is always seen."""


class PlannerError(GridlabError):
    """The child process gave no plan; the message says which one, and how that ended."""


@dataclass(frozen=True)
class DayAheadJob:
    """Plan ``scenario``, see :mod:`mpc.day_ahead`."""

    scenario: Scenario
    settings: CoordinationConfig
    solver: str
    coordinate: bool

    def __str__(self) -> str:
        return f"plan of {self.scenario.axis.times[0]:%Y-%m-%d}"

    def run(self, clock: Clock) -> DayAhead:
        """Compute."""
        problem, prosumers = self.scenario.problem, participants(self.scenario, self.solver)
        if not self.coordinate:
            return uncoordinated(problem, prosumers, self.settings)
        return coordinate(problem, prosumers, self.settings, clock)


@dataclass(frozen=True)
class ReplanJob:
    """Plan the rest of ``day`` from ``step`` on, see :func:`mpc.intra_day.replan`; ``running`` if coordinated."""

    day: Scenario
    step: int
    observed: Mapping[str, Observed]
    slack_voltage_pu: float
    running: Running | None
    settings: CoordinationConfig
    solver: str = PIQP
    coordinate: bool = True

    def __str__(self) -> str:
        return f"plan of {self.day.axis.times[0]:%Y-%m-%d} from step {self.step}"

    def run(self, clock: Clock) -> Running:
        """Compute."""
        now = Situation(self.day, self.step, self.observed, self.slack_voltage_pu)
        if not self.coordinate:
            return replan_uncoordinated(now, self.settings, self.solver)
        return replan(now, self.running, self.settings, clock, self.solver)


Job = DayAheadJob | ReplanJob


@dataclass(frozen=True)
class Failure:
    """An exception on its way back: its type, what that is made from, and where it was raised."""

    kind: type[GridlabError]
    argument: Any
    traceback: str

    @classmethod
    def of(cls, error: Exception, traceback: str) -> Self:
        """Errors that callers know keep their type; any other becomes a :class:`PlannerError`."""
        match error:
            case InputError():
                return cls(InputError, error.faults, traceback)
            case GridlabError():
                return cls(type(error), str(error), traceback)
            case MemoryError():
                return cls(PlannerError, f"out of memory. {error}", traceback)
        return cls(PlannerError, f"{type(error).__name__}: {error}", traceback)

    def error(self, what: str) -> GridlabError:
        """The exception again, the traceback as its note."""
        error = (
            PlannerError(f"planner: {what}: {self.argument}") if self.kind is PlannerError else self.kind(self.argument)
        )
        error.add_note(self.traceback)
        return error


class Planner:
    """Owner of the child process; to be entered and left within one event loop.

    Args:
        best_s: upper limit of the coordination's own budget, wall clock.
        kill_s: when a job is given up, from its turn on, wall clock.
    """

    def __init__(self, best_s: float = MPC_BEST_S, kill_s: float = MPC_KILL_S) -> None:
        self._best_s, self._kill_s = best_s, kill_s
        self._turn = asyncio.Lock()
        self._child: Process | None = None

    async def __aenter__(self) -> Self:
        """Start the child and wait until it is warm.

        Raises:
            PlannerError: it does not start.
        """
        await self._living_child()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill the child; it has nothing to lose."""
        if self._child is not None:
            await _killed(self._child)

    @property
    def pid(self) -> int | None:
        """Of the child, None while there is none."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    async def answer(self, job: Job) -> Answer:
        """Either plan, as also a :class:`controller.planner.link.PlannerLink` gives it.

        Raises:
            PlannerError, CoordinationError, SolverError, SolverLicenceError: there is no plan.
        """
        return Answer.of(await self._run(job))

    async def _run(self, job: Job) -> Any:
        async with self._turn:
            child = await self._living_child()
            answer = await _answer(child, str(job), self._kill_s, framed(within_budget(job, self._best_s)))
        if isinstance(answer, Failure):
            raise answer.error(str(job))
        return answer

    async def _living_child(self) -> Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await _started()
            await _answer(self._child, "start", START_S)
        return self._child


def within_budget(job: Job, best_s: float) -> Job:
    """The job with at most ``best_s`` for its coordination."""
    budget_s = min(job.settings.budget_s, best_s)
    return replace(job, settings=job.settings.model_copy(update={"budget_s": budget_s}))


def framed(message: object) -> bytes:
    """A job or an answer as it travels."""
    pickled = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return SIZE.pack(len(pickled)) + pickled


async def _started() -> Process:
    """A child in a session of its own: what is typed on the parent's terminal does not reach it."""
    command = (sys.executable, "-m", CHILD)
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, limit=UNLIMITED, start_new_session=True
        )
    except OSError as error:
        raise PlannerError(f"planner: start: {error}") from error


async def _answer(child: Process, what: str, within_s: float, request: bytes = b"") -> Any:
    """Send and wait for the answer; a child that owes it longer than ``within_s`` is killed."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        async with asyncio.timeout(within_s):
            child.stdin.write(request)
            await child.stdin.drain()
            (size,) = SIZE.unpack(await child.stdout.readexactly(SIZE.size))
            return pickle.loads(await child.stdout.readexactly(size))
    except TimeoutError:
        await _killed(child)
        raise PlannerError(f"planner: {what}: no answer after {within_s:g} s, process killed") from None
    except (asyncio.IncompleteReadError, ConnectionError):
        raise PlannerError(f"planner: {what}: process {_ending(await _killed(child))}") from None
    except asyncio.CancelledError:
        await _killed(child)
        raise


async def _killed(child: Process) -> int:
    """Make sure that a child is dead; its exit code, or what it had died of before."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(child.pid, SIGKILL)  # Process.kill would compete with the event loop for the exit code
    return await child.wait()


def _ending(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    reason = ", as when memory runs out" if -exit_code == SIGKILL else ""
    return f"died with signal {-exit_code} ({Signals(-exit_code).name}){reason}"
