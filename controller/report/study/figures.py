"""Figures 6 and 7 of paper A: effects of the penalty on the coordination and on the price signal."""

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from controller.report.primitives import svg
from controller.report.primitives.style import (
    COLOURS,
    DASHES,
    QUIET,
    WIDTH_IN,
    Legend,
    Look,
    handle,
    log_scale,
    magnitudes,
    styled,
)
from core.algorithms import SplittingName

PALETTE = tuple(COLOURS[k] for k in (0, 4, 2, 3, 5, 1))
"""Colours, the most different ones first."""
LOOKS = {str(name): Look(PALETTE[k % len(PALETTE)], DASHES[k % len(DASHES)]) for k, name in enumerate(SplittingName)}
"""Look of each splitting, by its name."""
SIGNS = "full markers: positive; hollow: negative, |value| is drawn; ▽: zero"
CURRENCY = "currency"
"""Stands for the currency of the configuration in titles."""
Panels = tuple[tuple[str, str], ...]
RHO: Panels = (
    ("primal", "primal residual (kW)"),
    ("dual", "dual residual (currency/kW)"),
    ("gap_rel", "|certified gap| of the cost"),
    ("violation_pu", "AC violation (p.u.)"),
)
PRICE_RESPONSE: Panels = (
    ("cost_increase_chf", "|increase of the total cost| (currency)"),
    ("violation_pu", "AC violation (p.u.)"),
)


def rho_figure(frame: pd.DataFrame, currency: str, path: Path) -> None:
    """Figure 6 as SVG: residuals, gap and violation after a fixed number of rounds, by constant penalty."""
    svg.save(study_figure(frame, RHO, currency), path)


def price_response_figure(frame: pd.DataFrame, currency: str, path: Path) -> None:
    """Figure 7 as SVG: cost and violation if every prosumer minimises the advertised price, by the penalty in it."""
    svg.save(study_figure(frame, PRICE_RESPONSE, currency), path)


@styled
def study_figure(frame: pd.DataFrame, panels: Panels, currency: str) -> Figure:
    """Log-log panels in two columns, with a line for every splitting in ``frame``."""
    n_rows = len(panels) // 2
    figure = Figure(figsize=(WIDTH_IN, 2.35 * n_rows + 0.5), layout="constrained")
    axes = figure.subplots(n_rows, 2, sharex=True, squeeze=False)
    for ax, (quantity, title) in zip(axes.flat, panels, strict=True):
        _panel(ax, frame, quantity)
        ax.set_title(title.replace(CURRENCY, currency))
    log_scale(axes[0, 0], "x")
    for ax in axes[-1]:
        ax.set_xlabel("penalty ρ relative to its natural scale")
    key = Legend({f"{name} splitting": handle(LOOKS[name]) for name in dict.fromkeys(frame["splitting"])})
    figure.legend(list(key.entries.values()), list(key.entries), loc="outside upper left", ncols=2)
    figure.supxlabel(SIGNS, fontsize=6.5, color=QUIET)
    return figure


def _panel(ax: Axes, frame: pd.DataFrame, quantity: str) -> None:
    for name, rows in frame.groupby("splitting", sort=False):
        magnitudes(ax, rows["rho_rel"].to_numpy(float), rows[quantity].to_numpy(float), LOOKS[str(name)])
    log_scale(ax)
