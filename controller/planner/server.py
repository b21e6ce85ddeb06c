"""``gridlab planner``: price computation as a service of its own, which needs no network and no right but its socket.

It owns the child process (:mod:`controller.planner.planner`) with its deadlines, and remembers the coordination behind
the last plan of each day. A caller sends the plan in force as numbers only; if they match a plan that was computed
here, the next coordination starts warm. After a restart it starts cold, once.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from controller.planner.planner import SIZE, Job, Planner, PlannerError, ReplanJob
from controller.planner.wire import LARGEST_MESSAGE, JobRefusal, Reply, decode_job, encode_reply, without_coordination
from controller.process.systemd import READY, STOPPING, WATCHDOG, notify
from core.codec import encode
from core.errors import GridlabError
from mpc.intra_day import RunningPlan

_log = logging.getLogger(__name__)

WATCHDOG_S = 20.0
"""Time between notices to the watchdog of the service manager."""
RECEIVE_S = 10.0
"""Time that a caller may take to send its job."""
DAYS_REMEMBERED = 2
"""Number of days whose plans are remembered: today and tomorrow."""


async def serve(path: Path) -> None:
    """Listen at the socket file ``path`` until SIGTERM or SIGINT.

    Raises:
        PlannerError: the child process does not start.
        OSError: the socket file cannot be created.
    """
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Planner() as planner, listening(planner, path):
        notify(READY)
        while not stop.is_set():
            notify(WATCHDOG)
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCHDOG_S):
                    await stop.wait()
        notify(STOPPING)


@asynccontextmanager
async def listening(planner: Planner, path: Path) -> AsyncIterator[None]:
    """Answer jobs at ``path`` until the block ends; the file's owner and group may connect."""
    jobs, connections = _JobServer(planner), set[asyncio.Task[None]]()

    async def serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            connections.add(task)
            task.add_done_callback(connections.discard)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, TimeoutError):
            await _serve_job(jobs, reader, writer)
        writer.close()

    server = await asyncio.start_unix_server(serve_connection, path)
    path.chmod(0o660)
    try:
        yield
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        path.unlink(missing_ok=True)


async def _serve_job(jobs: "_JobServer", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Compute one job; if the caller hangs up, cancel it, which kills the child."""
    async with asyncio.timeout(RECEIVE_S):
        (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
        if size > LARGEST_MESSAGE:
            _log.warning("a job of %d bytes, allowed %d", size, LARGEST_MESSAGE)
            return
        request = await reader.readexactly(size)
    work = asyncio.create_task(jobs.reply(request))
    hung_up = asyncio.create_task(reader.read(1))
    try:
        await asyncio.wait((work, hung_up), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            writer.write(await asyncio.to_thread(encode_reply, work.result()))
            await writer.drain()
    finally:
        for task in (work, hung_up):
            task.cancel()
        await asyncio.gather(work, hung_up, return_exceptions=True)


class _JobServer:
    """Computes replies, and remembers the coordinations behind them by the end of their day."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._computed: dict[datetime, RunningPlan] = {}

    async def reply(self, request: bytes) -> Reply:
        try:
            job = await asyncio.to_thread(decode_job, request)
            answer = await self._planner.answer(self._with_coordination(job))
        except GridlabError as error:
            _log.warning("%s", error)
            return Reply(None, JobRefusal.of(error))
        except Exception as error:  # a defect must not end the planner
            _log.exception("no plan")
            return Reply(None, JobRefusal.of(PlannerError(f"planner: {type(error).__name__}: {error}")))
        self._remember(answer.running)
        return Reply(answer, None)

    def _with_coordination(self, job: Job) -> Job:
        """The job with the coordination behind its plan, if that plan was computed here."""
        if not isinstance(job, ReplanJob) or job.running is None:
            return job
        known = self._computed.get(job.running.plan.axis.end)
        if known is None or encode(without_coordination(known)) != encode(without_coordination(job.running)):
            return job
        return replace(job, running=known)

    def _remember(self, running: RunningPlan) -> None:
        end = running.plan.axis.end
        others = [item for item in self._computed.items() if item[0] != end]
        self._computed = dict([*others, (end, running)][-DAYS_REMEMBERED:])
