"""The planner as a service of its own, seen from the service that asks it.

Every job has a connection of its own. Where the caller is cancelled, or has waited ``MARGIN_S`` longer than the planner
should need to give the job up, the connection is closed, and the planner kills its child. So the table of
:mod:`controller.planner.planner` holds here too, even where the whole planner hangs or is gone.
"""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Self

from controller.planner.answer import Answer
from controller.planner.planner import SIZE, Job, Planner, PlannerError, ReplanJob, framed, within_budget
from controller.planner.wire import LARGEST_REPLY, bare, unpacked
from realtime.timing import MPC_BEST_S, MPC_KILL_S

MARGIN_S = 2.0
"""Beyond the deadline that the planner itself keeps; a plan is in force or given up within its minute."""


class PlannerLink:
    """Asks the planner that listens at a socket file; the connection is made anew for every job.

    Args:
        best_s: upper limit of the coordination's own budget, wall clock.
        kill_s: when the planner gives a job up, wall clock.
    """

    def __init__(self, path: Path, best_s: float = MPC_BEST_S, kill_s: float = MPC_KILL_S) -> None:
        self._path, self._best_s, self._within_s = path, best_s, kill_s + MARGIN_S
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open between jobs."""

    async def answer(self, job: Job) -> Answer:
        """The plan that the job asks for.

        Raises:
            PlannerError: there is none, or nobody listens; the running one stays what it was.
            SolverError, SolverLicenceError: a prosumer's solver gave no answer.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(self._within_s):
                    reply = await self._exchanged(framed(_plain(within_budget(job, self._best_s))))
            except TimeoutError:
                raise PlannerError(f"planner: {job}: no answer after {self._within_s:g} s") from None
            except asyncio.IncompleteReadError:
                raise PlannerError(f"planner: {job}: {self._path}: hung up without an answer") from None
            except OSError as error:
                raise PlannerError(f"planner: {job}: {self._path}: {error}") from error
        return await asyncio.to_thread(unpacked, reply, job)

    async def _exchanged(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            writer.write(request)
            await writer.drain()
            (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
            if size > LARGEST_REPLY:
                raise OSError(f"a reply of {size} bytes, allowed {LARGEST_REPLY}")
            return await reader.readexactly(size)
        finally:
            writer.close()


AnyPlanner = Planner | PlannerLink
"""What gives an :class:`Answer` to a job."""


def _plain(job: Job) -> Job:
    """Without what the planner remembers by itself."""
    if isinstance(job, ReplanJob) and job.running is not None:
        return replace(job, running=bare(job.running))
    return job
