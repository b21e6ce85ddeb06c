"""How coordinations converge, and how cost and certified bound approach the optimum."""

from functools import cache

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.cases import coordinate, grid_of, scenario
from benchmarks.figures.style import BLUE, ORANGE, limit, panels
from controller.report.primitives.style import COLOURS, INK, LIMIT, QUIET
from core.algorithms import SplittingName
from core.arrays import FloatArray
from mpc.coordination.star.outcome import Iteration, StarOutcome
from mpc.reference import CentralisedProblem

NEVER, ROUNDS = 1e-15, 150
GAP_TOL, VIOLATION_TOL_PU = 1e-3, 2e-4


@cache
def long_run(splitting: str) -> StarOutcome:
    """Coordinate the default scenario for ``ROUNDS`` rounds, beyond convergence."""
    return coordinate(scenario(), splitting=splitting, gap_tol=NEVER, max_iterations=ROUNDS).outcome


def convergence() -> Figure:
    """Certified gap, AC violation and residuals of every splitting over the rounds."""
    figure, axes = panels(2, 2, 4.2, sharex=True)
    for splitting, colour in zip(SplittingName, COLOURS, strict=False):
        log = long_run(splitting).iterations
        draw(axes[0, 0], log, [None if i.gap_rel is None else abs(i.gap_rel) for i in log], colour, splitting)
        draw(axes[0, 1], log, [i.violation_pu for i in log], colour, splitting)
        draw(axes[1, 0], log, [i.primal for i in log], colour, splitting)
        draw(axes[1, 1], log, [i.dual for i in log], colour, splitting)
    limit(axes[0, 0], GAP_TOL)
    limit(axes[0, 1], VIOLATION_TOL_PU)
    axes[0, 0].set(ylabel="relative", title="Certified gap, absolute value", ylim=(1e-5, 0.1))
    axes[0, 1].set(ylabel="comparable p.u.", title="AC violation", ylim=(1e-5, 0.1))
    axes[1, 0].set(ylabel="kW", title="Primal residual (17), worst prosumer")
    axes[1, 1].set(ylabel="CHF/kW", title="Dual residual (17), worst prosumer")
    axes[0, 1].legend(loc="upper right")
    for ax in axes[1]:
        ax.set_xlabel("round")
    return figure


def draw(ax: Axes, log: tuple[Iteration, ...], values: list[float | None], colour: str, label: str) -> None:
    """Draw a line over the rounds; unknown values leave a gap."""
    ax.semilogy([i.iteration for i in log], [np.nan if v is None else v for v in values], color=colour, label=label)


def certificate() -> Figure:
    """Cost and bound around the AC-consistent optimum; below, the error of the linearisation."""
    case, log = scenario(), coordinate(scenario(), gap_tol=NEVER, max_iterations=60).outcome.iterations
    optimum = CentralisedProblem(case).ac_optimum(grid_of(case)).cost_chf
    rounds = np.array([i.iteration for i in log])
    figure, (top, bottom) = panels(2, 1, 3.9, sharex=True, height_ratios=(3, 2))
    top.plot(rounds, [i.cost_chf for i in log], color=BLUE, label="cost of the answers")
    bounds: FloatArray = np.array([np.nan if i.bound_chf is None else i.bound_chf for i in log])
    top.plot(rounds, bounds, color=ORANGE, marker=".", markersize=3, label="certified bound (of its linearisation)")
    top.axhline(optimum, color=INK, linewidth=0.9, linestyle=(0, (1, 1.2)), label="AC-consistent optimum")
    top.set(ylabel="CHF", ylim=(optimum - 0.25, optimum + 0.25), title="Cost and bound close in on the optimum")
    top.legend(loc="lower right")
    bottom.semilogy(rounds, [i.violation_pu for i in log], color=BLUE, label="AC violation")
    bottom.semilogy(rounds, [i.linearisation_pu for i in log], color=QUIET, label="error of the rows (19)")
    bottom.axhline(VIOLATION_TOL_PU, color=LIMIT, linewidth=0.9, linestyle=(0, (1, 1.2)))
    bottom.set(xlabel="round", ylabel="comparable p.u.", xlim=(1, rounds[-1]))
    bottom.legend(loc="upper right")
    return figure
