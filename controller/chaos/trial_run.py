"""One trial, from drawing its parameters to the verdict."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from controller.chaos.faulted_run import open_faulted_run
from controller.chaos.faulty_influx import FaultyInflux, influx
from controller.chaos.faulty_planner import SOCKET, FaultyPlanner
from controller.chaos.injection import Injection, InjectionResult, TrialContext
from controller.chaos.trials import Helper, Trial
from controller.judge.case import Case, CaseConfig, Kind
from controller.judge.histories import read_histories
from controller.judge.verdict import Verdict, judge
from controller.planner.planner import Planner
from controller.planner.server import listening
from controller.process.clocks import SteppedClock, WallClock
from controller.service.service import Service
from controller.service.setup import Setup
from controller.simulation.master import SimulationJob
from core.config import Config
from core.errors import GridlabError
from core.load import load_config

JOURNAL = "journal.sqlite"


@dataclass(frozen=True)
class TrialResult:
    """The result of a trial; times as in :class:`~controller.judge.verdict.Verdict`.

    Attributes:
        what: the injected fault.
        at: local time of the injection; None if the trial failed before.
        broken: broken invariants, as text.
        complaints: what the injection itself found wrong, and exceeded time limits.
    """

    number: int
    name: str
    seed: int
    what: str
    device: str | None
    at: datetime | None
    detected_s: float | None
    safe_s: float | None
    recovered_s: float | None
    broken: tuple[str, ...]
    points_lost: int
    complaints: tuple[str, ...]
    passed: bool
    wall_s: float


def prepare(path: Path, folder: Path) -> Path:
    """Plan the day of a configuration; returns the journal with which all its trials begin."""
    config = load_config(path)
    asyncio.run(_plan_day(config, path, folder))
    return folder / JOURNAL


async def _plan_day(config: Config, path: Path, folder: Path) -> None:
    clock = SteppedClock(config.horizon.axis().times[0])
    async with Service(Setup(config, path, folder, folder), clock, WallClock()):
        pass


def run(trial: Trial, seed: int, path: Path, journal: Path, folder: Path) -> TrialResult:
    """Run one trial in ``folder``; errors become part of the result."""
    start_s = time.monotonic()
    fresh_folder(folder, journal)
    blank = TrialResult(trial.number, trial.name, seed, trial.name, None, None, None, None, None, (), 0, (), False, 0.0)
    try:
        result = asyncio.run(_run_and_judge(trial, seed, path, folder, blank))
    except (GridlabError, OSError) as error:
        result = replace(blank, complaints=(str(error),))
    return replace(result, wall_s=time.monotonic() - start_s)


def fresh_folder(folder: Path, journal: Path) -> None:
    """Create the folder of a run that begins with a prepared journal.

    Raises:
        OSError: it cannot be created, or exists.
    """
    folder.mkdir(parents=True)
    copy(journal, folder / JOURNAL)


async def _run_and_judge(trial: Trial, seed: int, path: Path, folder: Path, blank: TrialResult) -> TrialResult:
    config, random = load_config(path), Random(f"{trial.number} {seed}")
    job, site = _job(config, path, trial, seed, random), CaseConfig.of(config, trial.poll_s)
    options = trial.options[seed % len(trial.options)]
    async with (
        _helper(trial, folder) as (helper_options, injection),
        open_faulted_run(job, folder, trial.poll_s, **options, **helper_options) as faulted,
    ):
        injected = await injection(TrialContext(trial.number, seed, faulted, site, random))
        if faulted.controller is not None:
            await faulted.stop()
        end = faulted.now
    histories = read_histories(folder)
    faults = [injected.fault, *injected.also]
    judgement = judge(histories, site, faults, end)
    (verdict,) = (verdict for verdict in judgement.verdicts if verdict.fault is injected.fault)
    others = [other for other in judgement.verdicts if other is not verdict]
    verdict = replace(verdict, late=(*verdict.late, *chain.from_iterable(other.late for other in others)))
    found = (*judgement.before_faults, *chain.from_iterable(each.broken for each in (verdict, *others)))
    broken = [f"{b.invariant}: {b.device or 'all'} {b.what}" for b in found]
    alarmed_s = _alarmed_s(Case.of(histories, site, faults, end), injected)
    if injected.alarm and alarmed_s is None:
        injected = replace(injected, complaints=(*injected.complaints, f"no alarm {injected.alarm}"))
    if injected.fault.kind is Kind.OTHER:
        verdict = replace(verdict, detected_s=None)
    elif injected.alarm:
        verdict = replace(verdict, detected_s=alarmed_s)
    return _result(blank, injected, verdict, tuple(broken), job.start)


def _alarmed_s(case: Case, injected: InjectionResult) -> float | None:
    """Time from the injection to the alarm that it must raise; None if it was not raised."""
    begins = injected.fault.begins
    raised = (a.time for a in case.histories.alarms if a.alarm == injected.alarm and a.standing and a.time >= begins)
    return next(((at - begins).total_seconds() for at in raised), None)


@asynccontextmanager
async def _helper(trial: Trial, folder: Path) -> AsyncIterator[tuple[Mapping[str, Any], Injection]]:
    """Start the trial's helper: yields options for the controller's opening, and the injection bound to the helper."""
    match trial.helper:
        case Helper.FAULTY_PLANNER:
            planner = FaultyPlanner()
            with TemporaryDirectory() as short:
                socket = Path(short) / SOCKET
                async with planner.listening(socket):
                    yield {"planner": str(socket)}, partial(trial.injection, planner=planner)
        case Helper.PLANNER:
            with TemporaryDirectory() as short:
                socket = Path(short) / SOCKET
                async with Planner() as child, listening(child, socket):
                    yield {"planner": str(socket)}, partial(trial.injection, planner=socket)
        case Helper.FAULTY_INFLUX:
            database = FaultyInflux()
            async with database.listening() as port:
                yield {"influx": influx(port, folder)}, partial(trial.injection, database=database)
        case Helper.NONE:
            yield {}, trial.injection


def _result(
    blank: TrialResult, injected: InjectionResult, verdict: Verdict, broken: tuple[str, ...], start: datetime
) -> TrialResult:
    return replace(
        blank,
        what=injected.fault.name,
        device=injected.fault.device,
        at=verdict.injected_at.astimezone(start.tzinfo),
        detected_s=verdict.detected_s,
        safe_s=verdict.safe_s,
        recovered_s=verdict.recovered_s,
        broken=broken,
        points_lost=verdict.points_lost,
        complaints=(*verdict.late, *injected.complaints),
        passed=verdict.passed and not broken and not injected.complaints,
    )


def _job(config: Config, path: Path, trial: Trial, seed: int, random: Random) -> SimulationJob:
    """A run whose end is not fixed: the injection decides how long it lasts."""
    first, last = trial.hours
    zone = ZoneInfo(config.horizon.timezone)
    starts = [at for at in (at.astimezone(zone) for at in config.horizon.axis().times) if first <= at.hour < last]
    start = random.choice(starts) - timedelta(seconds=trial.early_s)
    return SimulationJob(config, path, start, start + timedelta(hours=1), seed)
