"""Plans from a planner that is a service of its own: the same ones, and what happens when it is late, dies, or lies."""

import asyncio
import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from controller.planner.answer import Answer
from controller.planner.link import PlannerLink
from controller.planner.planner import SIZE, DayAheadJob, Planner, PlannerError, ReplanJob
from controller.planner.server import listening
from controller.planner.wire import LARGEST_MESSAGE, decode_answer, without_coordination
from controller.process.clocks import WallClock
from controller.process.systemd import ADDRESS
from core.codec import encode
from core.config_coordination import CoordinationConfig
from core.errors import GridlabError, SolverError, SolverLicenceError
from core.scenario import Scenario
from mpc.coordination.outcome import CoordinationStatus
from mpc.forecast import Observed
from mpc.intra_day import RunningPlan, Situation, replan
from mpc.solvers.quadratic import PIQP
from tests.support.asynchronous import run
from tests.support.coordination import coordinate, uncoordinated
from tests.support.paths import ROOT
from tests.support.synthetic import scenario

SETTINGS = CoordinationConfig()
ENDLESS = CoordinationConfig(gap_tol=1e-15, max_iterations=10**6)
STEP = 20


@pytest.fixture(scope="module")
def day() -> Scenario:
    return scenario(n_nodes=15, n_prosumers=5)


def asked(day: Scenario, settings: CoordinationConfig = SETTINGS, solver: str = PIQP) -> DayAheadJob:
    return DayAheadJob(day, settings, solver, coordinate=True)


def rest(day: Scenario, running: RunningPlan, step: int = STEP) -> ReplanJob:
    seen = {
        site.name: Observed(
            float(site.outlook.load_kw[step]), float(site.outlook.load_kvar[step]), 1.2 * k, 0.3 + 0.1 * k
        )
        for k, site in enumerate(day.sites)
    }
    return ReplanJob(day, step, seen, 1.01, running, SETTINGS)


def cold(job: ReplanJob) -> ReplanJob:
    """As after a restart of the planner: the plan is known, where it came from is not."""
    assert job.running
    return replace(job, running=without_coordination(job.running))


def here(job: ReplanJob) -> Answer:
    now = Situation(job.day, job.step, job.observed, job.slack_voltage_pu)
    return Answer.of(replan(now, job.running, job.settings, WallClock()))


@asynccontextmanager
async def linked(path: Path, kill_s: float = 20.0, best_s: float = 10.0) -> AsyncIterator[tuple[PlannerLink, Planner]]:
    """A planner listening at a socket, and who asks it; both in this event loop."""
    async with Planner(best_s, kill_s) as planner, listening(planner, path), PlannerLink(path, best_s, kill_s) as link:
        yield link, planner


@dataclass
class Session:
    """What one planner answered."""

    first: Answer
    selfish: Answer
    warm: Answer
    tomorrow: Answer
    later: Answer
    errors: list[GridlabError]
    mode: int


