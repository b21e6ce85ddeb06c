"""Conversion of piecewise constant series to the steps of a time axis. Times are in seconds."""

from datetime import timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from core.arrays import FloatArray
from core.time import TimeAxis


class Pass(NamedTuple):
    """Part of the day without a jump of the wall clock: wall time [begin, end), which starts at ``elapsed_s`` of the
    axis.
    """

    begin_s: float
    end_s: float
    elapsed_s: float


def step_means(begins_s: FloatArray, values: FloatArray, edges_s: FloatArray) -> FloatArray:
    """Mean of a piecewise constant series over each step, [T]: the exact integral, for any two resolutions.

    Args:
        begins_s: [N], ascending; value k is valid from here to the next begin, the last one without end.
        values: [N].
        edges_s: [T + 1], ascending; the first not before the first begin.
    """
    knots = np.union1d(edges_s, begins_s[(begins_s > edges_s[0]) & (begins_s < edges_s[-1])])
    held = values[np.searchsorted(begins_s, knots[:-1], side="right") - 1]
    integral = np.add.reduceat(held * np.diff(knots), np.searchsorted(knots, edges_s[:-1]))
    return np.asarray(integral / np.diff(edges_s))


def wall_passes(axis: TimeAxis) -> tuple[Pass, ...]:
    """The wall clock of the axis in s since the first midnight: one pass, or two on days of 23 and 25 hours."""
    zone = ZoneInfo(axis.timezone)
    minutes = axis.step_min * axis.n_steps
    walls = [(axis.start + timedelta(minutes=m)).astimezone(zone).replace(tzinfo=None) for m in range(minutes)]
    midnight = walls[0].replace(hour=0, minute=0, second=0)
    wall_s = [(wall - midnight).total_seconds() for wall in walls]
    jumps = [m for m in range(1, minutes) if wall_s[m] - wall_s[m - 1] != 60]
    return tuple(
        Pass(wall_s[first], wall_s[last - 1] + 60, 60.0 * first)
        for first, last in zip([0, *jumps], [*jumps, minutes], strict=True)
    )
