"""Client of a planner that runs as a service of its own (:mod:`controller.planner.server`).

Every job has a connection of its own. It is closed if the caller is cancelled, or ``MARGIN_S`` after the planner should
have given the job up; the planner then kills its child. So the table of :mod:`controller.planner.planner` also holds
if the planner as a whole hangs or is gone.
"""

import asyncio
from pathlib import Path
from typing import Self

from controller.planner.answer import Answer
from controller.planner.planner import SIZE, Job, Planner, PlannerError, within_budget
from controller.planner.wire import LARGEST_MESSAGE, decode_answer, encode_job
from realtime.timing import MPC_BEST_S, MPC_KILL_S

MARGIN_S = 2.0
"""Time beyond the deadline that the planner itself keeps; a plan is in force or given up within its minute."""


class PlannerLink:
    """Asks the planner that listens at a socket file, over a new connection for every job.

    Args:
        best_s: upper limit of the coordination's own budget, wall clock.
        kill_s: wall time after which the planner gives a job up.
    """

    def __init__(self, path: Path, best_s: float = MPC_BEST_S, kill_s: float = MPC_KILL_S) -> None:
        self._path, self._best_s, self._within_s = path, best_s, kill_s + MARGIN_S
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing, since no connection outlives its job."""

    async def answer(self, job: Job) -> Answer:
        """Send the job and wait for its plan; jobs of one link run one after the other.

        Raises:
            PlannerError: there is no plan, or nobody listens; the running plan is unaffected.
            SolverError, SolverLicenceError: a prosumer's solver failed.
        """
        async with self._lock:
            try:
                async with asyncio.timeout(self._within_s):
                    request = await asyncio.to_thread(encode_job, within_budget(job, self._best_s))
                    reply = await self._exchange(request)
            except TimeoutError:
                raise PlannerError(f"planner: {job}: no answer after {self._within_s:g} s") from None
            except asyncio.IncompleteReadError:
                raise PlannerError(f"planner: {job}: {self._path}: hung up without an answer") from None
            except OSError as error:
                raise PlannerError(f"planner: {job}: {self._path}: {error}") from error
        return await asyncio.to_thread(decode_answer, reply, job)

    async def _exchange(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_unix_connection(self._path)
        try:
            writer.write(request)
            await writer.drain()
            (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
            if size > LARGEST_MESSAGE:
                raise OSError(f"a reply of {size} bytes, allowed {LARGEST_MESSAGE}")
            return await reader.readexactly(size)
        finally:
            writer.close()


AnyPlanner = Planner | PlannerLink
"""Both give an :class:`Answer` to a job."""
