"""Price computation in a process of its own, so that the event loop stays free.

One child process, kept warm, computes one job after the other; a job that arrives while another is computed waits.
How a job may end:

| what happens | the caller gets | the child |
|---|---|---|
| the plan is computed, or the best so far when the budget ends (at most ``best_s``) | the plan | lives |
| a solver fails, or input is bad | the same error | lives |
| memory runs out, or any other exception | :class:`PlannerError` | lives |
| no answer within ``kill_s`` from the start of the job | :class:`PlannerError` | is killed |
| the child dies | :class:`PlannerError`, at once | is dead |
| the caller is cancelled | its ``CancelledError`` | is killed |

After a death the next job starts a new child. The child ends itself when this process is gone, for whatever reason.
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
from mpc.day_ahead import DayAhead, agree, uncoordinated
from mpc.forecast import Observed
from mpc.intra_day import RunningPlan, Situation, replan, replan_uncoordinated
from mpc.prosumer import participants
from mpc.solvers.quadratic import PIQP
from realtime.timing import MPC_BEST_S, MPC_KILL_S

CHILD = "controller.planner.child"
START_S = 60.0
"""Time after which a new child that is not ready is given up; importing what it needs takes about a second."""
SIZE = Struct("!Q")
"""Length in bytes of the pickled job or answer that follows."""
UNLIMITED = 2**62
"""Bytes that may wait to be read, so that the end of a pipe is always noticed."""


class PlannerError(GridlabError):
    """There is no plan; the message names the job and how it ended."""


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
        """Compute the plan in the calling process."""
        problem, prosumers = self.scenario.problem, participants(self.scenario, self.solver)
        if not self.coordinate:
            return uncoordinated(problem, prosumers, self.settings)
        return agree(problem, prosumers, self.settings, clock)


@dataclass(frozen=True)
class ReplanJob:
    """Plan the rest of ``day`` from ``step`` on, see :func:`mpc.intra_day.replan`; ``running`` only if coordinated."""

    day: Scenario
    step: int
    observed: Mapping[str, Observed]
    slack_voltage_pu: float
    running: RunningPlan | None
    settings: CoordinationConfig
    solver: str = PIQP
    coordinate: bool = True

    def __str__(self) -> str:
        return f"plan of {self.day.axis.times[0]:%Y-%m-%d} from step {self.step}"

    def run(self, clock: Clock) -> RunningPlan:
        """Compute the plan in the calling process."""
        now = Situation(self.day, self.step, self.observed, self.slack_voltage_pu)
        if not self.coordinate:
            return replan_uncoordinated(now, self.settings, self.solver)
        return replan(now, self.running, self.settings, clock, self.solver)


Job = DayAheadJob | ReplanJob


@dataclass(frozen=True)
class Failure:
    """An exception on its way back: its type, the argument to construct it with, and where it was raised."""

    kind: type[GridlabError]
    argument: Any
    traceback: str

    @classmethod
    def of(cls, error: Exception, traceback: str) -> Self:
        """Keep the type of errors that callers know; any other exception becomes a :class:`PlannerError`."""
        match error:
            case InputError():
                return cls(InputError, error.faults, traceback)
            case GridlabError():
                return cls(type(error), str(error), traceback)
            case MemoryError():
                return cls(PlannerError, f"out of memory. {error}", traceback)
        return cls(PlannerError, f"{type(error).__name__}: {error}", traceback)

    def error(self, what: str) -> GridlabError:
        """The exception again, with the traceback as its note; ``what`` names the job."""
        error = (
            PlannerError(f"planner: {what}: {self.argument}") if self.kind is PlannerError else self.kind(self.argument)
        )
        error.add_note(self.traceback)
        return error


class Planner:
    """Owner of the child process; to be entered and left within one event loop.

    Args:
        best_s: upper limit of the coordination's own budget, wall clock.
        kill_s: wall time from its start after which a job is given up.
    """

    def __init__(self, best_s: float = MPC_BEST_S, kill_s: float = MPC_KILL_S) -> None:
        self._best_s, self._kill_s = best_s, kill_s
        self._lock = asyncio.Lock()
        self._child: Process | None = None

    async def __aenter__(self) -> Self:
        """Start the child and wait until it is ready.

        Raises:
            PlannerError: it does not start.
        """
        await self._living_child()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Kill the child, which holds no state worth saving."""
        if self._child is not None:
            await _kill(self._child)

    @property
    def pid(self) -> int | None:
        """Process id of the child, None while there is none."""
        child = self._child
        return child.pid if child is not None and child.returncode is None else None

    async def answer(self, job: Job) -> Answer:
        """Compute the job in the child, with the interface of :class:`controller.planner.link.PlannerLink`.

        Raises:
            PlannerError, CoordinationError, SolverError, SolverLicenceError: there is no plan.
        """
        return Answer.of(await self._run(job))

    async def _run(self, job: Job) -> Any:
        async with self._lock:
            child = await self._living_child()
            answer = await _answer(child, str(job), self._kill_s, pickle_frame(within_budget(job, self._best_s)))
        if isinstance(answer, Failure):
            raise answer.error(str(job))
        return answer

    async def _living_child(self) -> Process:
        if self._child is None or self._child.returncode is not None:
            self._child = await _start()
            await _answer(self._child, "start", START_S)
        return self._child


def within_budget(job: Job, best_s: float) -> Job:
    """The job with at most ``best_s`` for its coordination."""
    budget_s = min(job.settings.budget_s, best_s)
    return replace(job, settings=job.settings.model_copy(update={"budget_s": budget_s}))


def pickle_frame(message: object) -> bytes:
    """Pickle a job or an answer, preceded by its length."""
    pickled = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return SIZE.pack(len(pickled)) + pickled


async def _start() -> Process:
    """Start a child in a session of its own, so that signals from the parent's terminal do not reach it."""
    command = (sys.executable, "-m", CHILD)
    try:
        return await asyncio.create_subprocess_exec(
            *command, stdin=PIPE, stdout=PIPE, limit=UNLIMITED, start_new_session=True
        )
    except OSError as error:
        raise PlannerError(f"planner: start: {error}") from error


async def _answer(child: Process, what: str, within_s: float, request: bytes = b"") -> Any:
    """Send a request and wait for the answer; a child that does not give it within ``within_s`` is killed."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        async with asyncio.timeout(within_s):
            child.stdin.write(request)
            await child.stdin.drain()
            (size,) = SIZE.unpack(await child.stdout.readexactly(SIZE.size))
            return pickle.loads(await child.stdout.readexactly(size))
    except TimeoutError:
        await _kill(child)
        raise PlannerError(f"planner: {what}: no answer after {within_s:g} s, process killed") from None
    except (asyncio.IncompleteReadError, ConnectionError):
        raise PlannerError(f"planner: {what}: process {_exit_text(await _kill(child))}") from None
    except asyncio.CancelledError:
        await _kill(child)
        raise


async def _kill(child: Process) -> int:
    """Make sure that a child is dead; return its exit code, or that of its earlier death."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(child.pid, SIGKILL)  # Process.kill would compete with the event loop for the exit code
    return await child.wait()


def _exit_text(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    reason = ", as when memory runs out" if -exit_code == SIGKILL else ""
    return f"died with signal {-exit_code} ({Signals(-exit_code).name}){reason}"
