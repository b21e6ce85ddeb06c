"""Local times of a day: their positions on an axis of elapsed hours, and their labels.

Axes count elapsed time, so that the days on which the clocks change have 23 or 25 hours; only labels are local.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from core.arrays import FloatArray
from core.time import TimeAxis

TICKS_MIN = (1, 2, 5, 10, 30, 60, 180, 360, 720, 1440)
MOST_TICKS = 10
"""More labels would be too close together."""
LONGEST_DAY_H = 25


def edges_h(axis: TimeAxis) -> FloatArray:
    """Start of every step and end of the last, hours since the start, [T + 1]."""
    return np.arange(axis.n_steps + 1, dtype=np.float64) * axis.dt_h


def ticks(axis: TimeAxis) -> tuple[list[float], list[str]]:
    """Positions (hours since the start) and labels of round local times: every third full hour of a day; of several
    days midnights have their date.
    """
    minutes, start = round(60 * axis.n_steps * axis.dt_h), _local(axis, axis.start)
    every_min = next((t for t in TICKS_MIN if minutes <= MOST_TICKS * t), TICKS_MIN[-1])
    to_minute = -timedelta(seconds=start.second, microseconds=start.microsecond) % timedelta(minutes=1)
    offsets = [to_minute + timedelta(minutes=m) for m in range(minutes + 1)]
    local = [(offset / timedelta(hours=1), _local(axis, axis.start + offset)) for offset in offsets]
    round_times = [(h, t) for h, t in local if (60 * t.hour + t.minute) % every_min == 0]
    shown = round_times[:: -(-len(round_times) // (2 * MOST_TICKS)) or 1]
    label = _dated if minutes > 60 * LONGEST_DAY_H else clock
    return [h for h, _ in shown], [label(axis, t) for _, t in shown]


def edge(axis: TimeAxis, k: int) -> str:
    """Local time at which step ``k`` begins; ``k`` = T is the end of the last."""
    t = _local(axis, axis.start + timedelta(minutes=axis.step_min * k))
    return f"{clock(axis, t)} {t:%Z}" if changes(axis) else clock(axis, t)


def clock(axis: TimeAxis, local: datetime) -> str:
    """HH:MM; midnight at the end of the day is 24:00."""
    return "24:00" if local == axis.end and (local.hour, local.minute) == (0, 0) else f"{local:%H:%M}"


def moment(instant: datetime, timezone: str) -> str:
    """Date and time of day, 2026-11-30 14:30:00."""
    return f"{instant.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M:%S}"


def day_and_clock(instant: datetime, timezone: str) -> tuple[str, str]:
    """Date and time of day apart, 2026-11-30 and 14:30:00."""
    date, _, time = moment(instant, timezone).partition(" ")
    return date, time


def _dated(_: TimeAxis, local: datetime) -> str:
    return f"{local.day} {local:%b}" if (local.hour, local.minute) == (0, 0) else f"{local:%H:%M}"


def changes(axis: TimeAxis) -> bool:
    """Whether the clocks change on this day."""
    return _local(axis, axis.start).utcoffset() != _local(axis, axis.end).utcoffset()


def description(axis: TimeAxis) -> str:
    """Label of a time axis."""
    hours = f", a day of {axis.n_steps * axis.dt_h:g} hours" if changes(axis) else ""
    return f"local time ({axis.timezone}{hours})"


def _local(axis: TimeAxis, t: datetime) -> datetime:
    return t.astimezone(ZoneInfo(axis.timezone))
