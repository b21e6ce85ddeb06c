"""Problems of ``gridlab solve``."""

from pathlib import Path
from typing import Any

from controller.process.clocks import WallClock
from controller.runs.directory import choose
from controller.solve.options import request
from controller.solve.run import record
from controller.solve.run import solve as solve_problem
from gridlab.configuration import Configuration, problem
from gridlab.results import Results, Tables, in_zone, zone_of


def solve(
    config: Configuration[Any] | str | Path,
    out: str | Path | None = None,
    *,
    algorithm: str | None = None,
    max_rounds: int | None = None,
    budget_s: float | None = None,
    link: str | None = None,
) -> Results:
    """Solve a problem with a ``kind``, as ``gridlab solve`` does.

    Args:
        config: a problem from :func:`gridlab.load`, or the path of one.
        out: a run directory to write, new or empty; a changed problem is kept beside it, as ``<out>.yaml``. None:
            nothing is written.
        algorithm: one of the kind; None: its default.
        max_rounds: limit of rounds; None: 1000.
        budget_s: limit of wall time, s; None: 60.
        link: links that lose or delay messages, such as ``"loss=0.3,seed=1"``; None: perfect ones.

    Raises:
        InputError: configuration, series, an option or ``out`` are not valid.
        SolverError, SolverLicenceError: a solver failed.
    """
    chosen, clock = problem(config), WallClock()
    asked = request(chosen.values, algorithm, max_rounds, budget_s, link)
    run_path = None if out is None else choose(Path(out), chosen.values.name, clock.now())
    with chosen.written(run_path and run_path.with_name(f"{run_path.name}.yaml")) as written:
        solved = solve_problem(written.values, written.path, asked, clock)
        if run_path:
            record(solved, run_path)
    summary = solved.summary if run_path else {**solved.summary, "config": str(chosen.path)}
    zone = zone_of(summary)
    tables = {name: lambda frame=frame: in_zone(frame, zone) for name, frame in solved.tables.items()}
    return Results(summary, Tables(tables), run_path)
