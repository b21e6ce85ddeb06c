"""The figures of a closed loop, one function each; the first is the counterpart of figure 8 of paper A."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from controller.report.figures import name_prosumers, stacked
from controller.report.loop import panels
from controller.report.loop.cast import LoopCast
from controller.report.loop.comparison import names
from controller.report.loop.panels import BOUND
from controller.report.loop.record import LoopRecord
from controller.report.loop.trace import trace
from controller.report.style import (
    COLOURS,
    INK,
    LIMIT,
    QUIET,
    WIDTH_IN,
    Key,
    Look,
    handle,
    log_scale,
    magnitudes,
    short,
    styled,
)
from controller.report.times import description, edges_h, ticks
from controller.simulation.voltage_parts import predicted_supply
from mpc.coordination.outcome import Status

Panel = Callable[[Axes, LoopCast], None]
TARGET, SETPOINT = Look("#b9c0c9", linewidth=2.6), Look("#5b626b", linewidth=1.5)
LOAD, PV = Look(QUIET, "-", 0.9), Look(INK, (0, (4, 1.2)), 0.7)
RUN, SLOWEST = Look(COLOURS[0], "none"), Look(INK, "--", 0.8)


@styled
def day_figure(cast: LoopCast) -> Figure:
    """Figure 8: prices, batteries, PV and voltages of the run."""
    shown: list[tuple[Panel, float]] = [(panels.price, 1.2)]
    if cast.record.summary.soc:
        shown += [(panels.soc, 1), (panels.battery, 1)]
    if (cast.record.hindsight["pv_available_kw"] > 0).any(axis=None):
        shown += [(panels.pv, 1)]
    return _stack(cast, [*shown, (panels.sampled_voltages, 1.5)])


@styled
def voltage_figure(cast: LoopCast) -> Figure:
    """Means of ten minutes against the limits, and the supply voltage that they hang on."""
    recording, slack = cast.record.recording, cast.record.summary.scenario.slack
    adopted = pd.DatetimeIndex(recording.mpc.loc[recording.mpc["adopted"].astype(bool), "time"])
    unknown = pd.Series(np.nan, recording.times)
    predicted_pu = predicted_supply(recording.v_pu[slack], unknown, adopted)
    return _stack(cast, [(panels.mean_voltages, 1.8), (lambda ax, cast: panels.supply(ax, cast, predicted_pu), 1.0)])


@styled
def prosumers_figure(cast: LoopCast) -> Figure:
    """For everybody shown: what the node was to draw and drew; what load, PV and battery were behind its meter."""
    rows = len(cast.shown)
    figure = Figure(figsize=(WIDTH_IN, 1.25 * rows + 0.7))
    figure.set_layout_engine("constrained", h_pad=0.03, hspace=0.02)
    axes = figure.subplots(rows, 2, sharex=True, squeeze=False)
    for (net, behind), name in zip(axes, cast.shown, strict=True):
        _net(net, cast, name)
        _behind(behind, cast, name)
        net.set_ylabel(f"{short(name, 12)}\n(kW)")
    axes[0, 0].set_title("demand of the node")
    axes[0, 1].set_title("behind its meter, in force")
    _time(axes[-1, 0], cast.record)
    axes[-1, 1].set_xlabel(description(cast.record.axis))
    own = Look(COLOURS[0], linewidth=1.1)
    entries = {"target": TARGET, "setpoint": SETPOINT, "measured": own, "load": LOAD, "PV": PV}
    entries |= {"battery, > 0 discharges": own}
    figure.legend([handle(look) for look in entries.values()], list(entries), loc="outside upper left", ncols=6)
    return figure


@styled
def exchange_figure(cast: LoopCast) -> Figure:
    """What the upper grid delivers, reactive power of the prosumers, and the lines, as far as measured."""
    slack: list[tuple[Panel, float]] = [
        (_slack("p_kw", "upper grid\n(kW)"), 1),
        (_slack("q_kvar", "upper grid\n(kvar)"), 1),
    ]
    return _stack(cast, [*slack, (panels.reactive, 1.1), (_currents, 1.2)])


@styled
def mpc_figure(record: LoopRecord) -> Figure:
    """Wall clock, rounds, certified gap and violation of every MPC run over the time at which it began."""
    scenario, mpc = record.summary.scenario, record.recording.mpc
    curves = (
        ("wall clock (ms)", "wall_ms", record.summary.mpc.budget_ms, "budget"),
        ("rounds", "iterations", scenario.max_iterations, "at most"),
        ("certified |gap|", "gap_rel", scenario.gap_tol, "tolerance"),
        ("AC violation (p.u.)", "violation_pu", scenario.violation_tol_pu, "tolerance"),
    )
    figure = Figure(figsize=(WIDTH_IN, 3.9), layout="constrained")
    axes, hours = figure.subplots(2, 2, sharex=True), record.hours(mpc["time"])
    converged, adopted = (mpc["status"] == Status.CONVERGED).to_numpy(), mpc["adopted"].astype(bool).to_numpy()
    for ax, (title, column, bound, name) in zip(axes.flat, curves, strict=True):
        values, key = mpc[column].to_numpy(float), Key({name: handle(BOUND)})
        magnitudes(ax, hours, values, RUN)
        (not_converged,) = ax.plot(hours[~converged], np.abs(values[~converged]), "x", color=LIMIT, markersize=5)
        (kept,) = ax.plot(hours[~adopted], np.abs(values[~adopted]), "s", markerfacecolor="none", color=LIMIT)
        if not converged.all():
            key.add("not converged", not_converged)
        if not adopted.all():
            key.add("not adopted", kept)
        ax.axhline(bound, **BOUND.line())
        log_scale(ax)
        ax.set_title(title)
        key.show(ax, above=True)
    for ax in axes[-1]:
        _time(ax, record)
    return figure


@styled
def cycles_figure(record: LoopRecord, cycle_ms: pd.Series) -> Figure:
    """Wall clock of every 30 s cycle."""
    figure, (ax,) = stacked(record.axis, [1.4])
    ax.plot(record.hours(cycle_ms.index), cycle_ms, ".", color=COLOURS[0], markersize=1.2)
    ax.axhline(float(cycle_ms.quantile(0.99)), **SLOWEST.line())
    Key({"99 %": handle(SLOWEST)}).show(ax)
    log_scale(ax)
    ax.set_ylabel("cycle (ms)")
    return figure


@styled
def comparison_figure(casts: tuple[LoopCast, LoopCast]) -> Figure:
    """Means of ten minutes of two runs, one above the other on one scale."""
    figure, axes = stacked(casts[0].record.axis, [1.6, 1.6])
    for ax, cast in zip(axes, casts, strict=True):
        panels.mean_voltages(ax, cast)
    for ax, title in zip(axes, names(*(cast.record.summary for cast in casts)), strict=True):
        ax.set_title(title)
    ends = [end for ax in axes for end in ax.get_ylim()]
    for ax in axes:
        ax.set_ylim(min(ends), max(ends))
    name_prosumers(figure, casts[0].looks)
    return figure


def _stack(cast: LoopCast, shown: list[tuple[Panel, float]]) -> Figure:
    figure, axes = stacked(cast.record.axis, [height for _, height in shown])
    for ax, (panel, _) in zip(axes, shown, strict=True):
        panel(ax, cast)
    name_prosumers(figure, cast.looks)
    return figure


def _net(ax: Axes, cast: LoopCast, name: str) -> None:
    record = cast.record
    realtime, hours, look = record.recording.realtime, record.hours(record.recording.times), cast.looks[name]
    ax.axhline(0, color=INK, linewidth=0.4)
    measured = Look(look.color, look.linestyle, 0.8)
    for quantity, line in (("p_target_kw", TARGET), ("p_setpoint_kw", SETPOINT), ("p_measured_kw", measured)):
        trace(ax, hours, realtime[quantity][name], line)


def _behind(ax: Axes, cast: LoopCast, name: str) -> None:
    record = cast.record
    realtime, hours, look = record.recording.realtime, record.hours(record.recording.times), cast.looks[name]
    ax.axhline(0, color=INK, linewidth=0.4)
    for quantity, line in (("load_kw", LOAD), ("pv_kw", PV), ("battery_kw", Look(look.color, look.linestyle, 1.1))):
        if realtime[quantity][name].notna().any():
            trace(ax, hours, realtime[quantity][name], line)


def _slack(quantity: str, label: str) -> Panel:
    def panel(ax: Axes, cast: LoopCast) -> None:
        record, key = cast.record, Key()
        bound = record.summary.scenario.slack_bound(quantity)
        trace(ax, record.hours(record.slack.index), record.slack[quantity], Look(INK, "-", 0.8))
        for end in (-bound, bound):
            ax.axhline(end, **BOUND.line())
        ax.axhline(0, color=INK, linewidth=0.6)
        key.add("limit", handle(BOUND))
        ax.set_ylabel(label)
        key.show(ax)

    return panel


def _currents(ax: Axes, cast: LoopCast) -> None:
    """Current of every line in the look of the node that it leads to."""
    record, key = cast.record, Key()
    for line in map(str, record.i_a):
        if (node := _leads_to(line, cast)) is not None:
            trace(ax, record.hours(record.i_a.index), record.i_a[line], cast.node_looks[node])
    for bound in record.summary.scenario.line_i_max_a.values():
        ax.axhline(bound, **BOUND.line())
        key.add("limit", handle(BOUND))
    ax.set(ylabel="lines (A)", ylim=(0, None))
    key.show(ax)


def _leads_to(line: str, cast: LoopCast) -> str | None:
    """The node at the end of a line that is named after both of its nodes; None if it is not drawn."""
    ends = [node for node in cast.node_looks if line.endswith(f"-{node}")]
    return max(ends, key=len, default=None)


def _time(ax: Axes, record: LoopRecord) -> None:
    positions, labels = ticks(record.axis)
    ax.set(xlim=(0, edges_h(record.axis)[-1]), xlabel=description(record.axis))
    ax.set_xticks(positions, labels)
