"""Limits other than voltages: power at the upper grid and line currents, checked by ten-minute means like voltages."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from controller.accounts.voltage_quality import INTERVAL
from controller.report.loop.record import SampledRecord
from controller.report.primitives.amounts import SLACK
from mpc.grid.rows import PU_PER_RATING

REACTIVE = "q_kvar"


@dataclass(frozen=True)
class Quantity:
    """A quantity limited to ``low`` … ``high`` in ``unit``, and its ten-minute means."""

    what: str
    unit: str
    low: float
    high: float
    tolerance: float
    means: pd.Series

    @property
    def outside(self) -> int:
        """Number of intervals whose mean is outside by more than the tolerance."""
        return int(((self.means < self.low - self.tolerance) | (self.means > self.high + self.tolerance)).sum())


def quantities(record: SampledRecord) -> Iterator[Quantity]:
    """All such quantities, with the tolerances of the plan; reactive power has a margin of its own instead."""
    scenario = record.summary.scenario
    per_rating = scenario.violation_tol_pu / PU_PER_RATING
    for column, (what, unit) in SLACK.items():
        bound = scenario.slack_bound(column)
        tolerance = 0.0 if column == REACTIVE else per_rating * scenario.slack_s_max_kva
        yield Quantity(what, unit, -bound, bound, tolerance, _means(record.judged(record.slack[column])))
    for line, i_max_a in scenario.line_i_max_a.items():
        yield Quantity(f"line {line}", "A", 0.0, i_max_a, per_rating * i_max_a, _means(record.judged(record.i_a[line])))


def _means(values: pd.Series) -> pd.Series:
    return values.groupby(pd.DatetimeIndex(values.index).floor(INTERVAL)).mean().dropna()
