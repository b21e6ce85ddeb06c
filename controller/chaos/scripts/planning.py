"""No good plans: a planner that takes long, finds nothing, lies, dies, or is not asked."""

import os
import signal
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.chaos.faulty_planner import FaultyPlanner, Mood
from controller.chaos.script import Injected, TrialContext
from controller.judge.case import Kind

EARLY_S = 180.0
"""When the first run of the MPC is due; the next ones follow every :data:`EVERY_S`."""
EVERY_S = 600.0
LONG: Mapping[str, Any] = {"gap_tol": 1e-12, "max_iterations": 1_000_000, "budget_s": 4.0}
SHORT: tuple[Mapping[str, Any], ...] = ({"max_iterations": 1}, {"budget_s": 1e-3}, {"max_iterations": 2})
LIES = (Mood.NAN, Mood.ABSURD, Mood.SHAPE, Mood.INFEASIBLE, Mood.GARBAGE)
SILENT_S = 26 * 60.0


async def busy(context: TrialContext) -> Injected:
    """3: the MPC computes for seconds of real time, and cycles go on."""
    faulted = context.faulted
    begins = await _before_the_first_run(context)
    faulted.led.wait = False
    began_s, began_at_s, slowest_s = time.monotonic(), faulted.now_s, 0.0
    while time.monotonic() < began_s + LONG["budget_s"]:
        step_s = time.monotonic()
        await faulted.until(faulted.now_s + faulted.job.period_s)
        slowest_s = max(slowest_s, time.monotonic() - step_s)
    faulted.led.wait = True
    cycles = (faulted.now_s - began_at_s) / faulted.job.period_s
    fault = context.fault("long MPC", Kind.OTHER, begins)
    await context.aftermath()
    complaint = f"{cycles:.0f} cycles while the MPC computed, the slowest in {slowest_s:.2f} s"
    return Injected(fault, () if slowest_s < LONG["budget_s"] / 2 else (complaint,))


async def hurried(context: TrialContext) -> Injected:
    """4: no coordination converges."""
    begins = await _before_the_first_run(context)
    await context.passing(65.0, 90.0)
    fault = context.fault("not converged", Kind.PLANNER, begins, noticeable=False)
    await context.aftermath()
    return Injected(fault, alarm="MPC status")


async def lied_to(context: TrialContext, planner: FaultyPlanner) -> Injected:
    """5: what the planner says cannot be; the plan in force stays."""
    planner.mood = LIES[context.seed % len(LIES)]
    begins = await _before_the_first_run(context)
    await context.passing(65.0, 90.0)
    fault = context.fault(f"planner: {planner.mood}", Kind.PLANNER, begins)
    complaints = () if planner.led else ("nobody asked the planner",)
    planner.mood = Mood.HONEST
    await context.faulted.until(EARLY_S + EVERY_S + 60.0)
    return Injected(fault, complaints, alarm="MPC status")


async def bereaved(context: TrialContext) -> Injected:
    """6: the planner's process is killed while it computes; the next run has a new one."""
    faulted = context.faulted
    begins = await _before_the_first_run(context)
    faulted.led.wait = False
    await faulted.until(EARLY_S)
    os.kill(_planner(faulted.alive.pid), signal.SIGKILL)
    faulted.led.wait = True
    await context.passing(65.0, 90.0)
    fault = context.fault("planner killed", Kind.PLANNER, begins)
    await faulted.until(EARLY_S + EVERY_S + 60.0)
    complaints = () if _planner(faulted.alive.pid) else ("no new planner",)
    return Injected(fault, complaints, alarm="MPC status")


async def unplanned(context: TrialContext) -> Injected:
    """26: nobody asks for an MPC for 26 minutes; the day-ahead plan serves, and an alarm says so."""
    faulted = context.faulted
    await faulted.until(EARLY_S + 60.0)
    begins = await context.passing(0.0, 30.0)
    faulted.led.plan = False
    await faulted.until(faulted.now_s + SILENT_S)
    faulted.led.plan = True
    await faulted.until((faulted.now_s - EARLY_S) // EVERY_S * EVERY_S + EARLY_S + EVERY_S + 60.0)
    fault = context.fault("no MPC", Kind.PLANNER, begins)
    await context.aftermath()
    return Injected(fault, alarm="MPC overdue")


async def _before_the_first_run(context: TrialContext) -> datetime:
    """A moment shortly before it; so long nobody asks for one."""
    context.faulted.led.plan = False
    begins = await context.warmed_up(EARLY_S - 30.0)
    context.faulted.led.plan = True
    return begins


def _planner(pid: int) -> int:
    """The child of a controller that plans; 0 without one."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0
