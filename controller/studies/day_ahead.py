"""``gridlab plan``: prices and plans of a day, recorded as a run."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

from controller.report import write_report
from controller.runs import tables
from controller.runs.directory import write_summary, write_table, written
from controller.runs.summaries import described, summarised, write_plan, write_rounds
from core.config import Config
from core.load import fingerprint, load_scenario
from core.time import Clock
from mpc import day_ahead
from mpc.coordination import rounds
from mpc.coordination.star.observing import Observer, observed
from mpc.day_ahead import DayAhead
from mpc.prosumer import participants


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
        InputError: a profile is faulty.
        SolverError, SolverLicenceError: a solver gave no answer.
    """
    scenario = load_scenario(config, config_path)
    began_s = clock.monotonic_s()
    problem, solver = scenario.problem, config.solver.prosumer
    baseline = day_ahead.uncoordinated(problem, participants(scenario, solver), config.coordination)
    day: DayAhead = baseline
    if coordinate:
        began_s = clock.monotonic_s()
        carry = rounds.run if observer is None else observed(rounds.run, observer)
        day = day_ahead.coordinate(problem, participants(scenario, solver), config.coordination, clock, carry)
    wall_s = round(clock.monotonic_s() - began_s, 4)
    origin = _origin(config, config_path, clock)
    summary = {**origin, "wall_s": wall_s, **summarised(day), "scenario": described(config)}
    with written(run_path) as folder:
        _write_day(folder, day)
        if day is not baseline:
            _write_day(folder, baseline, prefix="uncoordinated_")
        write_rounds(folder, day)
        write_summary(folder, summary)
    write_report(run_path)
    return summary


def _origin(config: Config, config_path: Path, clock: Clock) -> dict[str, Any]:
    """What was planned, when and by which version."""
    return {
        "command": "plan",
        "name": config.name,
        "created_at": clock.now().isoformat(timespec="seconds"),
        "config": str(config_path),
        "config_sha256": fingerprint(config_path, config),
        "version": version("gridlab"),
        "seed": None,
    }


def _write_day(folder: Path, day: DayAhead, prefix: str = "") -> None:
    write_plan(folder, day, prefix)
    write_table(folder / f"{prefix}nodes.csv", tables.nodes_frame(day))
    write_table(folder / f"{prefix}lines.csv", tables.lines_frame(day))
    write_table(folder / f"{prefix}slack.csv", tables.slack_frame(day))
