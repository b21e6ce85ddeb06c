"""Wall times of jobs, and how they are shared between methods."""

import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import cvxpy as cp

from mpc import reference
from mpc.solvers import convex

PACKAGES = ("numpy", "piqp", "daqp", "clarabel", "cvxpy", "power-grid-model")


def medians_s(repeats: int, **jobs: Callable[[], object]) -> dict[str, float]:
    """Median wall time of each job, s; the jobs alternate, so that a busy machine slows all of them alike."""
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            began = time.perf_counter()
            job()
            times[name].append(time.perf_counter() - began)
    return {name: median(each) for name, each in times.items()}


@dataclass
class MethodCost:
    """Wall time and number of the calls of one method."""

    seconds: float = 0.0
    calls: int = 0


@contextmanager
def stopwatches(**methods: tuple[Any, str]) -> Iterator[dict[str, MethodCost]]:
    """Measure the given (owner, method name) pairs while the block lasts."""
    spent = {name: MethodCost() for name in methods}

    def timed(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                spent[name].seconds += time.perf_counter() - began
                spent[name].calls += 1

        return run

    with ExitStack() as stack:
        for name, (owner, attribute) in methods.items():
            stack.enter_context(patch.object(owner, attribute, timed(name, getattr(owner, attribute))))
        yield spent


@contextmanager
def clarabel_times() -> Iterator[list[float]]:
    """Collect the seconds that the solver itself reports for each program, without cvxpy around it."""
    seconds: list[float] = []

    def solve(problem: cp.Problem, solver: str, options: Mapping[str, float] | None = None) -> None:
        convex.solve(problem, solver, options)
        seconds.append(problem.solver_stats.solve_time)

    with patch.object(reference, "solve", solve):
        yield seconds


def machine() -> str:
    """Processor, cores, load, and the versions of Python and of the packages that compute."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, "
        f"load average {os.getloadavg()[0]:.1f} before the run, {os.environ['OPENBLAS_NUM_THREADS']} BLAS thread(s); "
        f"Python {platform.python_version()}, {packages}"
    )
