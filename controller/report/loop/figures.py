"""The figures of a closed loop, one function each; the first corresponds to figure 8 of paper A."""

from collections.abc import Callable
from functools import partial
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from controller.accounts.voltage_parts import predicted_supply
from controller.report.comparison import run_names
from controller.report.day.figures import name_prosumers, stacked
from controller.report.loop import panels
from controller.report.loop.record import LoopRecord, SampledRecord
from controller.report.loop.telemetry import ConverterSamples
from controller.report.loop.trace import plot_samples
from controller.report.primitives.participants import Participants
from controller.report.primitives.style import (
    ASKED,
    BOUND,
    COLOURS,
    INK,
    LIMIT,
    PASSED,
    QUIET,
    WIDTH_IN,
    WITH,
    WITHOUT,
    Legend,
    Look,
    handle,
    log_scale,
    magnitudes,
    short,
    styled,
)  # fmt: skip
from controller.report.primitives.times import description, edges_h, ticks
from mpc.coordination.outcome import CoordinationStatus

Panel = Callable[[Axes, SampledRecord], None]
TARGET, SETPOINT = Look(ASKED, linewidth=2.6), Look(PASSED, linewidth=1.5)
LOAD, PV = Look(QUIET, "-", 0.9), Look(INK, (0, (4, 1.2)), 0.7)
EXCHANGE = (("p_kw", "upper grid\n(kW)"), ("q_kvar", "upper grid\n(kvar)"))
RUN, SLOWEST = Look(COLOURS[0], "none"), Look(INK, "--", 0.8)


@styled
def day_figure(record: SampledRecord) -> Figure:
    """Figure 8: prices, batteries, PV and voltages of the run."""
    shown: list[tuple[Panel, float]] = [(panels.price, 1.2)]
    if record.summary.soc:
        shown += [(panels.soc, 1), (panels.battery, 1)]
    pv_kw = record.recording.realtime["pv_kw"] if record.pv_available_kw is None else record.pv_available_kw
    if (pv_kw > 0).any(axis=None):
        shown += [(panels.pv, 1)]
    return _stack(record, [*shown, (panels.sampled_voltages, 1.5)])


@styled
def voltage_figure(record: SampledRecord) -> Figure:
    """Ten-minute means with their limits, and the supply voltage that they depend on."""
    recording, slack = record.recording, record.summary.scenario.slack
    adopted = pd.DatetimeIndex(recording.mpc.loc[recording.mpc["adopted"].astype(bool), "time"])
    unknown = pd.Series(np.nan, recording.times)
    predicted_pu = predicted_supply(recording.v_pu[slack], unknown, adopted)
    means, supply = (
        partial(panels.mean_voltages, participants=record.participants),
        partial(panels.supply, predicted_pu=predicted_pu),
    )
    return _stack(record, [(means, 1.8), (supply, 1.0)])


@styled
def prosumers_figure(record: SampledRecord) -> Figure:
    """For every shown prosumer: target, setpoint and demand of its node; load, PV and battery behind its meter."""
    participants = record.participants
    rows = len(participants.shown)
    figure = Figure(figsize=(WIDTH_IN, 1.25 * rows + 0.7))
    figure.set_layout_engine("constrained", h_pad=0.03, hspace=0.02)
    axes = figure.subplots(rows, 2, sharex=True, squeeze=False)
    for (net, behind), name in zip(axes, participants.shown, strict=True):
        _net(net, record, name)
        _behind(behind, record, name)
        net.set_ylabel(f"{short(name, 12)}\n(kW)")
    axes[0, 0].set_title("demand of the node")
    axes[0, 1].set_title("behind its meter, in force")
    _time(axes[-1, 0], record)
    axes[-1, 1].set_xlabel(description(record.axis))
    own = Look(COLOURS[0], linewidth=1.1)
    entries = {"target": TARGET, "setpoint": SETPOINT, "measured": own, "load": LOAD, "PV": PV}
    entries |= {"battery, > 0 discharges": own}
    figure.legend([handle(look) for look in entries.values()], list(entries), loc="outside upper left", ncols=6)
    return figure


