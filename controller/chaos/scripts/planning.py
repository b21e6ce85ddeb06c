"""No good plans: a planner that takes long, finds nothing, lies, dies, or is not asked."""

import os
import signal
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.chaos.faulty_planner import Liar, Mood
from controller.chaos.script import Played, Take
from controller.judge.case import Kind

EARLY_S = 180.0
"""When the first run of the MPC is due; the next ones follow every :data:`EVERY_S`."""
EVERY_S = 600.0
LONG: Mapping[str, Any] = {"gap_tol": 1e-12, "max_iterations": 1_000_000, "budget_s": 4.0}
SHORT: tuple[Mapping[str, Any], ...] = ({"max_iterations": 1}, {"budget_s": 1e-3}, {"max_iterations": 2})
LIES = (Mood.NAN, Mood.ABSURD, Mood.SHAPE, Mood.INFEASIBLE, Mood.GARBAGE)
SILENT_S = 26 * 60.0


async def busy(take: Take) -> Played:
    """3: the MPC computes for seconds of real time, and cycles go on."""
    stage = take.stage
    begins = await _before_the_first_run(take)
    stage.told.wait = False
    began_s, began_at_s, slowest_s = time.monotonic(), stage.now_s, 0.0
    while time.monotonic() < began_s + LONG["budget_s"]:
        step_s = time.monotonic()
        await stage.until(stage.now_s + stage.job.period_s)
        slowest_s = max(slowest_s, time.monotonic() - step_s)
    stage.told.wait = True
    cycles = (stage.now_s - began_at_s) / stage.job.period_s
    fault = take.fault("long MPC", Kind.OTHER, begins)
    await take.aftermath()
    complaint = f"{cycles:.0f} cycles while the MPC computed, the slowest in {slowest_s:.2f} s"
    return Played(fault, () if slowest_s < LONG["budget_s"] / 2 else (complaint,))


async def hurried(take: Take) -> Played:
    """4: no coordination converges."""
    begins = await _before_the_first_run(take)
    await take.passing(65.0, 90.0)
    fault = take.fault("not converged", Kind.PLANNER, begins, noticeable=False)
    await take.aftermath()
    return Played(fault, alarm="MPC status")


async def lied_to(take: Take, liar: Liar) -> Played:
    """5: what the planner says cannot be; the plan in force stays."""
    liar.mood = LIES[take.seed % len(LIES)]
    begins = await _before_the_first_run(take)
    await take.passing(65.0, 90.0)
    fault = take.fault(f"planner: {liar.mood}", Kind.PLANNER, begins)
    complaints = () if liar.told else ("nobody asked the planner",)
    liar.mood = Mood.HONEST
    await take.stage.until(EARLY_S + EVERY_S + 60.0)
    return Played(fault, complaints, alarm="MPC status")


async def bereaved(take: Take) -> Played:
    """6: the planner's process is killed while it computes; the next run has a new one."""
    stage = take.stage
    begins = await _before_the_first_run(take)
    stage.told.wait = False
    await stage.until(EARLY_S)
    os.kill(_planner(stage.alive.pid), signal.SIGKILL)
    stage.told.wait = True
    await take.passing(65.0, 90.0)
    fault = take.fault("planner killed", Kind.PLANNER, begins)
    await stage.until(EARLY_S + EVERY_S + 60.0)
    complaints = () if _planner(stage.alive.pid) else ("no new planner",)
    return Played(fault, complaints, alarm="MPC status")


async def unplanned(take: Take) -> Played:
    """26: nobody asks for an MPC for 26 minutes; the day-ahead plan serves, and an alarm says so."""
    stage = take.stage
    await stage.until(EARLY_S + 60.0)
    begins = await take.passing(0.0, 30.0)
    stage.told.plan = False
    await stage.until(stage.now_s + SILENT_S)
    stage.told.plan = True
    await stage.until((stage.now_s - EARLY_S) // EVERY_S * EVERY_S + EARLY_S + EVERY_S + 60.0)
    fault = take.fault("no MPC", Kind.PLANNER, begins)
    await take.aftermath()
    return Played(fault, alarm="MPC overdue")


async def _before_the_first_run(take: Take) -> datetime:
    """A moment shortly before it; so long nobody asks for one."""
    take.stage.told.plan = False
    begins = await take.warmed_up(EARLY_S - 30.0)
    take.stage.told.plan = True
    return begins


def _planner(pid: int) -> int:
    """The child of a controller that plans; 0 without one."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0
