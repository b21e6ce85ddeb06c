"""Local times of a day: their positions on an axis of elapsed hours, and their labels.

Axes count elapsed time, so that the days on which the clocks change have 23 or 25 hours; only labels are local.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from core.arrays import FloatArray
from core.time import TimeAxis

TICKS_MIN = (5, 10, 30, 60, 180)
MOST_TICKS = 10
"""More labels would be too close together."""


def edges_h(axis: TimeAxis) -> FloatArray:
    """Start of every step and end of the last, hours since the start, [T + 1]."""
    return np.arange(axis.n_steps + 1, dtype=np.float64) * axis.dt_h


def ticks(axis: TimeAxis) -> tuple[list[float], list[str]]:
    """Positions (hours since the start) and labels of round local times: every third full hour of a day."""
    minutes = round(60 * axis.n_steps * axis.dt_h)
    every_min = next((t for t in TICKS_MIN if minutes <= MOST_TICKS * t), TICKS_MIN[-1])
    local = [(m / 60, _local(axis, axis.start + timedelta(minutes=m))) for m in range(minutes + 1)]
    round_times = [(h, t) for h, t in local if (60 * t.hour + t.minute) % every_min == 0]
    return [h for h, _ in round_times], [clock(axis, t) for _, t in round_times]


def edge(axis: TimeAxis, k: int) -> str:
    """Local time at which step ``k`` begins; ``k`` = T is the end of the last."""
    t = _local(axis, axis.start + timedelta(minutes=axis.step_min * k))
    return f"{clock(axis, t)} {t:%Z}" if changes(axis) else clock(axis, t)


def clock(axis: TimeAxis, local: datetime) -> str:
    """HH:MM; midnight at the end of the day is 24:00."""
    return "24:00" if local == axis.end and (local.hour, local.minute) == (0, 0) else f"{local:%H:%M}"


def changes(axis: TimeAxis) -> bool:
    """Whether the clocks change on this day."""
    return _local(axis, axis.start).utcoffset() != _local(axis, axis.end).utcoffset()


def description(axis: TimeAxis) -> str:
    """Label of a time axis."""
    hours = f", a day of {axis.n_steps * axis.dt_h:g} hours" if changes(axis) else ""
    return f"local time ({axis.timezone}{hours})"


def _local(axis: TimeAxis, t: datetime) -> datetime:
    return t.astimezone(ZoneInfo(axis.timezone))
