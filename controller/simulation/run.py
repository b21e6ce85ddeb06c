"""``gridlab simulate``: a closed-loop run, from its processes to summary.json and the report."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from controller.accounts.closing import FinishedRun, close_accounts
from controller.process.answers import BatteryAccount, RefereeCounts, Truth
from controller.process.talk import FollowerError
from controller.report import write_report
from controller.runs.directory import first_free, publish, run_folder, write_summary
from controller.runs.summaries import config_summary
from controller.simulation.master import RunProgress, RunResult, SimulationJob, simulate
from core.errors import SolverError
from core.load import fingerprint
from core.time import Clock
from realtime.timing import CYCLE_DEADLINE_S


def run_simulation(
    job: SimulationJob,
    run_path: Path,
    clock: Clock,
    observe: Callable[[RunProgress], None],
    announce: Callable[[int], None],
) -> dict[str, Any]:
    """Simulate, write the run directory, and return the summary.

    Raises:
        InputError: a series is invalid.
        FollowerError: plant, controller or guardian failed.
        SolverError: a prosumer has no optimum in hindsight, so that the accounts cannot be closed.
    """
    began_s = clock.monotonic_s()
    with run_folder(run_path) as folder, _kept_if_it_fails(folder, run_path):
        finished = asyncio.run(simulate(job, folder, clock, observe, announce))
        summary = {
            "command": "simulate",
            "name": job.config.name,
            "created_at": clock.now().isoformat(timespec="seconds"),
            "config": str(job.path),
            "config_sha256": fingerprint(job.path, job.config),
            "version": version("gridlab"),
            "seed": job.seed,
            "start": job.start.isoformat(),
            "end": finished.end.isoformat(),
            "interrupted": finished.interrupted,
            "coordinated": job.coordinate,
            "margin": job.config.limits.margin if job.margin is None else job.margin,
            **finished.day_ahead,
            **close_accounts(folder, _finished_run(job, finished)),
            "safe": finished.controller["safe"],
            "model_check": finished.controller["check"],
            "wall_s": round(clock.monotonic_s() - began_s, 3),
            "scenario": config_summary(job.config),
        }
        write_summary(folder, summary)
    write_report(run_path)
    return summary


@contextmanager
def _kept_if_it_fails(folder: Path, run_path: Path) -> Iterator[None]:
    """Keep logs and tables of a run that fails, or whose accounts cannot be closed, in ``<run>-failed``."""
    try:
        yield
    except (FollowerError, SolverError) as error:
        failed = first_free(run_path.with_name(f"{run_path.name}-failed"))
        publish(folder, failed)
        raise type(error)(f"{error}; logs and tables are in {failed}") from error


def _finished_run(job: SimulationJob, finished: RunResult) -> FinishedRun:
    before, last, after = (Truth.model_validate(truth) for truth in finished.truths)
    batteries = finished.controller["books"]
    return FinishedRun(
        config=job.config,
        config_path=job.path,
        end=finished.end,
        before=before,
        last=last,
        after=after,
        batteries={
            name: BatteryAccount.model_validate(account) for name, account in batteries.items() if account is not None
        },
        cycle_ms=finished.controller["cycle_ms"],
        missed=finished.cycles - sum(ms <= 1e3 * CYCLE_DEADLINE_S for ms in finished.controller["cycle_ms"]),
        referee=RefereeCounts.model_validate(finished.referee),
    )
