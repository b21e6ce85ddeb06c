"""The panels of the figures of a day: one quantity over time for every prosumer or node."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from controller.report.primitives.drawing import Drawing, Plan
from controller.report.primitives.participants import Participants
from controller.report.primitives.style import (
    BOUND,
    INK,
    MIDDLE_BAND,
    OUTSIDE,
    PASSED,
    WIDE_BAND,
    Legend,
    Look,
    handle,
    steps,
)
from controller.report.primitives.times import edges_h
from core.arrays import FloatArray

TARIFF = Look("black", linewidth=1.0)
MEDIAN = Look(PASSED, linewidth=0.9)
AVAILABLE = (0, (1, 1.2))
BANDS = (("all", WIDE_BAND, (0, 100)), ("middle 80 %", MIDDLE_BAND, (10, 90)))
PERCENT = 100
NEAR_ZERO = 0.3
"""A price axis includes zero if prices fall below this share of the lowest tariff."""
ALIKE = 0.01
"""Lines count as identical if they never differ by more than this share of the panel's range."""


def price(ax: Axes, drawing: Drawing, plan: Plan) -> None:
    """Marginal price at the agreed profile, and the retail tariff."""
    prices, buy, key = plan["price_chf_per_kwh"], plan["tariff_chf_per_kwh"].iloc[:, 0], Legend()
    _plot_prosumers(ax, drawing, prices, key)
    steps(ax, edges_h(drawing.axis), buy, TARIFF)
    price_axis(ax, drawing.participants.scenario.currency, prices.to_numpy().min() < NEAR_ZERO * buy.min(), key)


def tariff(ax: Axes, drawing: Drawing, plan: Plan) -> None:
    """The retail tariff alone, for a day without coordination."""
    steps(ax, edges_h(drawing.axis), plan["tariff_chf_per_kwh"].iloc[:, 0], TARIFF)
    price_axis(ax, drawing.participants.scenario.currency, False, Legend())


def price_axis(ax: Axes, currency: str, zero: bool, key: Legend) -> None:
    """Label and legend of a price panel, with a zero line if ``zero``."""
    key.add("tariff", handle(TARIFF))
    if zero:
        ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel(f"price\n({currency}/kWh)")
    key.show(ax)


def soc(ax: Axes, drawing: Drawing, plan: Plan) -> None:
    """State of charge at the end of each step."""
    table, key, ends = plan["soc"].dropna(axis="columns", how="all"), Legend(), edges_h(drawing.axis)[1:]
    if drawing.participants.too_many_prosumers:
        for label, color, (low, high) in BANDS:
            lower, upper = _percentiles(table, low, high) * PERCENT
            key.add(_numbered(label, table), ax.fill_between(ends, lower, upper, color=color, linewidth=0))
        ax.plot(ends, table.median(axis=1) * PERCENT, **MEDIAN.line())
        key.add("median", handle(MEDIAN))
    for name in _shown(drawing, table):
        ax.plot(ends, table[name] * PERCENT, **drawing.participants.looks[name].line())
    _note_if_alike(table[_shown(drawing, table)], key)
    charge_axis(ax, key)


def charge_axis(ax: Axes, key: Legend) -> None:
    """Scale and legend of a panel of states of charge."""
    ax.set(ylabel="state of\ncharge (%)", ylim=(-4, 104), yticks=[0, 25, 50, 75, 100])
    key.show(ax)


def battery(ax: Axes, drawing: Drawing, plan: Plan) -> None:
    """Active power of the batteries."""
    _power(ax, drawing, plan, "battery_kw", "battery (kW)\n> 0 discharges")


def reactive(ax: Axes, drawing: Drawing, plan: Plan) -> None:
    """Reactive power of batteries and PV plants."""
    _power(ax, drawing, plan, "inverter_kvar", "batteries, PV\n(kvar) > 0 injects")


def pv(ax: Axes, drawing: Drawing, plan: Plan) -> None:
    """PV power; curtailed power is shaded."""
    edges, key = edges_h(drawing.axis), Legend()
    used, available = plan["pv_kw"], plan["pv_available_kw"]
    equipped = [name for name in available if (available[name] > 0).any()]
    _plot_prosumers(ax, drawing, used[equipped], key)
    for name in _shown(drawing, used[equipped]):
        color = drawing.participants.looks[name].color
        ax.stairs(available[name], edges, baseline=used[name].to_numpy(), fill=True, color=color, alpha=0.3)
        steps(ax, edges, available[name], Look(color, AVAILABLE, 0.8))
    ax.set_ylim(_range(drawing, "pv_available_kw"))
    pv_axis(ax, "used", key)