@styled
def converters_figure(record: SampledRecord, samples: ConverterSamples) -> Figure:
    """Prosumers with several converters: what each of them was sent and has drawn."""
    teams = record.summary.scenario.teams
    figure, axes = stacked(record.axis, [1.2] * len(teams))
    for ax, (prosumer, names) in zip(axes, teams.items(), strict=True):
        key = Legend()
        ax.axhline(0, color=INK, linewidth=0.4)
        for name, colour in zip(names, cycle(COLOURS), strict=False):
            plot_samples(ax, record.hours(samples.sent_kw.index), samples.sent_kw[name], SETPOINT)
            look = Look(colour, linewidth=0.9)
            plot_samples(ax, record.hours(samples.drawn_kw.index), samples.drawn_kw[name], look)
            key.add(short(name, 16), handle(look))
        key.add("sent", handle(SETPOINT))
        ax.set_ylabel(f"{short(prosumer, 12)}\n(kW)")
        key.show(ax)
    return figure


@styled
def exchange_figure(record: SampledRecord) -> Figure:
    """Power from the upper grid, reactive power of the prosumers, and measured line currents."""
    slack: list[tuple[Panel, float]] = [
        (partial(_slack, quantity=quantity, label=label), 1) for quantity, label in EXCHANGE
    ]
    return _stack(record, [*slack, (panels.reactive, 1.1), (_currents, 1.2)])


@styled
def mpc_figure(record: SampledRecord) -> Figure:
    """Wall clock, rounds, certified gap and violation of every MPC run by its start time."""
    scenario, mpc = record.summary.scenario, record.recording.mpc
    curves = (
        ("wall clock (ms)", "wall_ms", record.summary.mpc.budget_ms, "budget"),
        ("rounds", "iterations", scenario.max_iterations, "at most"),
        ("certified |gap|", "gap_rel", scenario.gap_tol, "tolerance"),
        ("AC violation (p.u.)", "violation_pu", scenario.violation_tol_pu, "tolerance"),
    )
    figure = Figure(figsize=(WIDTH_IN, 3.9), layout="constrained")
    axes, hours = figure.subplots(2, 2, sharex=True), record.hours(mpc["time"])
    converged = (mpc["status"] == CoordinationStatus.CONVERGED).to_numpy()
    adopted = mpc["adopted"].astype(bool).to_numpy()
    for ax, (title, column, bound, name) in zip(axes.flat, curves, strict=True):
        values, key = mpc[column].to_numpy(float), Legend({name: handle(BOUND)})
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
def cycles_figure(record: SampledRecord, cycle_ms: pd.Series) -> Figure:
    """Wall clock of every 30 s cycle."""
    figure, (ax,) = stacked(record.axis, [1.4])
    ax.plot(record.hours(cycle_ms.index), cycle_ms, ".", color=COLOURS[0], markersize=1.2)
    ax.axhline(float(cycle_ms.quantile(0.99)), **SLOWEST.line())
    Legend({"99 %": handle(SLOWEST)}).show(ax)
    log_scale(ax)
    ax.set_ylabel("cycle (ms)")
    return figure


