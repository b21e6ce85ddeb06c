"""``gridlab planner``: price computation as a service of its own, which needs no network and no right but its socket.

It owns the child process (:mod:`controller.planner.planner`) with its deadlines, and remembers what the last plan of
each day came from: a caller names the plan in force by its numbers, and if that is the one made here, the next
coordination starts warm. After a restart it starts cold, once.
"""

import asyncio
import logging
import pickle
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from controller.planner.planner import SIZE, Job, Planner, PlannerError, ReplanJob
from controller.planner.wire import JobRefusal, Reply, bare, packed
from controller.process.systemd import READY, STOPPING, WATCHDOG, notify
from core.codec import encode
from core.errors import GridlabError
from mpc.intra_day import Running

_log = logging.getLogger(__name__)

BEAT_S = 20.0
"""Between signs of life of the process that keeps the deadlines."""
REMEMBERED = 2
"""Days with a plan: today and tomorrow."""


async def serve(path: Path) -> None:
    """Listen at the socket file ``path`` until SIGTERM or SIGINT.

    Raises:
        PlannerError: the child process does not start.
        OSError: there can be no socket file.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Planner() as planner, listening(planner, path):
        notify(READY)
        while not stop.is_set():
            notify(WATCHDOG)
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):
                    await stop.wait()
        notify(STOPPING)


@asynccontextmanager
async def listening(planner: Planner, path: Path) -> AsyncIterator[None]:
    """Answer jobs at ``path`` until the block ends; owner and group of the file may ask."""
    planning, talks = _Planning(planner), set[asyncio.Task[None]]()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            talks.add(task)
            task.add_done_callback(talks.discard)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await _answered(planning, reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(talk, path)
    path.chmod(0o660)
    try:
        yield
    finally:
        server.close()
        for task in talks:
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _answered(planning: "_Planning", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One job; a caller who hangs up wants no answer any more, and the child is killed."""
    (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
    work = asyncio.create_task(planning.reply(await reader.readexactly(size)))
    hung_up = asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait((work, hung_up), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            writer.write(await asyncio.to_thread(packed, work.result()))
            await writer.drain()
    finally:
        for task in (work, hung_up):
            task.cancel()
        await asyncio.gather(work, hung_up, return_exceptions=True)


class _Planning:
    """Gives replies, and remembers what they came from, by the end of their day."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._made: dict[datetime, Running] = {}

    async def reply(self, pickled: bytes) -> Reply:
        try:
            job: Job = pickle.loads(pickled)
            answer = await self._planner.answer(self._reminded(job))
        except GridlabError as error:
            _log.warning("%s", error)
            return Reply(None, JobRefusal.of(error))
        except Exception as error:  # a job of another version, of which any part may be missing
            _log.exception("no job")
            return Reply(None, JobRefusal.of(PlannerError(f"planner: no job: {type(error).__name__}: {error}")))
        self._remember(answer.running)
        return Reply(answer, None)

    def _reminded(self, job: Job) -> Job:
        """The job with the coordination behind its plan, where that was made here."""
        if not isinstance(job, ReplanJob) or job.running is None:
            return job
        known = self._made.get(job.running.plan.axis.end)
        if known is None or encode(bare(known)) != encode(bare(job.running)):
            return job
        return replace(job, running=known)

    def _remember(self, running: Running) -> None:
        end = running.plan.axis.end
        others = [item for item in self._made.items() if item[0] != end]
        self._made = dict([*others, (end, running)][-REMEMBERED:])
