"""Records that cannot be written: a database that fails, a full disk; and the resources of a long run."""

import asyncio
import json
import resource
import time
from pathlib import Path

from controller.chaos.faulty_influx import FaultyInflux
from controller.chaos.injection import InjectionResult, TrialContext
from controller.chaos.injections.devices import resource_leaks
from controller.judge.case import Kind
from controller.process.modes import Mode
from controller.record.export import export_line_protocol
from controller.record.outbox import DEAD_LETTERS

REQUESTS, FAILING_S = 3, 40.0
"""Failed requests before the database recovers, and the real time (s) for them."""
CAUGHT_UP_S = 30.0
"""Real time (s) within which the waiting points must be sent."""
FULL = 1
"""File size limit (bytes) that simulates a full disk: existing content cannot be changed either."""
LEAK_WARM_S, LEAK_S = 1860.0, 7260.0
"""Times (s) a minute after the start of an MPC run."""
GROWTH = 0.05


async def influx_failing(context: TrialContext, database: FaultyInflux) -> InjectionResult:
    """22: the database fails in every way; in the end it must have every point but the one that it refuses."""
    faulted = context.faulted
    begins = await context.run_to_injection()
    database.failing, before = True, database.answers.total()
    ends_s = time.monotonic() + FAILING_S
    while database.answers.total() < before + REQUESTS and time.monotonic() < ends_s:
        await faulted.run_until(faulted.now_s + faulted.job.period_s)
        await asyncio.sleep(0.2)
    database.failing = False
    fault = context.fault("InfluxDB unwell", Kind.OTHER, begins)
    await context.run_recovery()
    waited_s = time.monotonic() + CAUGHT_UP_S
    while (missing := _missing(faulted.folder, database)) and time.monotonic() < waited_s:
        await asyncio.sleep(0.5)
    complaints = [f"{len(missing)} points not delivered, {missing[0]}"] if missing else []
    if database.refused_line not in _dead(faulted.folder / DEAD_LETTERS):
        complaints.append(f"{database.refused_line} is not a dead letter")
    return InjectionResult(fault, tuple(complaints), alarm="telemetry forwarding")


def _missing(folder: Path, database: FaultyInflux) -> list[str]:
    """Telemetry lines that the database neither has nor refuses."""
    lines = export_line_protocol(folder / "telemetry.sqlite", folder / "export").read_text().splitlines()
    return [line for line in lines if line not in database.lines and line != database.refused_line]


def _dead(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text().splitlines()] if path.exists() else []


async def disk_full(context: TrialContext) -> InjectionResult:
    """23: no file can grow or change; what cannot be audited is not written, and converters become safe."""
    faulted = context.faulted
    begins = await context.run_to_injection()
    _, hard = resource.prlimit(faulted.running_controller.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(faulted.running_controller.pid, resource.RLIMIT_FSIZE, (FULL, hard))
    await context.run_for(40.0, 120.0)
    complaints = () if faulted.state.failures else ("cycles went on without an audit trail",)
    resource.prlimit(faulted.running_controller.pid, resource.RLIMIT_FSIZE, (hard, hard))
    fault = context.fault("disk full", Kind.DISK, begins)
    await faulted.run_until(faulted.now_s + faulted.job.period_s)
    if faulted.state.mode != Mode.ACTIVE:
        await faulted.activate()
    await context.run_recovery()
    return InjectionResult(fault, complaints)


async def long_run(context: TrialContext) -> InjectionResult:
    """29: two hours, after which memory, open files, sockets and tasks must be back at their earlier level."""
    faulted = context.faulted
    await faulted.run_until(LEAK_WARM_S)
    begins, before = faulted.now, await context.resources()
    await faulted.run_until(LEAK_S)
    fault, after = context.fault("two hours", Kind.OTHER, begins), await context.resources()
    await context.run_recovery()
    growth = after.rss_kb / before.rss_kb - 1
    grown = (f"memory grew by {100 * growth:.1f} %",) if growth > GROWTH else ()
    return InjectionResult(fault, (*resource_leaks(before, after), *grown))
