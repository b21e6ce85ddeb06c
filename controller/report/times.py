"""Local time of a day: where it stands on an axis of elapsed hours, and what a reader calls it.

Axes count elapsed time, so that the days on which the clocks change have 23 or 25 hours; only labels are local.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from core.assets import FloatArray
from core.time import TimeAxis

TICK_H = 3


def edges_h(axis: TimeAxis) -> FloatArray:
    """Begin of every step and end of the last, hours since the start, [T + 1]."""
    return np.arange(axis.n_steps + 1, dtype=np.float64) * axis.dt_h


def ticks(axis: TimeAxis) -> tuple[list[float], list[str]]:
    """Positions (hours since the start) and labels of every third full hour of local time."""
    quarters = range(round(4 * axis.n_steps * axis.dt_h) + 1)
    local = [(q / 4, _local(axis, axis.start + timedelta(minutes=15 * q))) for q in quarters]
    full = [(h, t) for h, t in local if t.minute == 0 and t.hour % TICK_H == 0]
    return [h for h, _ in full], [clock(axis, t) for _, t in full]


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
