"""How the figures of the docs look: like those of the report, with text as outlines; the same bytes in every run."""

import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import DateFormatter, HourLocator, date2num
from matplotlib.figure import Figure

from controller.report.primitives.style import COLOURS, LIMIT, RC
from core.arrays import FloatArray
from core.time import TimeAxis

BLUE, ORANGE, GREEN = COLOURS[:3]
BEFORE: dict[str, Any] = {"color": ORANGE, "linestyle": (0, (4, 1.5))}
AFTER: dict[str, Any] = {"color": BLUE}


def panels(rows: int, columns: int, height_in: float, **options: Any) -> tuple[Figure, Any]:
    """Axes on a page 7.2 inches wide."""
    figure = Figure(figsize=(7.2, height_in), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def save(draw: Callable[[], Figure], path: Path) -> None:
    """Draw and write as SVG."""
    path.parent.mkdir(exist_ok=True)
    settings = {**mpl.rcParamsDefault, **RC, "svg.fonttype": "path", "text.parse_math": True}
    with mpl.rc_context(settings):
        text = StringIO()
        draw().savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text(re.sub(r"\.(\d\d)\d+(?=[ \n\"])", r".\1", text.getvalue()), encoding="utf-8")  # 1/100 pt will do


def limit(ax: Axes, *values: float) -> None:
    """Lines that should not be crossed."""
    for value in values:
        ax.axhline(value, color=LIMIT, linewidth=0.9, linestyle=(0, (1, 1.2)))


def edges(axis: TimeAxis) -> FloatArray:
    """Begin of each step and the end of the last, in days of matplotlib, local time."""
    begins = [date2num(t.replace(tzinfo=None)) for t in axis.times]
    return np.array([*begins, begins[-1] + axis.dt_h / 24])


def held(ax: Axes, axis: TimeAxis, values: FloatArray, **look: Any) -> None:
    """A quantity that is constant over each step."""
    ax.stairs(values, edges(axis), baseline=None, **{"linewidth": 1.2, **look})


def clock(ax: Axes, axis: TimeAxis) -> None:
    """Hours of the day along the bottom."""
    ax.set_xlim(*edges(axis)[[0, -1]])
    ax.xaxis.set_major_locator(HourLocator(range(0, 24, 3)))
    ax.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    ax.set_xlabel("local time")
