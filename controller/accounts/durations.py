"""How long cycles and MPC runs took: quantiles of wall-clock time, None without data."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mpc.coordination.outcome import CoordinationStatus


@dataclass(frozen=True)
class Cycles:
    """Durations of the 30 s cycles; ``missed`` cycles did not take place."""

    cycles: int
    missed: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None

    @classmethod
    def of(cls, cycle_ms: Sequence[float], missed: int) -> "Cycles":
        """Statistics of the wall-clock times of the cycles."""
        return cls(len(cycle_ms), missed, *(_quantile(cycle_ms, share) for share in (0.5, 0.99, 1)))


@dataclass(frozen=True)
class MpcRuns:
    """Durations of the MPC runs; ``adopted`` counts the plans that came into force. ``budget_ms``: allowed time of a
    run.
    """

    runs: int
    converged: int
    adopted: int
    iterations_p50: float | None
    p50_ms: float | None
    p95_ms: float | None
    max_ms: float | None
    budget_ms: float

    @classmethod
    def of(cls, mpc: pd.DataFrame, budget_ms: float) -> "MpcRuns":
        """Statistics of the table mpc.csv."""
        wall_ms = mpc["wall_ms"].tolist()
        return cls(
            runs=len(mpc),
            converged=int((mpc["status"] == CoordinationStatus.CONVERGED).sum()),
            adopted=int(mpc["adopted"].sum()),
            iterations_p50=_quantile(mpc["iterations"].tolist(), 0.5),
            p50_ms=_quantile(wall_ms, 0.5),
            p95_ms=_quantile(wall_ms, 0.95),
            max_ms=_quantile(wall_ms, 1),
            budget_ms=budget_ms,
        )


def _quantile(values: Sequence[float], share: float) -> float | None:
    return float(np.quantile(values, share)) if len(values) else None
