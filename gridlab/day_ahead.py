"""Prices and plans of a day."""

from pathlib import Path

from controller.process.clocks import WallClock
from controller.runs.directory import choose
from controller.studies.day_ahead import planned_day, record
from gridlab.configuration import Configuration, day
from gridlab.results import Results, Tables, in_zone, zone_of


def plan(config: Configuration | str | Path, out: str | Path | None = None, coordinate: bool = True) -> Results:
    """Compute price signals and plans of the day, as ``gridlab plan`` does.

    Args:
        config: a configuration, or the path of one.
        out: a run directory to write, new or empty; a changed configuration is kept beside it, as ``<out>.yaml``. None:
            nothing is written.
        coordinate: False for the selfish baseline alone.

    Raises:
        InputError: configuration, series or ``out`` are not valid.
        SolverError, SolverLicenceError: a solver failed.
    """
    chosen, clock = day(config), WallClock()
    run_path = None if out is None else choose(Path(out), chosen.values.name, clock.now())
    with chosen.written(run_path and run_path.with_name(f"{run_path.name}.yaml")) as written:
        planned = planned_day(written.values, written.path, clock, coordinate)
        if run_path:
            record(planned, run_path)
    summary = planned.summary if run_path else {**planned.summary, "config": str(chosen.path)}
    zone = zone_of(summary)
    tables = {name: lambda frame=frame: in_zone(frame, zone) for name, frame in planned.tables().items()}
    return Results(summary, Tables(tables), run_path)
