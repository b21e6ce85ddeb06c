"""The figures of a planned day and of its coordination, as figures 3 to 5 of paper A."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from controller.report.day.panels import battery, price, pv, soc, tariff, voltages
from controller.report.primitives.drawing import Drawing, Plan
from controller.report.primitives.style import (
    BOUND,
    COLOURS,
    WIDTH_IN,
    Legend,
    Look,
    handle,
    log_scale,
    magnitudes,
    short,
    styled,
)  # fmt: skip
from controller.report.primitives.summary import ScenarioSummary
from controller.report.primitives.times import description, edges_h, ticks
from core.time import TimeAxis

Panel = Callable[[Axes, Drawing, Plan], None]

MARKED_UP_TO = 40


@styled
def day_figure(drawing: Drawing, plan: Plan, v_pu: pd.DataFrame | None, coordinated: bool) -> Figure:
    """Figures 3 and 4: powers of the prosumers and, if known, voltages of the grid."""
    panels: list[tuple[Panel, float]] = [(price, 1.4) if coordinated else (tariff, 0.7)]
    if has_battery(plan):
        panels += [(soc, 1), (battery, 1)]
    if (plan["pv_available_kw"] > 0).any(axis=None):
        panels += [(pv, 1)]
    grid = [] if v_pu is None else [1.4]
    figure, axes = stacked(drawing.axis, [*(height for _, height in panels), *grid])
    for ax, (panel, _) in zip(axes, panels, strict=False):
        panel(ax, drawing, plan)
    if v_pu is not None:
        voltages(axes[-1], drawing, v_pu)
    name_prosumers(figure, drawing.participants.looks)
    return figure


@styled
def convergence_figure(scenario: ScenarioSummary, table: pd.DataFrame) -> Figure:
    """Figure 5: residuals, certified gap, violation, linearisation error and penalty by round."""
    curves = (
        ("residuals", ("primal", "dual"), ("primal (kW)", f"dual ({scenario.currency}/kW)"), None),
        ("certified |gap|", ("gap_rel",), ("of the cost",), scenario.gap_tol),
        (
            "error (p.u.)",
            ("violation_pu", "linearisation_pu"),
            ("violation", "linearisation"),
            scenario.violation_tol_pu,
        ),
        ("penalty", ("rho",), (f"ρ ({scenario.currency}/kW²)",), None),
    )
    figure = Figure(figsize=(WIDTH_IN, 3.9), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True)
    for ax, (title, columns, labels, tolerance) in zip(axes.flat, curves, strict=True):
        key = Legend()
        for column, label, color in zip(columns, labels, (COLOURS[0], COLOURS[4]), strict=False):
            markers = column == "gap_rel" or len(table) <= MARKED_UP_TO
            magnitudes(ax, table["iteration"].to_numpy(float), table[column].to_numpy(float), Look(color), markers)
            key.add(label, handle(Look(color)))
        if tolerance is not None:
            ax.axhline(tolerance, **BOUND.line())
            key.add("tolerance", handle(BOUND))
        log_scale(ax)
        ax.set_title(title)
        key.show(ax, above=True)
    axes[0, 0].set_xlim(0.5, max(table["iteration"].max() + 0.5, 2))
    axes[0, 0].xaxis.set_major_locator(MaxNLocator(integer=True))
    for ax in axes[1]:
        ax.set_xlabel("round")
    return figure


def stacked(axis: TimeAxis, heights: list[float]) -> tuple[Figure, list[Axes]]:
    """Panels above each other with one time axis."""
    figure = Figure(figsize=(WIDTH_IN, 1.05 * sum(heights) + 0.7))
    figure.set_layout_engine("constrained", h_pad=0.03, hspace=0.02)
    axes = list(np.atleast_1d(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)))
    positions, labels = ticks(axis)
    axes[-1].set(xlim=(0, edges_h(axis)[-1]), xlabel=description(axis))
    axes[-1].set_xticks(positions, labels)
    for ax in axes[:-1]:
        ax.tick_params(axis="x", length=0)
    figure.align_ylabels(axes)
    return figure, axes


def name_prosumers(figure: Figure, looks: Mapping[str, Look]) -> None:
    """Add the legend of prosumers, which all panels share."""
    labels = [short(name) for name in looks]
    figure.legend([handle(look) for look in looks.values()], labels, loc="outside upper left", ncols=6)


def has_battery(plan: Plan) -> bool:
    """Whether any prosumer has a battery."""
    return bool(plan["soc"].notna().any(axis=None))
