"""The panels of the figures of a closed loop: one quantity over the run for every shown prosumer or node."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from controller.report.day.panels import (
    AVAILABLE,
    NEAR_ZERO,
    PERCENT,
    TARIFF,
    charge_axis,
    price_axis,
    pv_axis,
    voltage_axis,
)  # fmt: skip
from controller.report.loop.record import SampledRecord
from controller.report.loop.trace import plot_samples, plot_steps
from controller.report.primitives.participants import Participants
from controller.report.primitives.style import BOUND, INK, LIMIT, Legend, Look, handle
from core.arrays import FloatArray

MEASURED = Look("black", linewidth=0.7)


def price(ax: Axes, record: SampledRecord) -> None:
    """Marginal price of the current plan, and the retail tariff."""
    realtime, hours = record.recording.realtime, _edges(record)
    prices, tariff = realtime["price_chf_per_kwh"], realtime["tariff_chf_per_kwh"].iloc[:, 0]
    for name in record.participants.shown:
        plot_steps(ax, hours, prices[name], record.participants.looks[name])
    plot_steps(ax, hours, tariff, TARIFF)
    price_axis(ax, record.summary.scenario.currency, prices.min().min() < NEAR_ZERO * tariff.min(), Legend())


def soc(ax: Axes, record: SampledRecord) -> None:
    """State of charge with its band."""
    key = Legend()
    table, hours = record.recording.realtime["soc"], record.hours(record.recording.times)
    for name in record.participants.shown:
        if (band := record.summary.soc.get(name)) is not None:
            plot_samples(ax, hours, table[name] * PERCENT, record.participants.looks[name])
            for bound in (band.soc_min, band.soc_max):
                ax.axhline(bound * PERCENT, **BOUND.line())
    key.add("band", handle(BOUND))
    charge_axis(ax, key)


def battery(ax: Axes, record: SampledRecord) -> None:
    """Commanded power of the batteries."""
    _lines(ax, record, "battery_kw")
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel("battery (kW)\n> 0 discharges")


def reactive(ax: Axes, record: SampledRecord) -> None:
    """Measured reactive power of the prosumers."""
    _lines(ax, record, "q_measured_kvar")
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel("prosumers (kvar)\n> 0 draws")


def pv(ax: Axes, record: SampledRecord) -> None:
    """PV power in force; curtailed power is shaded where the available one is known."""
    key = Legend()
    if record.pv_available_kw is None:
        key.add("in force", handle(Look(INK)))
        ax.set_ylabel("PV (kW)")
        key.show(ax)
    else:
        _curtailed(ax, record, record.pv_available_kw)
        pv_axis(ax, "in force", key)
    _lines(ax, record, "pv_kw")


def _curtailed(ax: Axes, record: SampledRecord, available: pd.DataFrame) -> None:
    used, step = record.recording.realtime["pv_kw"], pd.Timedelta(minutes=record.summary.scenario.step_min)
    times = pd.DatetimeIndex(available.index)
    edges = record.hours(times.append(times[-1:] + step))
    means = used.groupby(times[np.searchsorted(times, used.index, side="right") - 1]).mean()
    for name in record.participants.shown:
        if (available[name] > 0).any():
            color = record.participants.looks[name].color
            below = means[name].reindex(available.index).fillna(available[name]).clip(upper=available[name])
            ax.stairs(available[name], edges, baseline=below.to_numpy(), fill=True, color=color, alpha=0.3)
            plot_steps(ax, edges, available[name], Look(color, AVAILABLE, 0.8))


def sampled_voltages(ax: Axes, record: SampledRecord) -> None:
    """Measured voltage of every node in every cycle."""
    table, hours = record.recording.v_pu, record.hours(record.recording.times)
    for node, look in reversed(record.participants.node_looks.items()):
        plot_samples(ax, hours, table[node], Look(look.color, look.linestyle, 0.7))
    voltage_axis(ax, record.participants, record.recording.v_pu.to_numpy(float), Legend())
    ax.set_ylabel("30 s samples\n(p.u.)")


def mean_voltages(ax: Axes, record: SampledRecord, participants: Participants) -> None:
    """Ten-minute mean voltage of every node that ``participants`` has and the run measures."""
    table = record.means_pu
    ends = pd.DatetimeIndex(table.index) + pd.Timedelta(minutes=10)
    begins = np.maximum(record.hours(table.index), 0.0)
    edges = np.append(begins, min(record.hours(ends)[-1], record.axis.n_steps * record.axis.dt_h))
    for node, look in reversed(participants.node_looks.items()):
        if node in table:
            plot_steps(ax, edges, table[node], look)
    voltage_axis(ax, participants, record.recording.v_pu.to_numpy(float), Legend())
    ax.set_ylabel("10-min means\n(p.u.)")


def supply(ax: Axes, record: SampledRecord, predicted_pu: pd.Series) -> None:
    """The measured supply voltage, and the one that the current plan assumes."""
    key = Legend()
    slack, expected = record.summary.scenario.slack, Look(LIMIT, "-", 0.9)
    plot_samples(ax, record.hours(record.recording.times), record.recording.v_pu[slack], MEASURED)
    plot_steps(ax, _edges(record), predicted_pu, expected)
    key.add("measured", handle(MEASURED))
    key.add("in the plan", handle(expected))
    ax.set_ylabel(f"supply {slack}\n(p.u.)")
    key.show(ax)


def _lines(ax: Axes, record: SampledRecord, quantity: str) -> None:
    table, hours = record.recording.realtime[quantity], record.hours(record.recording.times)
    for name in record.participants.shown:
        if table[name].notna().any():
            plot_samples(ax, hours, table[name], record.participants.looks[name])


def _edges(record: SampledRecord) -> FloatArray:
    """Sampling times and the end of the run, hours since the start, [K + 1]."""
    return record.hours(record.recording.times.append(pd.DatetimeIndex([record.summary.end]).tz_convert("UTC")))
