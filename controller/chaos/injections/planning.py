"""No good plans: a planner that takes long, does not converge, answers wrongly, dies, or is not asked."""

import os
import signal
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.chaos.faulty_planner import FaultyPlanner, PlannerFault
from controller.chaos.injection import InjectionResult, TrialContext
from controller.judge.case import Kind

EARLY_S = 180.0
"""When the first MPC run is due (s); the next ones follow every :data:`EVERY_S`."""
EVERY_S = 600.0
LONG: Mapping[str, Any] = {"gap_tol": 1e-12, "max_iterations": 1_000_000, "budget_s": 4.0}
SHORT: tuple[Mapping[str, Any], ...] = ({"max_iterations": 1}, {"budget_s": 1e-3}, {"max_iterations": 2})
FAULTS = (PlannerFault.NAN, PlannerFault.ABSURD, PlannerFault.SHAPE, PlannerFault.INFEASIBLE, PlannerFault.GARBAGE)
SILENT_S = 26 * 60.0


async def long_computation(context: TrialContext) -> InjectionResult:
    """3: the MPC computes for seconds of real time; cycles must go on."""
    faulted = context.faulted
    begins = await run_to_first_mpc(context)
    faulted.state.wait = False
    start_s, start_at_s, slowest_s = time.monotonic(), faulted.now_s, 0.0
    while time.monotonic() < start_s + LONG["budget_s"]:
        step_s = time.monotonic()
        await faulted.run_until(faulted.now_s + faulted.job.period_s)
        slowest_s = max(slowest_s, time.monotonic() - step_s)
    faulted.state.wait = True
    cycles = (faulted.now_s - start_at_s) / faulted.job.period_s
    fault = context.fault("long MPC", Kind.OTHER, begins)
    await context.run_recovery()
    complaint = f"{cycles:.0f} cycles while the MPC computed, the slowest in {slowest_s:.2f} s"
    return InjectionResult(fault, () if slowest_s < LONG["budget_s"] / 2 else (complaint,))


async def no_convergence(context: TrialContext) -> InjectionResult:
    """4: no coordination converges."""
    begins = await run_to_first_mpc(context)
    await context.run_for(65.0, 90.0)
    fault = context.fault("not converged", Kind.PLANNER, begins, noticeable=False)
    await context.run_recovery()
    return InjectionResult(fault, alarm="MPC status")


async def faulty_plan(context: TrialContext, planner: FaultyPlanner) -> InjectionResult:
    """5: the planner's answer is invalid; the current plan must stay."""
    planner.fault = FAULTS[context.seed % len(FAULTS)]
    begins = await run_to_first_mpc(context)
    await context.run_for(65.0, 90.0)
    fault = context.fault(f"planner: {planner.fault}", Kind.PLANNER, begins)
    complaints = () if planner.faulty_answers else ("the planner got no job",)
    planner.fault = PlannerFault.NONE
    await context.faulted.run_until(EARLY_S + EVERY_S + 60.0)
    return InjectionResult(fault, complaints, alarm="MPC status")


async def planner_killed(context: TrialContext) -> InjectionResult:
    """6: the planner's process is killed while it computes; the next run has a new one."""
    faulted = context.faulted
    begins = await run_to_first_mpc(context)
    faulted.state.wait = False
    await faulted.run_until(EARLY_S)
    os.kill(_planner(faulted.running_controller.pid), signal.SIGKILL)
    faulted.state.wait = True
    await context.run_for(65.0, 90.0)
    fault = context.fault("planner killed", Kind.PLANNER, begins)
    await faulted.run_until(EARLY_S + EVERY_S + 60.0)
    complaints = () if _planner(faulted.running_controller.pid) else ("no new planner",)
    return InjectionResult(fault, complaints, alarm="MPC status")


async def no_mpc(context: TrialContext) -> InjectionResult:
    """26: no MPC is asked for during 26 minutes; the day-ahead plan is used, and an alarm is raised."""
    faulted = context.faulted
    await faulted.run_until(EARLY_S + 60.0)
    begins = await context.run_for(0.0, 30.0)
    faulted.state.plan = False
    await faulted.run_until(faulted.now_s + SILENT_S)
    faulted.state.plan = True
    await faulted.run_until((faulted.now_s - EARLY_S) // EVERY_S * EVERY_S + EARLY_S + EVERY_S + 60.0)
    fault = context.fault("no MPC", Kind.PLANNER, begins)
    await context.run_recovery()
    return InjectionResult(fault, alarm="MPC overdue")


async def run_to_first_mpc(context: TrialContext) -> datetime:
    """Run until shortly before the first MPC run, without asking for one; returns that time."""
    context.faulted.state.plan = False
    begins = await context.run_to_injection(EARLY_S - 30.0)
    context.faulted.state.plan = True
    return begins


def _planner(pid: int) -> int:
    """Process id of the planner of a controller; 0 without one."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0