@pytest.fixture(scope="module")
def session(day: Scenario, gridlab9: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Session:
    path = tmp_path_factory.mktemp("link") / "planner.sock"

    async def held() -> Session:
        async with linked(path) as (link, _):
            first = await link.answer(asked(day))
            warm = await link.answer(rest(day, first.running))
            return Session(
                first=first,
                warm=warm,
                tomorrow=await link.answer(asked(scenario(n_nodes=15, day=date(2018, 6, 22)))),
                later=await link.answer(rest(day, warm.running, STEP + 1)),
                selfish=await link.answer(DayAheadJob(scenario(seed=1), SETTINGS, PIQP, coordinate=False)),
                errors=[
                    await refused(link, asked(day, solver="mosek")),
                    await refused(link, asked(gridlab9, solver="gurobi")),
                    await refused(link, replace(rest(day, first.running), step=48)),
                ],
                mode=path.stat().st_mode,
            )

    return run(held())


async def refused(link: PlannerLink, job: DayAheadJob | ReplanJob) -> GridlabError:
    with pytest.raises(GridlabError) as caught:
        await link.answer(job)
    return caught.value


def test_plans_are_those_of_a_call_in_process_bit_for_bit(session: Session, day: Scenario) -> None:
    first = Answer.of(coordinate(day, SETTINGS, WallClock()))
    assert encode(without_coordination(session.first.running)) == encode(without_coordination(first.running))
    assert session.first.report == first.report
    selfish = RunningPlan.of(uncoordinated(scenario(seed=1), SETTINGS))
    assert (encode(session.selfish.running), session.selfish.report) == (encode(selfish), None)


def test_the_planner_keeps_what_a_plan_came_from_and_starts_warm(session: Session, day: Scenario) -> None:
    """Also where it planned tomorrow in between."""
    first = RunningPlan.of(coordinate(day, SETTINGS, WallClock()))
    warm = here(rest(day, first))
    assert encode(without_coordination(session.warm.running)) == encode(without_coordination(warm.running))
    later = here(rest(day, warm.running, STEP + 1))
    assert encode(without_coordination(session.later.running)) == encode(without_coordination(later.running))
    assert session.later.report == later.report
    assert later.report
    assert session.tomorrow.report


async def test_a_plan_that_was_made_elsewhere_is_a_cold_start(day: Scenario, session: Session, tmp_path: Path) -> None:
    async def test() -> Answer:
        async with linked(tmp_path / "planner.sock") as (link, _):
            return await link.answer(rest(day, session.first.running))

    answer = await test()
    there = here(cold(rest(day, session.first.running)))
    assert encode(answer.running) == encode(without_coordination(there.running))
    assert answer.report == there.report != session.warm.report


def test_errors_come_back_as_they_are(session: Session, day: Scenario) -> None:
    missing, licence, unexpected = session.errors
    with pytest.raises(SolverError) as caught:
        coordinate(day, SETTINGS, WallClock(), "mosek")
    assert (type(missing), str(missing)) == (SolverError, str(caught.value))
    assert type(licence) is SolverLicenceError
    text = "planner: plan of 2018-06-21 from step 48: ValueError: step 48 is not within the day of 48 steps"
    assert (type(unexpected), str(unexpected)) == (PlannerError, text)
    assert "in remaining" in unexpected.__notes__[0]


def test_only_owner_and_group_may_ask(session: Session) -> None:
    assert stat.S_IMODE(session.mode) == 0o660


async def test_the_child_is_killed_at_its_deadline_and_the_next_job_has_another(day: Scenario, tmp_path: Path) -> None:
    async with linked(tmp_path / "planner.sock", kill_s=3.0) as (link, planner):
        error = await refused(link, asked(day, ENDLESS))
        assert str(error) == "planner: plan of 2018-06-21: no answer after 3 s, process killed"
        assert planner.pid is None
        assert (await link.answer(asked(day))).report


async def test_the_budget_ends_with_the_best_plan_so_far(day: Scenario, tmp_path: Path) -> None:
    async def test() -> Answer:
        async with linked(tmp_path / "planner.sock", best_s=0.3) as (link, _):
            return await link.answer(asked(day, ENDLESS))

    answer = await test()
    assert answer.report
    assert answer.report.status is CoordinationStatus.BUDGET


async def test_a_caller_who_hangs_up_ends_the_computation(day: Scenario, tmp_path: Path) -> None:
    async with linked(tmp_path / "planner.sock") as (link, planner):
        task = asyncio.create_task(link.answer(asked(day, ENDLESS)))
        await asyncio.sleep(0.3)
        assert planner.pid
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while planner.pid is not None:
            await asyncio.sleep(0.01)


async def test_nobody_listens(day: Scenario, tmp_path: Path) -> None:
    path = tmp_path / "planner.sock"
    with pytest.raises(PlannerError, match=f"planner: plan of 2018-06-21: {path}: "):
        await PlannerLink(path).answer(asked(day))


async def replied(path: Path, message: bytes) -> bytes:
    """What a client gets for a message; empty if the planner hangs up."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(message)
    try:
        (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        return b""
    finally:
        writer.close()


class Payload:
    """Creates a file wherever it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


async def test_a_job_that_cannot_be_read_is_refused_and_runs_nothing(tmp_path: Path, day: Scenario) -> None:
    path, trace = tmp_path / "planner.sock", tmp_path / "trace"
    pickle.loads(pickle.dumps(Payload(trace)))
    assert trace.exists(), "the payload works"
    trace.unlink()
    messages = [b"job", *(pickle.dumps(Payload(trace), protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1))]
    async with Planner() as planner, listening(planner, path):
        for message in messages:
            reply = await replied(path, SIZE.pack(len(message)) + message)
            with pytest.raises(PlannerError, match="planner: no job of this version"):
                decode_answer(reply, asked(day))
    assert not trace.exists()


async def test_a_job_that_is_too_long_or_never_comes_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "planner.sock"
    monkeypatch.setattr("controller.planner.server.RECEIVE_S", 0.2)
    async with Planner() as planner, listening(planner, path):
        for message in (SIZE.pack(LARGEST_MESSAGE + 1), SIZE.pack(2**63), SIZE.pack(10) + b"slow", b""):
            async with asyncio.timeout(5):
                assert await replied(path, message) == b""


UNIT = """
import asyncio, sys
from pathlib import Path
from controller.planner.server import serve
asyncio.run(serve(Path(sys.argv[1])))
"""


@dataclass
class Unit:
    """``gridlab planner`` as a process, and the socket of its service manager."""

    process: subprocess.Popen[bytes]
    manager: socket.socket


@contextmanager
def unit(path: Path) -> Iterator[Unit]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path.parent / "notify"))
        manager.settimeout(30)
        environment = {**os.environ, ADDRESS: str(path.parent / "notify")}
        with subprocess.Popen([sys.executable, "-c", UNIT, str(path)], cwd=ROOT, env=environment) as process:
            try:
                assert [manager.recv(100) for _ in range(2)] == [b"READY=1", b"WATCHDOG=1"]
                yield Unit(process, manager)
            finally:
                process.kill()