@styled
def comparison_figure(one: LoopRecord, other: LoopRecord) -> Figure:
    """Two runs on one scale: ten-minute means of each, and the power that both drew from the upper grid."""
    figure, axes = stacked(one.axis, [1.5, 1.5, 0.9, 0.9])
    run_labels = run_names(one.summary, other.summary)
    kinds = [name.partition(",")[0] for name in run_labels]
    briefly = kinds if kinds[0] != kinds[1] else ["upper run", "lower run"]
    for ax, record, title in zip(axes, (one, other), run_labels, strict=False):
        panels.mean_voltages(ax, record, one.participants)
        ax.set_title(title)
    ends = [end for ax in axes[:2] for end in ax.get_ylim()]
    for ax in axes[:2]:
        ax.set_ylim(min(ends), max(ends))
    for ax, quantity, label in zip(axes[2:], *zip(*EXCHANGE, strict=True), strict=True):
        key = Legend()
        for record, name, look in ((other, briefly[1], WITHOUT), (one, briefly[0], WITH)):
            plot_samples(ax, record.hours(record.slack.index), record.slack[quantity], look)
            key.add(name, handle(look))
        slack_axis(ax, one, quantity, label, key)
    name_prosumers(figure, one.participants.looks)
    return figure


def slack_axis(ax: Axes, record: SampledRecord, quantity: str, label: str, key: Legend) -> None:
    """Limits, zero line and legend of a panel of power drawn from the upper grid."""
    bound = record.summary.scenario.slack_bound(quantity)
    for end in (-bound, bound):
        ax.axhline(end, **BOUND.line())
    ax.axhline(0, color=INK, linewidth=0.6)
    key.add("limit", handle(BOUND))
    ax.set_ylabel(label)
    key.show(ax)


def _stack(record: SampledRecord, shown: list[tuple[Panel, float]]) -> Figure:
    figure, axes = stacked(record.axis, [height for _, height in shown])
    for ax, (panel, _) in zip(axes, shown, strict=True):
        panel(ax, record)
    name_prosumers(figure, record.participants.looks)
    return figure


def _net(ax: Axes, record: SampledRecord, name: str) -> None:
    realtime, hours, look = (
        record.recording.realtime,
        record.hours(record.recording.times),
        record.participants.looks[name],
    )
    ax.axhline(0, color=INK, linewidth=0.4)
    measured = Look(look.color, look.linestyle, 0.8)
    for quantity, line in (("p_target_kw", TARGET), ("p_setpoint_kw", SETPOINT), ("p_measured_kw", measured)):
        plot_samples(ax, hours, realtime[quantity][name], line)


def _behind(ax: Axes, record: SampledRecord, name: str) -> None:
    realtime, hours, look = (
        record.recording.realtime,
        record.hours(record.recording.times),
        record.participants.looks[name],
    )
    ax.axhline(0, color=INK, linewidth=0.4)
    for quantity, line in (("load_kw", LOAD), ("pv_kw", PV), ("battery_kw", Look(look.color, look.linestyle, 1.1))):
        if realtime[quantity][name].notna().any():
            plot_samples(ax, hours, realtime[quantity][name], line)


def _slack(ax: Axes, record: SampledRecord, quantity: str, label: str) -> None:
    plot_samples(ax, record.hours(record.slack.index), record.slack[quantity], Look(INK, "-", 0.8))
    slack_axis(ax, record, quantity, label, Legend())


def _currents(ax: Axes, record: SampledRecord) -> None:
    """Current of every line, in the look of the node that it leads to."""
    key = Legend()
    for line in map(str, record.i_a):
        if (node := _leads_to(line, record.participants)) is not None:
            plot_samples(ax, record.hours(record.i_a.index), record.i_a[line], record.participants.node_looks[node])
    for bound in record.summary.scenario.line_i_max_a.values():
        ax.axhline(bound, **BOUND.line())
        key.add("limit", handle(BOUND))
    ax.set(ylabel="lines (A)", ylim=(0, None))
    key.show(ax)


def _leads_to(line: str, participants: Participants) -> str | None:
    """The node at the far end of a line, from the line's name; None if that node is not drawn."""
    ends = [node for node in participants.node_looks if line.endswith(f"-{node}")]
    return max(ends, key=len, default=None)


def _time(ax: Axes, record: SampledRecord) -> None:
    positions, labels = ticks(record.axis)
    ax.set(xlim=(0, edges_h(record.axis)[-1]), xlabel=description(record.axis))
    ax.set_xticks(positions, labels)