def pv_axis(ax: Axes, used: str, key: Legend) -> None:
    """Label and legend of a PV panel; ``used`` is the label of the full lines."""
    key.add(used, handle(Look(INK)))
    key.add("available", handle(Look(INK, AVAILABLE, 0.8)))
    key.add("curtailed", Patch(color=INK, alpha=0.3, linewidth=0))
    ax.set_ylabel("PV (kW)")
    key.show(ax)


def voltages(ax: Axes, drawing: Drawing, v_pu: pd.DataFrame) -> None:
    """Voltage of every node, [T, nodes], with its limits; the area outside is tinted."""
    edges, key = edges_h(drawing.axis), Legend()
    if drawing.participants.too_many_nodes:
        _bands(ax, edges, v_pu, key)
    for node, look in reversed(drawing.participants.node_looks.items()):
        steps(ax, edges, v_pu[node], look)
    voltage_axis(ax, drawing.participants, np.concatenate([one.to_numpy().ravel() for one in drawing.v_pu]), key)
    ax.set_ylabel("voltage (p.u.)")


def voltage_axis(ax: Axes, participants: Participants, reached: FloatArray, key: Legend) -> None:
    """Limits, the area outside them, and a scale that contains all voltages ``reached``."""
    scenario = participants.scenario
    for node, look in participants.node_looks.items():
        if node not in scenario.nodes.values():
            key.add(f"{node} (slack)" if node == scenario.slack else node, handle(look))
    low = float(np.nanmin(reached, initial=scenario.v_min_pu))
    low, high = widened(low, float(np.nanmax(reached, initial=scenario.v_max_pu)))
    for bound, side in ((scenario.v_min_pu, -1), (scenario.v_max_pu, 1)):
        ax.axhspan(bound, bound + side, color=OUTSIDE, linewidth=0, zorder=0)
        ax.axhline(bound, **BOUND.line())
    key.add("limit", handle(BOUND))
    ax.set_ylim(low, high)
    key.show(ax)


def _power(ax: Axes, drawing: Drawing, plan: Plan, quantity: str, label: str) -> None:
    key = Legend()
    equipped = plan["soc"].notna().any()
    _plot_prosumers(ax, drawing, plan[quantity].loc[:, equipped], key)
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set(ylabel=label, ylim=_range(drawing, quantity))
    key.show(ax)


def _plot_prosumers(ax: Axes, drawing: Drawing, table: pd.DataFrame, key: Legend) -> None:
    """A line for every shown prosumer; if not all are shown, the range of all in the background."""
    edges = edges_h(drawing.axis)
    if drawing.participants.too_many_prosumers:
        _bands(ax, edges, table, key)
    for name in _shown(drawing, table):
        steps(ax, edges, table[name], drawing.participants.looks[name])
    _note_if_alike(table[_shown(drawing, table)], key)


def _note_if_alike(table: pd.DataFrame, key: Legend) -> None:
    """Note in the legend that lines coincide all day and look like one."""
    values = table.to_numpy()
    if values.shape[1] > 1 and np.ptp(values, axis=1).max() <= ALIKE * np.ptp(values):
        key.add(f"all {table.shape[1]} alike", handle(Look("none")))


def _bands(ax: Axes, edges: FloatArray, table: pd.DataFrame, key: Legend) -> None:
    for label, color, (low, high) in BANDS:
        lower, upper = _percentiles(table, low, high)
        ax.stairs(upper, edges, baseline=lower, fill=True, color=color)
        key.add(_numbered(label, table), Patch(color=color, linewidth=0))
    steps(ax, edges, table.median(axis=1), MEDIAN)
    key.add("median", handle(MEDIAN))


def _percentiles(table: pd.DataFrame, low: float, high: float) -> FloatArray:
    return np.asarray(table.quantile([low / PERCENT, high / PERCENT], axis=1))


def _numbered(label: str, table: pd.DataFrame) -> str:
    return f"all {table.shape[1]}" if label == "all" else label


def _shown(drawing: Drawing, table: pd.DataFrame) -> list[str]:
    return [name for name in drawing.participants.shown if name in table]


def _range(drawing: Drawing, quantity: str) -> tuple[float, float]:
    """One scale for all plans, so that figures can be compared; it contains zero."""
    values = [plan[quantity].to_numpy() for plan in drawing.plans]
    return widened(min(0.0, *map(np.min, values)), max(0.0, *map(np.max, values)))


def widened(low: float, high: float) -> tuple[float, float]:
    """The range with a margin on both sides."""
    space = 0.06 * (high - low) or 1.0
    return low - space, high + space
