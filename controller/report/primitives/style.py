"""The look of figures: one colour per prosumer in all of them, unobtrusive axes, text stored as text."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import blended_transform_factory
from numpy.typing import ArrayLike

from controller.report.primitives.amounts import power_of_ten
from core.arrays import FloatArray

WIDTH_IN = 7.6
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9")
"""Okabe and Ito's palette, distinct for every kind of colour vision, without yellow (faint) and black (the tariff)."""
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)))
INK, QUIET, GRID = "#1b1f24", "#8a9099", "#e3e6ea"
LIMIT, OUTSIDE = "#a4161a", "#fdecea"
WIDE_BAND, MIDDLE_BAND = "#e4e7eb", "#cbd0d7"
BEFORE, AFTER = "#9aa1ab", "#0b3d66"
ASKED, PASSED = "#b9c0c9", "#5b626b"
THEMED = {
    INK: "ink", QUIET: "quiet", GRID: "grid", LIMIT: "limit", OUTSIDE: "outside", WIDE_BAND: "wide-band",
    MIDDLE_BAND: "middle-band", BEFORE: "before", AFTER: "after", ASKED: "asked", PASSED: "passed",
    "#000000": "tariff", "#ffffff": "paper",
}  # fmt: skip
"""Colours that change on a dark page, with the name of their CSS property; those of prosumers never change."""
RC: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": QUIET,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 8,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.2,
    "svg.fonttype": "none",
    "svg.hashsalt": "gridlab",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": INK,
    "xtick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.color": INK,
    "ytick.labelsize": 7,
    "ytick.major.width": 0.6,
}


@dataclass(frozen=True)
class Look:
    """Colour, dashes and width of a line."""

    color: str
    linestyle: Any = "-"
    linewidth: float = 1.2

    def line(self) -> dict[str, Any]:
        """The look as arguments of matplotlib."""
        return {"color": self.color, "linestyle": self.linestyle, "linewidth": self.linewidth}


@dataclass
class Legend:
    """The legend of a panel, filled while the panel is drawn."""

    entries: dict[str, Artist] = field(default_factory=dict)

    def add(self, label: str, handle: Artist) -> None:
        """Add an entry, unless there is one of this name."""
        self.entries.setdefault(label, handle)

    def show(self, ax: Axes, *, above: bool = False) -> None:
        """Draw the legend to the right of the panel, or on the line of its title."""
        handles, labels = list(self.entries.values()), [short(label) for label in self.entries]
        if above:
            ax.legend(
                handles, labels, loc="lower right", bbox_to_anchor=(1.02, 0.97), ncols=len(labels), columnspacing=1.2
            )
        elif labels:
            ax.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.0, 1.05))


BOUND = Look(LIMIT, "--", 0.8)
WITHOUT, WITH = Look(BEFORE, linewidth=1.8), Look(AFTER, linewidth=1.1)
"""Of two days or runs, the reference is the first."""


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each name: six colours, then the same dashed, then dotted."""
    return {
        name: Look(COLOURS[k % len(COLOURS)], DASHES[k // len(COLOURS) % len(DASHES)]) for k, name in enumerate(names)
    }


def short(name: str, length: int = 22) -> str:
    """The name, shortened to fit a legend."""
    return name if len(name) <= length else f"{name[: length - 1]}…"


@contextmanager
def settings() -> Iterator[None]:
    """The settings of :data:`RC`, independent of those of the process.

    Names may have letters that the font has not: an SVG keeps them as text, and the browser has a font for them.
    """
    with mpl.rc_context({**mpl.rcParamsDefault, **RC}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph .* missing from font", UserWarning)
        yield


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Decorator: draw a figure under :func:`settings`."""

    def drawn(*args: Any) -> Figure:
        with settings():
            return draw(*args)

    return drawn


def steps(ax: Axes, edges: FloatArray, values: ArrayLike, look: Look) -> None:
    """Plot a quantity that is constant over each step."""
    ax.stairs(np.asarray(values, float), edges, baseline=None, **look.line())


def handle(look: Look) -> Line2D:
    """A line for a legend."""
    return Line2D([], [], **look.line())


def log_scale(ax: Axes, which: Literal["x", "y"] = "y") -> None:
    """Make an axis logarithmic, after drawing; labels do not use mathtext."""
    ax.set(**{f"{which}scale": "log"})
    axis, (low, high) = (ax.yaxis, ax.get_ylim()) if which == "y" else (ax.xaxis, ax.get_xlim())
    axis.set_major_locator(LogLocator(subs=(1,) if high > 30 * low else (1, 2, 5), numticks=7))
    axis.set_major_formatter(FuncFormatter(lambda value, _: decimal(value)))
    axis.set_minor_formatter(NullFormatter())


def decimal(value: float) -> str:
    """A label of a logarithmic axis: 0.001 → 10⁻³, 0.002 → 0.002, 0.00002 → 2 × 10⁻⁵."""
    if value <= 0:
        return ""
    exponent = round(np.log10(value))
    if np.isclose(value, 10.0**exponent):
        return power_of_ten(exponent)
    mantissa, _, small = f"{value:g}".partition("e-")
    return f"{mantissa} × {power_of_ten(-int(small))}" if small else mantissa


def magnitudes(ax: Axes, x: FloatArray, y: FloatArray, look: Look, markers: bool = True) -> None:
    """Plot |y| on a logarithmic axis: full markers are positive, hollow ones negative, ▽ at the bottom zero."""
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    positive, negative, zero = y > 0, y < 0, y == 0
    size: dict[str, Any] = {"markersize": 3.2, "markeredgewidth": 0.8, "linestyle": "none", "color": look.color}
    ax.plot(x[~zero], np.abs(y[~zero]), **look.line())
    if markers:
        ax.plot(x[positive], y[positive], marker="o", **size)
    ax.plot(x[negative], -y[negative], marker="o", markerfacecolor="white", **size)
    floor = blended_transform_factory(ax.transData, ax.transAxes)
    ax.plot(x[zero], np.full(zero.sum(), 0.03), marker="v", markerfacecolor="white", transform=floor, **size)
