"""A planner that lies, in place of the service ``gridlab planner``."""

import asyncio
import pickle
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import StrEnum
from functools import partial
from math import nan
from pathlib import Path
from random import Random

import numpy as np

from controller.chaos.hosting import hosted
from controller.planner.answer import Answer
from controller.planner.planner import SIZE, Job, Planner
from controller.planner.wire import JobRefusal, Reply, packed
from core.arrays import FloatArray
from core.errors import SolverError
from mpc.intra_day import Running

SOCKET = "planner.sock"


class Mood(StrEnum):
    """What the planner does with a job."""

    HONEST = "honest"
    NAN = "NaN"
    ABSURD = "absurd"
    SHAPE = "wrong shape"
    INFEASIBLE = "infeasible"
    GARBAGE = "garbage"


class FaultyPlanner:
    """Answers jobs at a socket file as it is in the ``mood`` for."""

    def __init__(self) -> None:
        self.mood = Mood.HONEST
        self.led = 0
        """Answers that were not honest."""
        self._planner = Planner()

    @asynccontextmanager
    async def listening(self, path: Path) -> AsyncIterator[None]:
        """Until the block ends."""
        async with self._planner, hosted(self._talk, partial(asyncio.start_unix_server, path=path)):
            yield

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
        writer.write(await self._reply(pickle.loads(await reader.readexactly(size))))
        await writer.drain()

    async def _reply(self, job: Job) -> bytes:
        if self.mood is Mood.HONEST:
            return packed(Reply(await self._planner.answer(job), None))
        self.led += 1
        match self.mood:
            case Mood.INFEASIBLE:
                return packed(Reply(None, JobRefusal.of(SolverError("prosumer: infeasible"))))
            case Mood.GARBAGE:
                return SIZE.pack(4096) + Random(0).randbytes(4096)
        answer = await self._planner.answer(job)
        return packed(Reply(_spoilt(answer, _LIES[self.mood]), None))


def _spoilt(answer: Answer, lie: Callable[[FloatArray], FloatArray]) -> Answer:
    """Every power of every prosumer is a lie."""
    running = answer.running
    prosumers = {
        name: replace(plan, p_kw=lie(plan.p_kw), q_kvar=lie(plan.q_kvar))
        for name, plan in running.plan.prosumers.items()
    }
    told: Running = replace(running, plan=replace(running.plan, prosumers=prosumers), computed=None)
    return replace(answer, running=told)


def _nan(x: FloatArray) -> FloatArray:
    return np.where(np.arange(len(x)) == len(x) // 2, nan, x)


def _absurd(x: FloatArray) -> FloatArray:
    return 1e4 + x


def _short(x: FloatArray) -> FloatArray:
    return x[:-1]


_LIES: dict[Mood, Callable[[FloatArray], FloatArray]] = {
    Mood.NAN: _nan,
    Mood.ABSURD: _absurd,
    Mood.SHAPE: _short,
}
