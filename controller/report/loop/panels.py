"""The panels that the figures of a closed loop are stacked of: one quantity over the run for everybody shown."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from controller.report.loop.cast import LoopCast
from controller.report.loop.trace import held, trace
from controller.report.panels import NEAR_ZERO, PERCENT, TARIFF, widened
from controller.report.style import INK, LIMIT, OUTSIDE, Key, Look, handle
from core.assets import FloatArray

BOUND = Look(LIMIT, "--", 0.8)
AVAILABLE = (0, (1, 1.2))


def price(ax: Axes, cast: LoopCast) -> None:
    """Marginal price of the plan in force against the retail tariff."""
    record, key = cast.record, Key()
    realtime, hours = record.recording.realtime, _edges(cast)
    prices, tariff = realtime["price_chf_per_kwh"], realtime["tariff_chf_per_kwh"].iloc[:, 0]
    for name in cast.shown:
        held(ax, hours, prices[name], cast.looks[name])
    held(ax, hours, tariff, TARIFF)
    key.add("tariff", handle(TARIFF))
    if prices.min().min() < NEAR_ZERO * tariff.min():
        ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel(f"price\n({record.summary.scenario.currency}/kWh)")
    key.show(ax)


def soc(ax: Axes, cast: LoopCast) -> None:
    """State of charge in its band."""
    record, key = cast.record, Key()
    table, hours = record.recording.realtime["soc"], record.hours(record.recording.times)
    for name in cast.shown:
        if (band := record.summary.soc.get(name)) is not None:
            trace(ax, hours, table[name] * PERCENT, cast.looks[name])
            for bound in (band.soc_min, band.soc_max):
                ax.axhline(bound * PERCENT, **BOUND.line())
    key.add("band", handle(BOUND))
    ax.set(ylabel="state of\ncharge (%)", ylim=(-4, 104), yticks=[0, 25, 50, 75, 100])
    key.show(ax)


def battery(ax: Axes, cast: LoopCast) -> None:
    """Power of the batteries as commanded."""
    _lines(ax, cast, "battery_kw")
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel("battery (kW)\n> 0 discharges")


def reactive(ax: Axes, cast: LoopCast) -> None:
    """Measured reactive power of the prosumers."""
    _lines(ax, cast, "q_measured_kvar")
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel("prosumers (kvar)\n> 0 draws")


def pv(ax: Axes, cast: LoopCast) -> None:
    """PV in force; what came and was not used is shaded."""
    record, key = cast.record, Key()
    available, used = record.hindsight["pv_available_kw"], record.recording.realtime["pv_kw"]
    step = pd.Timedelta(minutes=record.summary.scenario.step_min)
    times = pd.DatetimeIndex(available.index)
    edges = record.hours(times.append(times[-1:] + step))
    means = used.groupby(times[np.searchsorted(times, used.index, side="right") - 1]).mean()
    for name in cast.shown:
        if (available[name] > 0).any():
            color = cast.looks[name].color
            below = means[name].reindex(available.index).fillna(available[name]).clip(upper=available[name])
            ax.stairs(available[name], edges, baseline=below.to_numpy(), fill=True, color=color, alpha=0.3)
            held(ax, edges, available[name], Look(color, AVAILABLE, 0.8))
    _lines(ax, cast, "pv_kw")
    key.add("in force", handle(Look(INK)))
    key.add("available", handle(Look(INK, AVAILABLE, 0.8)))
    key.add("curtailed", Patch(color=INK, alpha=0.3, linewidth=0))
    ax.set_ylabel("PV (kW)")
    key.show(ax)


def sampled_voltages(ax: Axes, cast: LoopCast) -> None:
    """Every node as measured in every cycle."""
    table, hours = cast.record.recording.v_pu, cast.record.hours(cast.record.recording.times)
    for node, look in reversed(cast.node_looks.items()):
        trace(ax, hours, table[node], Look(look.color, look.linestyle, 0.7))
    _voltage_axis(ax, cast, "30 s samples\n(p.u.)")


def mean_voltages(ax: Axes, cast: LoopCast) -> None:
    """Every node as a mean of ten minutes."""
    table, record = cast.record.means_pu, cast.record
    ends = pd.DatetimeIndex(table.index) + pd.Timedelta(minutes=10)
    begins = np.maximum(record.hours(table.index), 0.0)
    edges = np.append(begins, min(record.hours(ends)[-1], record.axis.n_steps * record.axis.dt_h))
    for node, look in reversed(cast.node_looks.items()):
        held(ax, edges, table[node], look)
    _voltage_axis(ax, cast, "10-min means\n(p.u.)")


def supply(ax: Axes, cast: LoopCast, predicted_pu: pd.Series) -> None:
    """The supply voltage, and what the plan in force took it for."""
    record, key = cast.record, Key()
    slack, expected = record.summary.scenario.slack, Look(LIMIT, "-", 0.9)
    trace(ax, record.hours(record.recording.times), record.recording.v_pu[slack], Look("black", "-", 0.7))
    held(ax, _edges(cast), predicted_pu, expected)
    key.add("measured", handle(Look("black", "-", 0.7)))
    key.add("in the plan", handle(expected))
    ax.set_ylabel(f"supply {slack}\n(p.u.)")
    key.show(ax)


def _voltage_axis(ax: Axes, cast: LoopCast, label: str) -> None:
    """Limits, what lies outside them, and one scale for samples and means."""
    scenario, key = cast.record.summary.scenario, Key()
    for node, look in cast.node_looks.items():
        if node not in scenario.nodes.values():
            key.add(f"{node} (slack)" if node == scenario.slack else node, handle(look))
    reached = cast.record.recording.v_pu.to_numpy(float)
    low = float(np.nanmin(reached, initial=scenario.v_min_pu))
    low, high = widened(low, float(np.nanmax(reached, initial=scenario.v_max_pu)))
    for bound, side in ((scenario.v_min_pu, -1), (scenario.v_max_pu, 1)):
        ax.axhspan(bound, bound + side, color=OUTSIDE, linewidth=0, zorder=0)
        ax.axhline(bound, **BOUND.line())
    key.add("limit", handle(BOUND))
    ax.set(ylabel=label, ylim=(low, high))
    key.show(ax)


def _lines(ax: Axes, cast: LoopCast, quantity: str) -> None:
    table, hours = cast.record.recording.realtime[quantity], cast.record.hours(cast.record.recording.times)
    for name in cast.shown:
        if table[name].notna().any():
            trace(ax, hours, table[name], cast.looks[name])


def _edges(cast: LoopCast) -> FloatArray:
    """Samples and the end of the run, hours since the start, [K + 1]."""
    record = cast.record
    return record.hours(record.recording.times.append(pd.DatetimeIndex([record.summary.end]).tz_convert("UTC")))
