"""Quantiles of cycle and MPC times."""

import pandas as pd

from controller.accounts.durations import Cycles, MpcRuns


def test_cycles() -> None:
    cycles = Cycles.of([float(ms) for ms in range(1, 102)], missed=2)
    assert cycles == Cycles(cycles=101, missed=2, p50_ms=51, p99_ms=100, max_ms=101)
    assert Cycles.of([], 0) == Cycles(0, 0, None, None, None)


def test_mpc_runs() -> None:
    table = pd.DataFrame(
        {
            "status": ["converged", "budget", "failed", "converged"],
            "iterations": [10, 500, 0, 20],
            "wall_ms": [100.0, 60_000.0, 5.0, 300.0],
            "adopted": [True, True, False, True],
        }
    )
    runs = MpcRuns.of(table, 60_000.0)
    assert (runs.runs, runs.converged, runs.adopted, runs.iterations_p50) == (4, 2, 3, 15)
    assert (runs.p50_ms, runs.max_ms, runs.budget_ms) == (200, 60_000, 60_000)
    assert MpcRuns.of(table.head(0), 60_000.0).p95_ms is None
