"""Violations of a plan: voltages, power at the slack, and currents of lines with a limit."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

import numpy as np

from controller.report.plan.record import DayRecord, Record
from controller.report.primitives.amounts import SLACK
from core.arrays import FloatArray
from mpc.grid.rows import PU_PER_RATING


@dataclass(frozen=True)
class Limit:
    """One side of a limit: ``sign`` +1 for an upper one, −1 for a lower one; values [T] in ``unit``."""

    what: str
    unit: str
    values: FloatArray
    bound: float
    sign: int
    tolerance: float

    @property
    def excess(self) -> FloatArray:
        """Excess over the limit in its unit, [T]; in a voltage collapse it is infinite for lower voltage limits."""
        collapse = inf if self.unit == "p.u." and self.sign < 0 else 0.0
        return np.where(np.isnan(self.values), collapse, np.maximum(self.sign * (self.values - self.bound), 0))


@dataclass(frozen=True)
class Excursion:
    """A limit left by more than the tolerance; ``spans`` are [first, last] steps, ``worst`` the step of the worst
    value.
    """

    limit: Limit
    spans: tuple[tuple[int, int], ...]
    worst: int

    @property
    def steps(self) -> int:
        """Number of steps outside."""
        return sum(last - first + 1 for first, last in self.spans)

    @property
    def severity(self) -> float:
        """Worst excess in multiples of the tolerance, comparable between voltages, powers and currents."""
        return float(self.limit.excess[self.worst] / self.limit.tolerance)


def excursions(record: Record, day: DayRecord) -> dict[tuple[str, int], Excursion]:
    """All excursions beyond the run's tolerance, by (what, side)."""
    found = {}
    for limit in limits(record, day):
        outside = limit.excess > limit.tolerance
        if outside.any():
            edges = np.flatnonzero(np.diff(np.concatenate([[0], outside.astype(int), [0]])))
            spans = tuple((int(a), int(b) - 1) for a, b in edges.reshape(-1, 2))
            found[limit.what, limit.sign] = Excursion(limit, spans, int(np.argmax(limit.excess)))
    return found


def limits(record: Record, day: DayRecord) -> Iterator[Limit]:
    """All limits; the voltage of the slack is given, not limited."""
    scenario = record.summary.scenario
    tolerance = scenario.violation_tol_pu
    for node in day.v_pu.columns.drop(scenario.slack):
        values = day.v_pu[node].to_numpy()
        yield Limit(node, "p.u.", values, scenario.v_max_pu, 1, tolerance)
        yield Limit(node, "p.u.", values, scenario.v_min_pu, -1, tolerance)
    per_rating = tolerance / PU_PER_RATING
    for quantity, (what, unit) in SLACK.items():
        values, bound = day.slack[quantity].to_numpy(), scenario.slack_bound(quantity)
        for sign in (1, -1):
            yield Limit(what, unit, values, sign * bound, sign, per_rating * scenario.slack_s_max_kva)
    for line, i_max_a in scenario.line_i_max_a.items():
        values = day.i_a[line].to_numpy()
        yield Limit(f"line {line}", "A", values, i_max_a, 1, per_rating * i_max_a)
