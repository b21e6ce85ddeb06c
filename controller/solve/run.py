"""``gridlab solve``: a problem of any kind, solved and recorded as a run."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from controller.process.interrupts import Interrupts
from controller.report import write_report
from controller.runs.directory import run_folder, write_summary, write_table
from controller.solve.kinds import prepare
from controller.solve.problem import Solved, SolveRequest, SolveWatch
from core.config_kinds import AnyProblem
from core.errors import Caution
from core.load import fingerprint
from core.time import Clock
from mpc.coordination.solving import SolveRound

Observe = Callable[[SolveRound], None]


@dataclass(frozen=True)
class SolvedProblem:
    """The content of a run directory: summary.json, and the tables by the name of their file without extension.

    ``shown`` is the table for the terminal; ``cautions``: what the user should know about the files that were read.
    """

    summary: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    shown: pd.DataFrame
    cautions: tuple[Caution, ...] = ()


def solve(
    config: AnyProblem, path: Path, request: SolveRequest, clock: Clock, observe: Observe = lambda _: None
) -> SolvedProblem:
    """Solve the problem of a file read from ``path``; nothing is written.

    The first SIGINT or SIGTERM ends it with what it has.

    Args:
        observe: called after each round.

    Raises:
        InputError: a file that it names is faulty.
        SolverError, SolverLicenceError: a solver failed.
    """
    prepared = prepare(config, path)
    with Interrupts() as signals:
        began_s, began_cpu_s = clock.monotonic_s(), time.process_time()
        watch = SolveWatch(clock, request.budget_s, observe, signals.requested)
        solved = prepared.solve(request, watch)
        wall_s, cpu_s = clock.monotonic_s() - began_s, time.process_time() - began_cpu_s
    origin = {
        "command": "solve",
        "kind": config.kind,
        "name": config.name,
        "created_at": clock.now().isoformat(timespec="seconds"),
        "config": str(path),
        "config_sha256": fingerprint(path, config),
        "version": version("gridlab"),
        "algorithm": request.algorithm,
    }
    times = {"wall_s": round(wall_s, 6), "cpu_s": round(cpu_s, 6)}
    tables = {"rounds": _rounds_table(solved), **solved.tables}
    return SolvedProblem({**origin, **_result(solved), **times, **solved.more}, tables, solved.shown, prepared.cautions)


def record(solved: SolvedProblem, run_path: Path) -> None:
    """Write the run directory, with its report."""
    with run_folder(run_path) as folder:
        for name, frame in solved.tables.items():
            write_table(folder / f"{name}.csv", frame)
        write_summary(folder, solved.summary)
    write_report(run_path)


def _result(solved: Solved) -> dict[str, Any]:
    return {
        "status": str(solved.status),
        "rounds": len(solved.rounds),
        "objective": solved.objective,
        "bound": solved.bound,
        "gap_rel": solved.gap_rel,
        "violation": solved.violation,
        "hops_per_round": solved.hops_per_round,
        "messages": solved.messages,
        "bytes": solved.payload_bytes,
        "participants": solved.participants,
        "silent": list(solved.silent),
    }


def _rounds_table(solved: Solved) -> pd.DataFrame:
    """A row per round; numbers that an algorithm lacks are empty."""
    columns = [each.name for each in fields(SolveRound)]
    numbers = dict.fromkeys(columns[1:], float)
    return pd.DataFrame([asdict(each) for each in solved.rounds], columns=columns).astype(numbers)
