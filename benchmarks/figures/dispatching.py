"""How dispatches of many resources converge."""

import numpy as np
from matplotlib.figure import Figure

from benchmarks.figures.style import limit, panels
from controller.report.primitives.style import COLOURS, DASHES
from mpc.coordination.dispatch.coordinator import DispatchSettings
from mpc.coordination.dispatch.solve import dispatch
from mpc.coordination.dispatch.target import Norm
from tests.support.dispatches import random_dispatch

SEED, RESOURCES, GAP_TOL = 5001, 1000, 1e-3
"""An odd seed: the resources have own costs."""


def convergence() -> Figure:
    """Certified gap over the rounds, with 3 and 24 sectors, for both norms."""
    figure, ax = panels(1, 1, 2.6)
    for sectors, colour in zip((3, 24), COLOURS, strict=False):
        for norm, dashes in zip(Norm, DASHES, strict=False):
            fleet, target = random_dispatch(SEED, RESOURCES, sectors, norm)
            rounds = dispatch(fleet, target, DispatchSettings(gap_tol=GAP_TOL)).rounds
            gaps = np.array([np.nan if each.gap_rel is None else each.gap_rel for each in rounds])
            label = f"{sectors} sectors, {norm.upper()}"
            ax.semilogy([each.round for each in rounds], gaps, color=colour, linestyle=dashes, label=label)
    limit(ax, GAP_TOL)
    ax.set(xlabel="round", ylabel="relative", title=f"Certified gap, {RESOURCES} resources with own costs")
    ax.legend(loc="upper right")
    return figure
