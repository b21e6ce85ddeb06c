"""Coordination of more prosumers and nodes: time and its shares, and memory; each size in a process of its own.

``python -m benchmarks.scaling N`` measures one size and prints it as JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.cases import ROOT, coordinate
from benchmarks.measure import stopwatches
from benchmarks.tables import ResultTable, Targets, milliseconds, ratio
from mpc.coordination.outcome import CoordinationStatus
from mpc.coordination.star import profile_splitting
from mpc.coordination.star.operator import GridOperator
from mpc.grid.power_flow import PowerFlow
from mpc.grid.rows import GridModel
from mpc.prosumer import ProsumerProgram
from tests.support import synthetic

SIZES = (5, 50, 200)
LONGEST_S, MOST_GB, MOST_PER_ANSWER = 60.0, 2.0, 1.5
WATCHED = {
    "answers": (ProsumerProgram, "respond"),
    "operator": (GridOperator, "react"),
    "linearise": (GridModel, "linearise"),
    "sensitivities": (PowerFlow, "sensitivities"),
    "project": (profile_splitting, "project"),
}
Measured = dict[str, Any]


def run() -> Iterator[ResultTable]:
    """Yield the tables of all sizes, then the targets of issue 2."""
    results = [in_own_process(n, threads=1) for n in SIZES]
    yield overall(results)
    yield steps(results)
    yield targets(results)


def measure(n: int) -> Measured:
    """Coordinate ``n`` prosumers on ``n`` nodes over 144 steps, to a gap of 1e-2 and a violation of 1e-3 p.u."""
    case = synthetic.scenario(n_nodes=n, n_prosumers=n, step_min=10)
    began = time.perf_counter()
    with stopwatches(**WATCHED) as spent:
        outcome = coordinate(case, gap_tol=1e-2, violation_tol_pu=1e-3).outcome
    wall_s = time.perf_counter() - began
    return {
        "n": n,
        "wall_s": wall_s,
        "rounds": len(outcome.iterations),
        "converged": outcome.status is CoordinationStatus.CONVERGED,
        "gap_rel": outcome.gap_rel,
        "violation_pu": outcome.best.violation.worst_pu,
        "rss_gb": peak_memory_gb(),
        "linearisations": spent["linearise"].calls,
        "per_answer_s": spent["answers"].seconds / spent["answers"].calls,
        "operator_s": spent["operator"].seconds - spent["linearise"].seconds,
        "linearise_s": spent["linearise"].seconds / spent["linearise"].calls,
        "sensitivities_s": spent["sensitivities"].seconds / spent["sensitivities"].calls,
        "project_s": spent["project"].seconds / spent["project"].calls,
    }


def peak_memory_gb() -> float:
    """Peak memory of this process since its start (``ru_maxrss`` would begin with that of the parent)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 2**20


def in_own_process(n: int, threads: int) -> Measured:
    """Measure ``n`` in a new process, so that the peak memory is that of this size alone."""
    command = [sys.executable, "-m", "benchmarks.scaling", str(n)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    answer = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    result: Measured = json.loads(answer.stdout)
    return result


def overall(results: list[Measured]) -> ResultTable:
    """Rounds, time, memory and quality of whole coordinations."""
    table = ResultTable(
        "Coordination of N prosumers on N nodes, 144 steps, to a gap of 1e-2 and 1e-3 p.u.",
        ["N", "rounds", "wall s", "peak memory GB", "certified gap", "AC violation p.u.", "linearisations"],
    )
    for r in results:
        table.add(
            str(r["n"]), str(r["rounds"]) if r["converged"] else f"> {r['rounds']}",
            f"{r['wall_s']:.2f}", f"{r['rss_gb']:.2f}", f"{r['gap_rel']:.1e}", f"{r['violation_pu']:.1e}",
            str(r["linearisations"]),
        )  # fmt: skip
    return table


def steps(results: list[Measured]) -> ResultTable:
    """Times of the steps of a round, and of a linearisation."""
    table = ResultTable(
        "Who spends the time, ms",
        ["N", "one answer", "all N answers", "operator per round, without linearising",
         "of it projection", "one linearisation", "of it sensitivities"],
    )  # fmt: skip
    for r in results:
        seconds = [r["per_answer_s"], r["n"] * r["per_answer_s"], r["operator_s"] / r["rounds"], r["project_s"],
                   r["linearise_s"], r["sensitivities_s"]]  # fmt: skip
        table.add(str(r["n"]), *map(milliseconds, seconds))
    return table


def targets(results: list[Measured]) -> ResultTable:
    """Compare with the targets of issue 2 for the largest size, and for the growth of a prosumer's time."""
    table, first, last = Targets(), results[0], results[-1]
    per_answer = [r["per_answer_s"] for r in results]
    n = last["n"]
    table.check(f"{n} prosumers converge to 1e-2 and 1e-3 p.u.", f"{last['rounds']} rounds", last["converged"])
    table.check(f"… within {LONGEST_S:g} s", f"{last['wall_s']:.1f} s", last["wall_s"] <= LONGEST_S)
    table.check(f"… and {MOST_GB:g} GB", f"{last['rss_gb']:.2f} GB", last["rss_gb"] <= MOST_GB)
    table.check(
        f"prosumers’ step linear: time per answer within {MOST_PER_ANSWER:g}× of N = {first['n']}",
        ratio(max(per_answer), first["per_answer_s"]),
        max(per_answer) <= MOST_PER_ANSWER * first["per_answer_s"],
    )
    return table


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
