"""Style of the figures of the docs: that of the report, with text as outlines; every run gives the same bytes."""

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
    """Axes on a figure 7.2 inches wide."""
    figure = Figure(figsize=(7.2, height_in), layout="constrained")
    return figure, figure.subplots(rows, columns, **options)


def save(draw: Callable[[], Figure], path: Path) -> None:
    """Draw and write as SVG, with coordinates rounded to 1/100 pt."""
    path.parent.mkdir(exist_ok=True)
    settings = {**mpl.rcParamsDefault, **RC, "svg.fonttype": "path", "text.parse_math": True}
    with mpl.rc_context(settings):
        text = StringIO()
        draw().savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    path.write_text(re.sub(r"\.(\d\d)\d+(?=[ \n\"])", r".\1", text.getvalue()), encoding="utf-8")


def limit(ax: Axes, *values: float) -> None:
    """Draw horizontal lines at limits."""
    for value in values:
        ax.axhline(value, color=LIMIT, linewidth=0.9, linestyle=(0, (1, 1.2)))


def edges(axis: TimeAxis) -> FloatArray:
    """Begin of each step and end of the last one in local time, as days of matplotlib, [T + 1]."""
    begins = [date2num(t.replace(tzinfo=None)) for t in axis.times]
    return np.array([*begins, begins[-1] + axis.dt_h / 24])


def stairs(ax: Axes, axis: TimeAxis, values: FloatArray, **look: Any) -> None:
    """Draw a quantity that is constant over each step."""
    ax.stairs(values, edges(axis), baseline=None, **{"linewidth": 1.2, **look})


def clock(ax: Axes, axis: TimeAxis) -> None:
    """Label the x axis with hours of the day."""
    ax.set_xlim(*edges(axis)[[0, -1]])
    ax.xaxis.set_major_locator(HourLocator(range(0, 24, 3)))
    ax.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    ax.set_xlabel("local time")
