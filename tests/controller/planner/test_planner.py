"""Plans from the child process: the same as in this one, and what happens when it is late, dies, or is not needed."""

import asyncio
import os
import pickle
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from controller.planner.planner import DayAheadJob, Failure, Planner, PlannerError, ReplanJob
from controller.process.clocks import WallClock
from core.codec import encode
from core.config_coordination import CoordinationConfig
from core.errors import Fault, GridlabError, InputError, SolverError, SolverLicenceError
from core.scenario import Scenario
from mpc.coordination.outcome import CoordinationStatus
from mpc.day_ahead import CoordinatedDay, DayAhead
from mpc.forecast import Observed
from mpc.intra_day import RunningPlan, Situation, replan, replan_uncoordinated
from mpc.solvers.quadratic import PIQP
from tests.support.asynchronous import run
from tests.support.coordination import coordinate, uncoordinated
from tests.support.paths import ROOT
from tests.support.synthetic import scenario

SETTINGS = CoordinationConfig()
ENDLESS = CoordinationConfig(gap_tol=1e-15, max_iterations=10**6)
STEP = 20
AT_ONCE_S = 2.0
"""More than a busy machine delays, less than any deadline here."""


@pytest.fixture(scope="module")
def day() -> Scenario:
    return scenario(n_nodes=15, n_prosumers=5)


@pytest.fixture(scope="module")
def running(day: Scenario) -> RunningPlan:
    return RunningPlan.of(coordinate(day, SETTINGS, WallClock()))


@pytest.fixture(scope="module")
def job(day: Scenario, running: RunningPlan) -> ReplanJob:
    seen = {
        site.name: Observed(
            float(site.outlook.load_kw[STEP]), float(site.outlook.load_kvar[STEP]), 1.2 * k, 0.3 + 0.1 * k
        )
        for k, site in enumerate(day.sites)
    }
    return ReplanJob(day, STEP, seen, 1.01, running, SETTINGS)


@dataclass
class Session:
    """What one child answered."""

    coordinated: DayAhead
    selfish: DayAhead
    replanned: RunningPlan
    replanned_selfish: RunningPlan
    two: "TwoJobs"
    errors: list[Exception]
    pids: set[int | None]


@pytest.fixture(scope="module")
def session(day: Scenario, gridlab9: Scenario, job: ReplanJob) -> Session:
    async def held() -> Session:
        async with Planner(best_s=0.4) as planner:
            pids = {planner.pid}
            session = Session(
                coordinated=(await planner.answer(DayAheadJob(day, SETTINGS, PIQP, True))).made,
                selfish=(await planner.answer(DayAheadJob(day, SETTINGS, PIQP, False))).made,
                replanned=(await planner.answer(job)).running,
                replanned_selfish=(await planner.answer(replace(job, coordinate=False))).running,
                two=await two_jobs(planner, day, replace(job, settings=ENDLESS)),
                errors=[
                    await error(planner.answer(DayAheadJob(day, SETTINGS, "mosek", True))),
                    await error(planner.answer(DayAheadJob(gridlab9, SETTINGS, "gurobi", True))),
                    await error(planner.answer(replace(job, step=48))),
                ],
                pids=pids,
            )
            pids.add(planner.pid)
        return session

    return run(held())


@dataclass
class TwoJobs:
    """Two jobs at once, in the midst of which the whole service is told to stop."""

    first: DayAhead | None
    second: RunningPlan
    ended: list[str]
    ticks: int


async def two_jobs(planner: Planner, day: Scenario, job: ReplanJob) -> TwoJobs:
    ended: list[str] = []
    first = asyncio.create_task(planner.answer(DayAheadJob(day, ENDLESS, PIQP, True)))
    second = asyncio.create_task(planner.answer(job))
    for name, task in (("first", first), ("second", second)):
        task.add_done_callback(lambda _, name=name: ended.append(name))
    ticks = 0
    while len(ended) < 2:
        await asyncio.sleep(0.01)
        ticks += 1
        if ticks == 5:
            assert planner.pid
            for number in (signal.SIGINT, signal.SIGTERM):
                os.kill(planner.pid, number)
    return TwoJobs((await first).made, (await second).running, ended, ticks)


async def error(work: Awaitable[object]) -> Exception:
    with pytest.raises(GridlabError) as caught:
        await work
    return caught.value


def numbers(day: RunningPlan) -> object:
    """Every bit of a plan, without the wall times of its computation."""
    assert day.computed is not None
    rounds = [replace(iteration, wall_ms=0.0) for iteration in day.computed.outcome.iterations]
    return encode([replace(day, computed=None), rounds, *vars(day.computed.outcome.splitting).values()])


def test_day_ahead_plans_are_those_of_a_call_in_process_bit_for_bit(session: Session, day: Scenario) -> None:
    here = coordinate(day, SETTINGS, WallClock())
    assert numbers(RunningPlan.of(session.coordinated)) == numbers(RunningPlan.of(here))
    assert encode(RunningPlan.of(session.selfish)) == encode(RunningPlan.of(uncoordinated(day, SETTINGS)))


def test_intra_day_plans_are_those_of_a_call_in_process_bit_for_bit(session: Session, job: ReplanJob) -> None:
    now = Situation(job.day, job.step, job.observed, job.slack_voltage_pu)
    assert numbers(session.replanned) == numbers(replan(now, job.running, SETTINGS, WallClock()))
    assert encode(session.replanned_selfish) == encode(replan_uncoordinated(now, SETTINGS))


