"""What is to be kept cannot be: a database that is down, a disk that is full; and what a long run leaves behind."""

import asyncio
import json
import resource
import time
from pathlib import Path

from controller.chaos.script import Injected, TrialContext
from controller.chaos.scripts.devices import leaks
from controller.chaos.sink import Sink
from controller.judge.case import Kind
from controller.process.modes import Mode
from controller.record.export import export_line_protocol
from controller.record.outbox import DEAD_LETTERS

ASKED, UNWELL_S = 3, 40.0
"""How often the database has been asked in vain when it is well again; real time in which that happens."""
CAUGHT_UP_S = 30.0
"""Real time in which what waited has been sent."""
FULL = 1
"""Bytes that a file may have on a full disk: what is there already cannot be changed either."""
LEAK_WARM_S, LEAK_S = 1860.0, 7260.0
"""A minute after a run of the MPC began."""
GROWTH = 0.05


async def unforwarded(context: TrialContext, sink: Sink) -> Injected:
    """22: the database fails in every way; in the end it has every point, but the one that it refuses."""
    faulted = context.faulted
    begins = await context.warmed_up()
    sink.unwell, before = True, sink.answers.total()
    ends_s = time.monotonic() + UNWELL_S
    while sink.answers.total() < before + ASKED and time.monotonic() < ends_s:
        await faulted.until(faulted.now_s + faulted.job.period_s)
        await asyncio.sleep(0.2)
    sink.unwell = False
    fault = context.fault("InfluxDB unwell", Kind.OTHER, begins)
    await context.aftermath()
    waited_s = time.monotonic() + CAUGHT_UP_S
    while (missing := _missing(faulted.folder, sink)) and time.monotonic() < waited_s:
        await asyncio.sleep(0.5)
    complaints = [f"{len(missing)} points not delivered, {missing[0]}"] if missing else []
    if sink.poison not in _dead(faulted.folder / DEAD_LETTERS):
        complaints.append(f"{sink.poison} is no dead letter")
    return Injected(fault, tuple(complaints), alarm="telemetry forwarding")


def _missing(folder: Path, sink: Sink) -> list[str]:
    """Lines of the telemetry that the database neither has nor refuses."""
    lines = export_line_protocol(folder / "telemetry.sqlite", folder / "export").read_text().splitlines()
    return [line for line in lines if line not in sink.lines and line != sink.poison]


def _dead(path: Path) -> list[str]:
    return [json.loads(line)["text"] for line in path.read_text().splitlines()] if path.exists() else []


async def disk_full(context: TrialContext) -> Injected:
    """23: no file can grow or change; what cannot be audited is not written, and converters go safe."""
    faulted = context.faulted
    begins = await context.warmed_up()
    _, hard = resource.prlimit(faulted.alive.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(faulted.alive.pid, resource.RLIMIT_FSIZE, (FULL, hard))
    await context.passing(40.0, 120.0)
    complaints = () if faulted.led.failures else ("cycles went on without an audit trail",)
    resource.prlimit(faulted.alive.pid, resource.RLIMIT_FSIZE, (hard, hard))
    fault = context.fault("disk full", Kind.DISK, begins)
    await faulted.until(faulted.now_s + faulted.job.period_s)
    if faulted.led.mode != Mode.ACTIVE:
        await faulted.arm()
    await context.aftermath()
    return Injected(fault, complaints)


async def long_run(context: TrialContext) -> Injected:
    """29: two hours, after which memory, open files, sockets and tasks are what they were."""
    faulted = context.faulted
    await faulted.until(LEAK_WARM_S)
    begins, before = faulted.now, await context.resources()
    await faulted.until(LEAK_S)
    fault, after = context.fault("two hours", Kind.OTHER, begins), await context.resources()
    await context.aftermath()
    growth = after.rss_kb / before.rss_kb - 1
    grown = (f"memory grew by {100 * growth:.1f} %",) if growth > GROWTH else ()
    return Injected(fault, (*leaks(before, after), *grown))
