"""One trial from its draw to its verdict."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from random import Random
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from controller.chaos.faulted_run import open_faulted_run
from controller.chaos.faulty_planner import SOCKET, FaultyPlanner
from controller.chaos.script import Injected, Script, TrialContext
from controller.chaos.sink import Sink, influx
from controller.chaos.trials import Aid, Trial
from controller.judge.case import Case, Kind, Site
from controller.judge.histories import read_histories
from controller.judge.verdict import Verdict, judge
from controller.process.clocks import SteppedClock, WallClock
from controller.service.service import Service
from controller.service.setup import Setup
from controller.simulation.master import Job
from core.config import Config
from core.errors import GridlabError
from core.load import load_config
from core.time import TimeAxis

JOURNAL = "journal.sqlite"


@dataclass(frozen=True)
class Result:
    """What became of a trial; times as in :class:`~controller.judge.verdict.Verdict`.

    Attributes:
        what: the fault as it was injected.
        at: local time of the injection; None where it did not come to that.
        broken: invariants, each in words.
        complaints: of the script, and limits of time that were not kept.
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
    """The journal with the day-ahead plan of a configuration, that all its trials begin with."""
    config = load_config(path)
    asyncio.run(_prepared(config, path, folder))
    return folder / JOURNAL


async def _prepared(config: Config, path: Path, folder: Path) -> None:
    clock = SteppedClock(day_axis(config).times[0])
    async with Service(Setup(config, path, folder, folder), clock, WallClock()):
        pass


def run(trial: Trial, seed: int, path: Path, journal: Path, folder: Path) -> Result:
    """One trial in ``folder``; what goes wrong on the way is part of the result."""
    began_s = time.monotonic()
    fresh_folder(folder, journal)
    blank = Result(trial.number, trial.name, seed, trial.name, None, None, None, None, None, (), 0, (), False, 0.0)
    try:
        result = asyncio.run(_judged(trial, seed, path, folder, blank))
    except (GridlabError, OSError) as error:
        result = replace(blank, complaints=(str(error),))
    return replace(result, wall_s=time.monotonic() - began_s)


def fresh_folder(folder: Path, journal: Path) -> None:
    """A new folder of a run that begins with a prepared journal.

    Raises:
        OSError: it cannot be made, or is there already.
    """
    folder.mkdir(parents=True)
    copy(journal, folder / JOURNAL)


async def _judged(trial: Trial, seed: int, path: Path, folder: Path, blank: Result) -> Result:
    config, random = load_config(path), Random(f"{trial.number} {seed}")
    job, site = _job(config, path, trial, seed, random), Site.of(config, trial.poll_s)
    words = trial.words[seed % len(trial.words)]
    async with (
        _aids(trial, folder) as (more, script),
        open_faulted_run(job, folder, trial.poll_s, **words, **more) as faulted,
    ):
        injected = await script(TrialContext(trial.number, seed, faulted, site, random))
        if faulted.controller is not None:
            await faulted.stop()
        end = faulted.now
    histories = read_histories(folder)
    judgement = judge(histories, site, [injected.fault], end)
    (verdict,) = judgement.verdicts
    broken = [f"{b.invariant}: {b.device or 'all'} {b.what}" for b in (*judgement.undisturbed, *verdict.broken)]
    alarmed_s = _alarmed_s(Case.of(histories, site, [injected.fault], end), injected)
    if injected.alarm and alarmed_s is None:
        injected = replace(injected, complaints=(*injected.complaints, f"no alarm {injected.alarm}"))
    if injected.fault.kind is Kind.OTHER:
        verdict = replace(verdict, detected_s=None)
    elif injected.alarm:
        verdict = replace(verdict, detected_s=alarmed_s)
    return _result(blank, injected, verdict, tuple(broken), job.start)


def _alarmed_s(case: Case, injected: Injected) -> float | None:
    """Until the alarm that must have been raised stood."""
    begins = injected.fault.begins
    raised = (a.time for a in case.histories.alarms if a.alarm == injected.alarm and a.standing and a.time >= begins)
    return next(((at - begins).total_seconds() for at in raised), None)


@asynccontextmanager
async def _aids(trial: Trial, folder: Path) -> AsyncIterator[tuple[Mapping[str, Any], Script]]:
    """What plays a part beside the processes: words for the controller's opening, and the script that knows of it."""
    match trial.aid:
        case Aid.FAULTY_PLANNER:
            planner = FaultyPlanner()
            with TemporaryDirectory() as short:
                socket = Path(short) / SOCKET
                async with planner.listening(socket):
                    yield {"planner": str(socket)}, partial(trial.script, planner=planner)
        case Aid.SINK:
            sink = Sink()
            async with sink.listening() as port:
                yield {"influx": influx(port, folder)}, partial(trial.script, sink=sink)
        case Aid.NONE:
            yield {}, trial.script


def _result(blank: Result, injected: Injected, verdict: Verdict, broken: tuple[str, ...], start: datetime) -> Result:
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


def _job(config: Config, path: Path, trial: Trial, seed: int, random: Random) -> Job:
    """A run of which the clock master sees the begin only: how long it lasts is the script's affair."""
    first, last = trial.hours
    zone = ZoneInfo(config.horizon.timezone)
    starts = [at for at in (at.astimezone(zone) for at in day_axis(config).times) if first <= at.hour < last]
    start = random.choice(starts) - timedelta(seconds=trial.early_s)
    return Job(config, path, start, start + timedelta(hours=1), seed)


def day_axis(config: Config) -> TimeAxis:
    """The configuration's day."""
    horizon = config.horizon
    return TimeAxis.day(horizon.date, horizon.timezone, horizon.step_min)
