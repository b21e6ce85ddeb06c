"""The figures of a run, one function each: counterparts of figures 3 to 5 of paper A, and two of the grid."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from controller.report.plan.panels import battery, price, pv, reactive, soc, tariff, voltages
from controller.report.plan.record import Day, Record
from controller.report.primitives.drawing import Drawing, Plan
from controller.report.primitives.style import (
    BOUND,
    COLOURS,
    INK,
    WIDTH_IN,
    WITH,
    WITHOUT,
    Key,
    Look,
    handle,
    log_scale,
    magnitudes,
    short,
    steps,
    styled,
)  # fmt: skip
from controller.report.primitives.summary import Described
from controller.report.primitives.times import description, edges_h, ticks
from core.time import TimeAxis

Panel = Callable[[Axes, Drawing, Plan], None]

LABELLED_UP_TO = 24
MARKED_UP_TO = 40


@styled
def day_figure(drawing: Drawing, plan: Plan, v_pu: pd.DataFrame | None, coordinated: bool) -> Figure:
    """Figures 3 and 4: what the prosumers do and, where that is known, what the grid makes of it."""
    panels: list[tuple[Panel, float]] = [(price, 1.4) if coordinated else (tariff, 0.7)]
    if _has_battery(plan):
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
def exchange_figure(record: Record) -> Figure:
    """Power drawn from the upper grid without and with coordination, and the reactive power of the batteries."""
    plan = record.result.plan
    figure, axes = stacked(record.axis, [1.1, 1.1, 1.1] if _has_battery(plan) else [1.1, 1.1])
    _exchange(axes[0], record, "p_kw", "active\npower (kW)")
    _exchange(axes[1], record, "q_kvar", "reactive\npower (kvar)")
    if _has_battery(plan):
        reactive(axes[2], record.drawing, plan)
        name_prosumers(figure, record.participants.looks)
    return figure


@styled
def extremes_figure(record: Record) -> Figure:
    """Range of every node's voltage and largest current of every line over the day."""
    figure = Figure(figsize=(WIDTH_IN, 2.6), layout="constrained")
    nodes, lines = figure.subplots(1, 2)
    scenario, key = record.summary.scenario, Key()
    for name, day, look, aside in _days(record):
        _bars(nodes, day.v_pu.min(), day.v_pu.max(), look, aside)
        _bars(lines, 0 * day.i_a.max(), day.i_a.max(), look, aside)
        key.add(name, handle(look))
    for bound in (scenario.v_min_pu, scenario.v_max_pu):
        nodes.axhline(bound, **BOUND.line())
    for k, line in enumerate(record.result.i_a.columns):
        if line in scenario.line_i_max_a:
            lines.hlines(scenario.line_i_max_a[line], k - 0.4, k + 0.4, **BOUND.line())
    key.add("limit", handle(BOUND))
    nodes.set(title="voltage, least to largest of the day (p.u.)")
    lines.set(title="largest current of the day (A)", ylim=(0, None))
    _name_places(nodes, record.result.v_pu.columns, "node")
    _name_places(lines, record.result.i_a.columns, "line")
    figure.legend(list(key.entries.values()), list(key.entries), loc="outside upper left", ncols=3)
    return figure


@styled
def convergence_figure(scenario: Described, table: pd.DataFrame) -> Figure:
    """Figure 5: residuals, certified gap, violation and linearisation error, penalty over the rounds of ``table``."""
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
        key = Key()
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
    """Panels above each other on one time axis."""
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
    """The legend of prosumers that all panels share."""
    labels = [short(name) for name in looks]
    figure.legend([handle(look) for look in looks.values()], labels, loc="outside upper left", ncols=6)


def _exchange(ax: Axes, record: Record, quantity: str, label: str) -> None:
    key, bound = Key(), record.summary.scenario.slack_bound(quantity)
    for name, day, look, _ in _days(record):
        steps(ax, edges_h(record.axis), day.slack[quantity], look)
        key.add(name, handle(look))
    for end in (-bound, bound):
        ax.axhline(end, **BOUND.line())
    key.add("limit", handle(BOUND))
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel(label)
    key.show(ax)


def _days(record: Record) -> list[tuple[str, Day, Look, float]]:
    """Name, day, look, and offset beside each other."""
    days = [("without coordination", record.uncoordinated, WITHOUT, -0.16)]
    if record.coordinated is not None:
        days.append(("with coordination", record.coordinated, WITH, 0.16))
    return days


def _bars(ax: Axes, low: pd.Series, high: pd.Series, look: Look, aside: float) -> None:
    x = np.arange(len(low)) + aside
    width = 5 * look.linewidth / 1.8 if len(low) <= LABELLED_UP_TO else 1.0
    ax.vlines(x, low, high, color=look.color, linewidth=width)


def _name_places(ax: Axes, names: pd.Index, kind: str) -> None:
    if len(names) <= LABELLED_UP_TO:
        ax.set_xticks(range(len(names)), [short(name, 12) for name in names], rotation=90 if len(names) > 10 else 0)
    else:
        ax.set_xlabel(f"{len(names)} {kind}s in the order of the grid")
    ax.grid(visible=False, axis="x")


def _has_battery(plan: Plan) -> bool:
    return bool(plan["soc"].notna().any(axis=None))
