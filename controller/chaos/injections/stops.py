"""Emergency stops with something in the way: floods of connections, a service that starts, hangs or is dead."""

import asyncio
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from controller.api.address import ADDRESS
from controller.api.stopping import Stopping
from controller.chaos.injection import InjectionResult, TrialContext
from controller.chaos.raw_http import still_open
from controller.guardian.direct import release_directly
from controller.guardian.site import ReleaseSite
from controller.judge.case import InjectedFault, Kind
from controller.process.clocks import SteppedClock
from controller.process.loopback import LOOPBACK
from controller.process.modes import Mode
from controller.stop.order import StopOrder
from controller.stop.wire import SERVICE_SOCKET
from core.devices import Outcome
from core.errors import GridlabError

WITHIN_S = 10.0
"""Real time (s) from the command to the last converter that is read back as safe."""
IDLE, FLOOD, DESCRIPTORS = 100, 4000, 1024
"""Silent connections that are opened again without end, with that limit of the service's descriptors for the flood."""
BUILD_UP_S, AGAIN_S = 3.0, 0.05
LISTENS_S = 60.0
"""Real time (s) in which a service that starts must listen for stops."""

Execute = Callable[[], Mapping[str, Outcome]]


async def stop_in_flood(context: TrialContext) -> InjectionResult:
    """40: silent connections to the HTTP server, 100, or 4000 of a service that may have 1024 descriptors."""
    faulted, flood = context.faulted, context.seed % 2 == 1
    await context.run_to_injection()
    _, hard = resource.prlimit(faulted.running_controller.pid, resource.RLIMIT_NOFILE)
    if flood:
        resource.prlimit(faulted.running_controller.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, hard))
    count = min(FLOOD, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - DESCRIPTORS) if flood else IDLE
    async with _silent_connections(faulted.folder, count):
        await asyncio.sleep(BUILD_UP_S)
        stopped, complaints = await _stopped(context, f"stop among {count} silent connections", _asking(context))
        await context.run_for(65.0, 95.0)
    resource.prlimit(faulted.running_controller.pid, resource.RLIMIT_NOFILE, (hard, hard))
    return await _back_to_active(context, stopped, complaints)


async def stop_while_starting(context: TrialContext) -> InjectionResult:
    """41: the service was killed, and another one is starting while the leases live; it must not become ACTIVE."""
    faulted = context.faulted
    await context.run_to_injection()
    await faulted.kill()
    begins = faulted.now
    await faulted.catch_up()
    (faulted.folder / SERVICE_SOCKET).unlink()  # of the dead one: wait for that of the next
    starting = asyncio.create_task(faulted.restart())
    async with asyncio.timeout(LISTENS_S):
        while not (faulted.folder / SERVICE_SOCKET).is_socket():
            await asyncio.sleep(AGAIN_S)
    stopped, complaints = await _stopped(context, "stop of a starting service", _asking(context))
    await starting
    await context.run_for(65.0, 95.0)
    return await _back_to_active(context, replace(stopped, begins=begins), complaints)


async def stop_of_dead(context: TrialContext) -> InjectionResult:
    """42: the service was killed, its leases live; the guardian is asked, or the converters are released directly."""
    faulted = context.faulted
    await context.run_to_injection()
    await faulted.kill()
    begins = faulted.now
    execute = _directly(context) if context.seed % 2 else _asking(context)
    stopped, complaints = await _stopped(context, "stop of a dead service", execute)
    await context.run_for(5.0, 60.0)
    await faulted.restart()
    await context.run_for(65.0, 95.0)
    return await _back_to_active(context, replace(stopped, begins=begins), complaints)


async def stop_of_suspended(context: TrialContext) -> InjectionResult:
    """43: the service is suspended; the guardian is asked, or the converters are released directly. When the service
    continues it must not write.
    """
    faulted = context.faulted
    begins = await context.run_to_injection()
    await faulted.catch_up()  # its clock stands with it: what it records on waking is of this time
    faulted.suspend()
    execute = _directly(context) if context.seed % 2 else _asking(context)
    stopped, complaints = await _stopped(context, "stop of a suspended service", execute)
    await context.run_for(5.0, 50.0)
    faulted.resume()
    await context.run_for(65.0, 95.0)
    return await _back_to_active(context, replace(stopped, begins=begins), complaints)


async def _stopped(context: TrialContext, name: str, execute: Execute) -> tuple[InjectedFault, tuple[str, ...]]:
    """Stop now; the fault, and what is wrong: a converter that is not safe, or too late."""
    await context.faulted.catch_up()
    at, start_s = context.faulted.now, time.monotonic()
    try:
        outcomes, errors = await asyncio.to_thread(execute), []
    except GridlabError as error:
        outcomes, errors = {}, [str(error)]
    took_s = time.monotonic() - start_s
    unsafe = sorted(name for name in context.site.converters if outcomes.get(name) is not Outcome.VERIFIED)
    late = [f"stopped in {took_s:.1f} s, allowed {WITHIN_S:g} s"] if took_s > WITHIN_S else []
    fault = InjectedFault(name, context.number, None, at, at, Kind.STOP, stopped_at=at)
    return fault, (*errors, *late, *(f"{name} not released" for name in unsafe))


async def _back_to_active(
    context: TrialContext, stopped: InjectedFault, complaints: tuple[str, ...]
) -> InjectionResult:
    """The service must be in MONITOR; an operator activates it."""
    faulted = context.faulted
    if faulted.state.mode != Mode.MONITOR:
        complaints = (*complaints, f"{faulted.state.mode} after a stop, allowed monitor")
    ends = faulted.now
    await faulted.activate()
    await context.run_recovery()
    return InjectionResult(replace(stopped, ends=ends), complaints)


def _asking(context: TrialContext) -> Execute:
    return Stopping(context.faulted.folder, None, dict, lambda _: None).run


def _directly(context: TrialContext) -> Execute:
    faulted, order = context.faulted, StopOrder(1, "trial, directly")
    site, clock = ReleaseSite.read(faulted.folder), SteppedClock(faulted.job.start)
    if site is None:
        raise GridlabError(f"{faulted.folder}: converters unknown")
    clock.advance_to(faulted.now_s)
    release = partial(release_directly, faulted.folder, site, clock, None, order)

    def execute() -> Mapping[str, Outcome]:
        release()
        return order.outcomes

    return execute


@asynccontextmanager
async def _silent_connections(folder: Path, count: int) -> AsyncIterator[None]:
    """Hold silent connections to the HTTP server of a folder's service, each opened again when it was closed."""
    port = int(json.loads((folder / ADDRESS).read_text())["port"])
    holding = asyncio.create_task(_hold(port, count))
    try:
        yield
    finally:
        holding.cancel()
        await asyncio.gather(holding, return_exceptions=True)


async def _hold(port: int, count: int) -> None:
    held: list[socket.socket] = []
    try:
        while True:
            held = [client for client in held if still_open(client)]
            with suppress(OSError):
                while len(held) < count:
                    held.append(_begun(port))
            await asyncio.sleep(AGAIN_S)
    finally:
        for client in held:
            client.close()


def _begun(port: int) -> socket.socket:
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex((LOOPBACK, port))
    return client