def test_the_budget_ends_with_the_best_plan_so_far(session: Session) -> None:
    assert isinstance(session.two.first, CoordinatedDay)
    assert session.two.first.outcome.status is CoordinationStatus.BUDGET


def test_jobs_wait_for_their_turn_and_the_event_loop_for_nobody(session: Session) -> None:
    assert session.two.ended == ["first", "second"]
    assert session.two.second.computed_for == STEP
    assert session.two.ticks > 20


def test_errors_come_back_as_they_are(session: Session, day: Scenario, gridlab9: Scenario) -> None:
    missing, licence, unexpected = session.errors
    for there, solver, scenario_ in ((missing, "mosek", day), (licence, "gurobi", gridlab9)):
        with pytest.raises(GridlabError) as here:
            coordinate(scenario_, SETTINGS, WallClock(), solver)
        assert (type(there), str(there)) == (type(here.value), str(here.value))
    assert (type(missing), type(licence)) == (SolverError, SolverLicenceError)
    text = "planner: plan of 2018-06-21 from step 48: ValueError: step 48 is not within the day of 48 steps"
    assert (type(unexpected), str(unexpected)) == (PlannerError, text)
    assert "in remaining" in unexpected.__notes__[0]


def test_one_child_did_all_of_that_and_left_signals_to_its_parent(session: Session) -> None:
    assert len(session.pids) == 1


def test_bad_input_comes_back_with_all_its_faults() -> None:
    error = InputError([Fault("lab.yaml", "limits.v_min_pu", "2", "less"), Fault("day.csv", "line 3", "", "a number")])
    back = pickle.loads(pickle.dumps(Failure.of(error, "where"))).error("plan")
    assert isinstance(back, InputError)
    assert (back.faults, str(back), back.__notes__) == (error.faults, str(error), ["where"])


async def test_whatever_ends_the_child_the_next_job_starts_another(day: Scenario) -> None:
    async with Planner(kill_s=1.5) as planner:
        await late(planner, day)
        await killed_while_computing(planner, day)
        await killed_while_idle(planner, day)
        await cancelled(planner, day)
        task = await endless(planner, day)
    with pytest.raises(PlannerError, match="died with signal 9"):
        await task
    assert planner.pid is None


async def late(planner: Planner, day: Scenario) -> None:
    with pytest.raises(PlannerError) as caught:
        await planner.answer(DayAheadJob(day, ENDLESS, PIQP, True))
    assert str(caught.value) == "planner: plan of 2018-06-21: no answer after 1.5 s, process killed"
    assert planner.pid is None


async def killed_while_computing(planner: Planner, day: Scenario) -> None:
    task = await endless(planner, day)
    assert planner.pid
    os.kill(planner.pid, signal.SIGKILL)
    killed_s = time.monotonic()
    with pytest.raises(PlannerError, match="plan of 2018-06-21: process died with signal 9 .SIGKILL."):
        await task
    assert time.monotonic() - killed_s < AT_ONCE_S


async def killed_while_idle(planner: Planner, day: Scenario) -> None:
    """That costs no plan."""
    await planned(planner, day)
    assert planner.pid
    os.kill(planner.pid, signal.SIGKILL)
    while planner.pid is not None:
        await asyncio.sleep(0.01)
    await planned(planner, day)


async def cancelled(planner: Planner, day: Scenario) -> None:
    task = await endless(planner, day)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert planner.pid is None


async def endless(planner: Planner, day: Scenario) -> "asyncio.Task[DayAhead]":
    """A job that a living child computes by now and that does not end by itself."""
    await planned(planner, day)
    task = asyncio.create_task(planner.answer(DayAheadJob(day, ENDLESS, PIQP, True)))
    await asyncio.sleep(0.1)
    assert not task.done()
    return task


async def planned(planner: Planner, day: Scenario) -> None:
    plan = (await planner.answer(DayAheadJob(day, SETTINGS, PIQP, True))).made
    assert isinstance(plan, CoordinatedDay)
    assert plan.outcome.status is CoordinationStatus.CONVERGED


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of another process")
async def test_a_plan_that_does_not_fit_into_memory(day: Scenario) -> None:
    large = scenario(n_nodes=80, n_prosumers=10, step_min=10)
    async with Planner() as planner:
        await planned(planner, day)
        assert planner.pid
        pages = int(Path(f"/proc/{planner.pid}/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 16 * 2**20
        resource.prlimit(planner.pid, resource.RLIMIT_AS, (limit, limit))
        with pytest.raises(PlannerError, match="plan of 2018-06-21: out of memory"):
            await planner.answer(DayAheadJob(large, SETTINGS, PIQP, True))


PARENT = """
import asyncio
from controller.planner.planner import DayAheadJob, Planner
from tests.controller.planner.test_planner import ENDLESS
from mpc.solvers.quadratic import PIQP
from tests.support.synthetic import scenario

async def main() -> None:
    async with Planner() as planner:
        task = asyncio.create_task(planner.answer(DayAheadJob(scenario(), ENDLESS, PIQP, True)))
        await asyncio.sleep(0.5)
        print("computing", flush=True)
        await task

asyncio.run(main())
"""


def test_the_child_does_not_outlive_its_parent() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    ) as parent:
        assert parent.stdout
        assert parent.stderr
        assert parent.stdout.readline() == "computing\n"
        parent.kill()
        killed_s = time.monotonic()
        assert parent.stderr.read() == ""  # ends when no process holds it any more, the child included
        assert time.monotonic() - killed_s < AT_ONCE_S