async def in_time(path: Path, job: DayAheadJob, then: Callable[[], None]) -> PlannerError:
    """What becomes of a job in the midst of which something happens to the planner."""
    link = PlannerLink(path, kill_s=0.2)
    task = asyncio.create_task(refused(link, job))
    await asyncio.sleep(0.3)
    then()
    error = await task
    assert isinstance(error, PlannerError)
    return error


async def test_the_unit_answers_and_stops_when_said_to(day: Scenario, tmp_path: Path) -> None:
    path = tmp_path / "planner.sock"
    with unit(path) as planner:
        assert (await PlannerLink(path).answer(asked(day))).report
        planner.process.terminate()
        assert planner.process.wait(10) == 0
        assert planner.manager.recv(100) == b"STOPPING=1"
    assert not path.exists()


async def test_a_unit_that_hangs_is_given_up(day: Scenario, tmp_path: Path) -> None:
    path = tmp_path / "planner.sock"
    with unit(path) as planner:
        error = await in_time(path, asked(day, ENDLESS), lambda: planner.process.send_signal(signal.SIGSTOP))
    assert str(error) == "planner: plan of 2018-06-21: no answer after 2.2 s"


async def test_a_unit_that_dies_is_noticed_at_once_and_another_serves(day: Scenario, tmp_path: Path) -> None:
    path = tmp_path / "planner.sock"
    with unit(path) as planner:
        error = await in_time(path, asked(day, ENDLESS), planner.process.kill)
    assert str(error) == f"planner: plan of 2018-06-21: {path}: hung up without an answer"
    (tmp_path / "notify").unlink()
    with unit(path):
        assert (await PlannerLink(path).answer(asked(day))).report
