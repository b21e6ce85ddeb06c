"""Longer runs: the penalty held constant, and the successive programs of the reference."""

from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.cases import ROOT, grid_of, scenario, with_band
from benchmarks.figures.style import BLUE, ORANGE, panels
from controller.process.clocks import WallClock
from controller.report.primitives.style import COLOURS, LIMIT
from controller.studies import penalty as study
from core.algorithms import SplittingName
from core.errors import SolverError
from core.load import load_config
from mpc import reference as reference_module
from mpc.reference import AC_TOLERANCE_PU, PROXIMAL_REL, CentralisedProblem
from tests.support.synthetic import with_losses

CONFIG = ROOT / "configs" / "gridlab9.yaml"
PROGRAMS = 25


def rho() -> Figure:
    """Residuals, gap and violation after 80 rounds under a constant penalty, from ``gridlab study rho``."""
    with TemporaryDirectory() as folder:
        study.rho(load_config(CONFIG), CONFIG, Path(folder), WallClock(), lambda _: None)
        frame = pd.read_csv(Path(folder) / "rho.csv")
    figure, axes = panels(2, 2, 4.2, sharex=True)
    for splitting, colour in zip(SplittingName, COLOURS, strict=False):
        of = frame[frame["splitting"] == splitting]
        for ax, column in zip(axes.flat, ("primal", "dual", "gap_rel", "violation_pu"), strict=True):
            ax.loglog(of["rho_rel"], of[column].abs(), "o-", color=colour, markersize=3, label=splitting)
    for ax, title, unit in zip(
        axes.flat,
        ("Primal residual (17)", "Dual residual (17)", "Certified gap, absolute value", "AC violation"),
        ("kW", "CHF/kW", "relative", "comparable p.u."),
        strict=True,
    ):
        ax.set(title=title, ylabel=unit)
        ax.axvline(1, color=LIMIT, linewidth=0.9, linestyle=(0, (1, 1.2)))
    axes[0, 0].legend(loc="lower left")
    for ax in axes[1]:
        ax.set_xlabel("constant ρ / natural scale")
    return figure


def reference() -> Figure:
    """AC error and cost along successive programs, at ± 4 % and lossless, without and with a proximal term."""
    figure, (left, right) = panels(1, 2, 2.5)
    paths = {gamma: successive(gamma) for gamma in (0.0, PROXIMAL_REL)}
    best = paths[PROXIMAL_REL][-1][1]
    for (gamma, path), colour, style in zip(paths.items(), (ORANGE, BLUE), ((0, (4, 1.5)), "-"), strict=True):
        label = f"γ = {gamma:g} × mean tariff · Δt per kW" if gamma else "γ = 0: jumps between vertices"
        numbers = np.arange(1, len(path) + 1)
        left.semilogy(numbers, [error for error, _ in path], color=colour, linestyle=style, label=label)
        right.plot(numbers, [1e3 * (cost - best) for _, cost in path], color=colour, linestyle=style)
    left.axhline(AC_TOLERANCE_PU, color=LIMIT, linewidth=0.9, linestyle=(0, (1, 1.2)))
    left.set(xlabel="program", ylabel="error (19), comparable p.u.", title="What the linear program gets wrong")
    left.legend(loc="upper right")
    right.set(xlabel="program", ylabel="mCHF", title="Cost relative to the AC-consistent optimum")
    return figure


def successive(gamma_rel: float) -> list[tuple[float, float]]:
    """(error in comparable p.u., cost in CHF) of each program; without a proximal term they end after ``PROGRAMS``."""
    case = with_losses(with_band(scenario(), 0.04), 0.0)
    grid, problem = grid_of(case), CentralisedProblem(case)
    price = float(np.abs(case.tariff.buy_chf_per_kwh).mean()) * case.axis.dt_h
    path: list[tuple[float, float]] = []
    error_of = grid.linearisation_error_pu

    def watched(rows, x, flow):  # type: ignore[no-untyped-def]
        error = error_of(rows, x, flow)
        path.append((error, float(case.tariff.buy_chf_per_kwh @ x[:, :, 0].sum(axis=0)) * case.axis.dt_h))
        return error

    with patch.object(grid, "linearisation_error_pu", watched), patch.object(reference_module, "MAX_ROUNDS", PROGRAMS):
        try:
            problem.ac_optimum(grid, gamma_rel * price)
        except SolverError:
            assert len(path) == PROGRAMS
    return path
