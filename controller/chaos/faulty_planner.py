"""A faulty planner in place of the service ``gridlab planner``."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from math import nan
from pathlib import Path
from random import Random

import numpy as np

from controller.chaos.serving import serving
from controller.planner.answer import Answer
from controller.planner.planner import SIZE, Job, Planner
from controller.planner.wire import JobRefusal, Reply, decode_job, encode_reply
from core.arrays import FloatArray
from core.errors import SolverError
from mpc.intra_day import RunningPlan

SOCKET = "planner.sock"


class PlannerFault(StrEnum):
    """How the planner answers a job."""

    NONE = "none"
    NAN = "NaN"
    ABSURD = "absurd"
    SHAPE = "wrong shape"
    INFEASIBLE = "infeasible"
    GARBAGE = "garbage"


class FaultyPlanner:
    """Answers jobs at a socket file; ``fault`` selects how."""

    def __init__(self) -> None:
        self.fault = PlannerFault.NONE
        self.faulty_answers = 0
        """Answers that were not honest."""
        self._planner = Planner()

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Listen until the block ends."""
        async with self._planner, serving(self._answer_client, partial(asyncio.start_unix_server, path=path)):
            yield

    async def _answer_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
        writer.write(await self._reply(decode_job(await reader.readexactly(size))))
        await writer.drain()

    async def _reply(self, job: Job) -> bytes:
        if self.fault is PlannerFault.NONE:
            return encode_reply(Reply(await self._planner.answer(job), None))
        self.faulty_answers += 1
        match self.fault:
            case PlannerFault.INFEASIBLE:
                return encode_reply(Reply(None, JobRefusal.of(SolverError("prosumer: infeasible"))))
            case PlannerFault.GARBAGE:
                return SIZE.pack(4096) + Random(0).randbytes(4096)
        answer = await self._planner.answer(job)
        return encode_reply(Reply(_distorted(answer, _DISTORTIONS[self.fault]), None))


def _distorted(answer: Answer, distort: Callable[[FloatArray], FloatArray]) -> Answer:
    """The answer with all powers of every prosumer distorted."""
    running = answer.running
    prosumers = {
        name: replace(plan, p_kw=distort(plan.p_kw), q_kvar=distort(plan.q_kvar))
        for name, plan in running.plan.prosumers.items()
    }
    distorted: RunningPlan = replace(running, plan=replace(running.plan, prosumers=prosumers), computed=None)
    return replace(answer, running=distorted)


def _nan(x: FloatArray) -> FloatArray:
    return np.where(np.arange(len(x)) == len(x) // 2, nan, x)


def _absurd(x: FloatArray) -> FloatArray:
    return 1e4 + x


def _short(x: FloatArray) -> FloatArray:
    return x[:-1]


_DISTORTIONS: dict[PlannerFault, Callable[[FloatArray], FloatArray]] = {
    PlannerFault.NAN: _nan,
    PlannerFault.ABSURD: _absurd,
    PlannerFault.SHAPE: _short,
}
