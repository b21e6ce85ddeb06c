"""``gridlab plan``: prices and plans of a day, recorded as a run."""

from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from controller.report import write_report
from controller.runs import tables
from controller.runs.directory import run_folder, write_summary, write_table
from controller.runs.summaries import config_summary, day_summary, plan_tables, rounds_table
from core.config import Config
from core.errors import GridlabError
from core.load import fingerprint, load_scenario
from core.time import Clock
from mpc import day_ahead
from mpc.carrying import require_power_flow
from mpc.coordination import rounds
from mpc.coordination.star.observing import Observer, observed
from mpc.coordination.tree.grid.coordination import observed as observed_feeders
from mpc.day_ahead import DayAhead
from mpc.prosumer import participants

SHOWN = 5
"""Steps without power flow that are listed."""


@dataclass(frozen=True)
class PlannedDay:
    """Prices and plans of a day, the plans without coordination, and the summary of both."""

    day: DayAhead
    baseline: DayAhead
    summary: dict[str, Any]

    def tables(self) -> dict[str, pd.DataFrame]:
        """All tables, by file name without extension."""
        tables = _day_tables(self.day)
        if self.day is not self.baseline:
            tables |= {f"uncoordinated_{name}": frame for name, frame in _day_tables(self.baseline).items()}
        return {**tables, "iterations": rounds_table(self.day)}


def plan(
    config: Config,
    config_path: Path,
    run_path: Path,
    clock: Clock,
    coordinate: bool = True,
    observer: Observer | None = None,
) -> dict[str, Any]:
    """Compute the day, write its run directory, and return its summary.

    Raises:
        InputError: a profile is faulty, or the grid cannot carry the load.
        GridlabError: the plan has no power flow.
        SolverError, SolverLicenceError: a solver failed.
    """
    planned = planned_day(config, config_path, clock, coordinate, observer)
    record(planned, run_path)
    return planned.summary


def planned_day(
    config: Config, config_path: Path, clock: Clock, coordinate: bool = True, observer: Observer | None = None
) -> PlannedDay:
    """Compute the day; nothing is written.

    Raises:
        InputError: a profile is faulty, or the grid cannot carry the load.
        GridlabError: the plan has no power flow.
        SolverError, SolverLicenceError: a solver failed.
    """
    scenario = load_scenario(config, config_path)
    require_power_flow(scenario, str(config_path))
    began_s = clock.monotonic_s()
    problem, solver = scenario.problem, config.solver.prosumer
    baseline = day_ahead.uncoordinated(problem, participants(scenario, solver), config.coordination)
    day: DayAhead = baseline
    if coordinate:
        began_s = clock.monotonic_s()
        carry = rounds.run if observer is None else observed_feeders(observed(rounds.run, observer), observer)
        day = day_ahead.agree(problem, participants(scenario, solver), config.coordination, clock, carry)
    _require_solved(day, every_step=coordinate)
    wall_s = round(clock.monotonic_s() - began_s, 4)
    origin = _origin(config, config_path, clock)
    collapsed = {"uncoordinated": [t.isoformat() for t in _without_flow(baseline)]}
    warnings = [str(caution) for caution in scenario.cautions]
    summary = {**day_summary(day), "collapsed": collapsed, "warnings": warnings, "scenario": config_summary(config)}
    return PlannedDay(day, baseline, {**origin, "wall_s": wall_s, **summary})


def record(planned: PlannedDay, run_path: Path) -> None:
    """Write the run directory, with its report."""
    with run_folder(run_path) as folder:
        for name, frame in planned.tables().items():
            write_table(folder / f"{name}.csv", frame)
        write_summary(folder, planned.summary)
    write_report(run_path)


def _require_solved(day: DayAhead, every_step: bool) -> None:
    """Make sure that a plan has a power flow, in every step or in any: batteries that could carry a load may run empty.

    Raises:
        GridlabError: it has none.
    """
    failed = _without_flow(day)
    if failed and (every_step or len(failed) == day.problem.axis.n_steps):
        times = ", ".join(f"{time:%H:%M}" for time in failed[:SHOWN])
        more = f" and {len(failed) - SHOWN} more" if len(failed) > SHOWN else ""
        raise GridlabError(f"the plan has no power flow at {times}{more}: voltage collapses under its demand")


def _without_flow(day: DayAhead) -> list[datetime]:
    """Start of each step whose demand has no power flow."""
    return [day.problem.axis.times[t] for t in np.flatnonzero(~day.flow.solved)]


def _origin(config: Config, config_path: Path, clock: Clock) -> dict[str, Any]:
    """Keys of summary.json about what was planned, when, and by which version."""
    return {
        "command": "plan",
        "name": config.name,
        "created_at": clock.now().isoformat(timespec="seconds"),
        "config": str(config_path),
        "config_sha256": fingerprint(config_path, config),
        "version": version("gridlab"),
        "seed": None,
    }


def _day_tables(day: DayAhead) -> dict[str, pd.DataFrame]:
    return {
        **plan_tables(day),
        "nodes": tables.nodes_frame(day),
        "lines": tables.lines_frame(day),
        "slack": tables.slack_frame(day),
    }
