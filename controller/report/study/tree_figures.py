"""Figures 3 and 4 of paper B: residuals by the number of prosumers, and the density of time by levels."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from scipy.stats import gaussian_kde

from controller.report.primitives.style import COLOURS, WIDTH_IN, Legend, Look, handle, log_scale, styled
from core.arrays import FloatArray

TITLES = {
    "tree": "tree of aggregators",
    "sharing": "paper's iteration, α = 1",
    "relaxed-sharing": "paper's iteration, α = 1.6",
}
COLOUR_MAP = "viridis"
POINTS = 200
FEWEST = 2
"""Times from which a density is estimated."""
LEVELS = {level: Look(COLOURS[level - 1]) for level in (1, 2, 3, 4)}


@styled
def residuals_figure(rounds: pd.DataFrame) -> Figure:
    """Figure 3: the primal residual over the rounds, a line for every tree; one panel per algorithm."""
    figure = Figure(figsize=(WIDTH_IN, 2.9), layout="constrained")
    axes = figure.subplots(1, len(TITLES), sharex=True)
    scale = Normalize(rounds["prosumers"].min(), rounds["prosumers"].max())
    for ax, (algorithm, title) in zip(axes, TITLES.items(), strict=True):
        _residuals(ax, rounds[rounds["algorithm"] == algorithm], scale)
        ax.set_title(title)
        ax.set_xlabel("round")
    axes[0].set_ylabel("primal residual")
    figure.colorbar(ScalarMappable(scale, COLOUR_MAP), ax=axes[-1], label="prosumers", shrink=0.9)
    return figure


def _residuals(ax: Axes, rounds: pd.DataFrame, scale: Normalize) -> None:
    lines = [of_tree[["round", "primal"]].to_numpy(float) for _, of_tree in rounds.groupby("tree")]
    sizes = rounds.groupby("tree")["prosumers"].first().to_numpy(float)
    positive = [line[line[:, 1] > 0] for line in lines]
    ax.add_collection(LineCollection(positive, array=sizes, cmap=COLOUR_MAP, norm=scale, linewidths=0.5, alpha=0.7))
    ax.autoscale_view()
    log_scale(ax)


@styled
def times_figure(trees: pd.DataFrame) -> Figure:
    """Figure 4: density of the CPU time per prosumer over the trees, a line for every number of levels."""
    figure = Figure(figsize=(WIDTH_IN, 2.6), layout="constrained")
    axes = figure.subplots(1, len(TITLES), sharex=True, sharey=True)
    largest = float(trees["cpu_ms_per_agent"].quantile(0.99))
    legend = Legend()
    for ax, (algorithm, title) in zip(axes, TITLES.items(), strict=True):
        _densities(ax, trees[trees["algorithm"] == algorithm], np.linspace(0, largest, POINTS), legend)
        ax.set_title(title)
        ax.set_xlabel("CPU time per prosumer (ms)")
    axes[0].set_ylabel("density (1/ms)")
    legend.show(axes[-1])
    return figure


def _densities(ax: Axes, trees: pd.DataFrame, at: FloatArray, legend: Legend) -> None:
    for level, look in LEVELS.items():
        times = trees.loc[trees["levels"] == level, "cpu_ms_per_agent"].to_numpy(float)
        if len(times) >= FEWEST and np.ptp(times) > 0:
            ax.plot(at, gaussian_kde(times)(at), **look.line())
            legend.add(_words(level), handle(look))


def _words(level: int) -> str:
    return f"{level} level{'s' if level > 1 else ''}"
