"""The figures of the grid: upper grid, nodes and lines, without and with coordination."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from controller.report.day.figures import has_battery, name_prosumers, stacked
from controller.report.day.panels import reactive
from controller.report.plan.record import DayRecord, Record
from controller.report.primitives.style import (
    BOUND,
    INK,
    WIDTH_IN,
    WITH,
    WITHOUT,
    Legend,
    Look,
    handle,
    short,
    steps,
    styled,
)  # fmt: skip
from controller.report.primitives.times import edges_h

LABELLED_UP_TO = 24

USED_KVAR = 1e-6
"""Reactive power above this is more than rounding."""


@styled
def exchange_figure(record: Record) -> Figure:
    """Power drawn from the upper grid without and with coordination, and reactive power of batteries and PV."""
    plan = record.result.plan
    inverters = has_battery(plan) or (plan["inverter_kvar"].abs() > USED_KVAR).any(axis=None)
    figure, axes = stacked(record.axis, [1.1, 1.1, 1.1] if inverters else [1.1, 1.1])
    _exchange(axes[0], record, "p_kw", "active\npower (kW)")
    _exchange(axes[1], record, "q_kvar", "reactive\npower (kvar)")
    if inverters:
        reactive(axes[2], record.drawing, plan)
        name_prosumers(figure, record.participants.looks)
    return figure


@styled
def extremes_figure(record: Record) -> Figure:
    """Range of every node's voltage and largest current of every line over the day."""
    figure = Figure(figsize=(WIDTH_IN, 2.6), layout="constrained")
    nodes, lines = figure.subplots(1, 2)
    scenario, key = record.summary.scenario, Legend()
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


def _exchange(ax: Axes, record: Record, quantity: str, label: str) -> None:
    key, bound = Legend(), record.summary.scenario.slack_bound(quantity)
    for name, day, look, _ in _days(record):
        steps(ax, edges_h(record.axis), day.slack[quantity], look)
        key.add(name, handle(look))
    for end in (-bound, bound):
        ax.axhline(end, **BOUND.line())
    key.add("limit", handle(BOUND))
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel(label)
    key.show(ax)


def _days(record: Record) -> list[tuple[str, DayRecord, Look, float]]:
    """Name, day, look, and horizontal offset of its bars."""
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
