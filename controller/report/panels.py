"""The panels that figures are stacked of: one quantity over the day for every prosumer or node."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from controller.report.cast import Cast
from controller.report.record import Day
from controller.report.style import INK, LIMIT, OUTSIDE, Key, Look, handle, steps
from controller.report.times import edges_h
from core.assets import FloatArray

TARIFF = Look("black", linewidth=1.0)
MEDIAN = Look("#5b626b", linewidth=0.9)
BANDS = (("all", "#e3e6ea", (0, 100)), ("middle 80 %", "#cbd0d7", (10, 90)))
PERCENT = 100
NEAR_ZERO = 0.3
"""Of the lowest tariff: the zero of a price axis belongs to the picture when prices come this near."""
ALIKE = 0.01
"""Of the span of a panel: lines nowhere farther apart count as one."""


def price(ax: Axes, cast: Cast, day: Day) -> None:
    """Marginal price at the agreed profile against the retail tariff."""
    edges, key = edges_h(cast.record.axis), Key()
    _everybody(ax, cast, day.plan["price_chf_per_kwh"], key)
    steps(ax, edges, day.plan["tariff_chf_per_kwh"].iloc[:, 0], TARIFF)
    key.add("tariff", handle(TARIFF))
    if day.plan["price_chf_per_kwh"].to_numpy().min() < NEAR_ZERO * day.plan["tariff_chf_per_kwh"].to_numpy().min():
        ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel(f"price\n({cast.record.summary.scenario.currency}/kWh)")
    key.show(ax)


def soc(ax: Axes, cast: Cast, day: Day) -> None:
    """State of charge at the end of each step."""
    table, key, ends = day.plan["soc"].dropna(axis="columns", how="all"), Key(), edges_h(cast.record.axis)[1:]
    if cast.crowd:
        for label, color, (low, high) in BANDS:
            lower, upper = _percentiles(table, low, high) * PERCENT
            key.add(_numbered(label, table), ax.fill_between(ends, lower, upper, color=color, linewidth=0))
        ax.plot(ends, table.median(axis=1) * PERCENT, **MEDIAN.line())
        key.add("median", handle(MEDIAN))
    for name in _shown(cast, table):
        ax.plot(ends, table[name] * PERCENT, **cast.looks[name].line())
    _say_if_alike(table[_shown(cast, table)], key)
    ax.set(ylabel="state of\ncharge (%)", ylim=(-4, 104), yticks=[0, 25, 50, 75, 100])
    key.show(ax)


def battery(ax: Axes, cast: Cast, day: Day) -> None:
    """Active power of the batteries."""
    _power(ax, cast, day, "battery_kw", "battery (kW)\n> 0 discharges")


def reactive(ax: Axes, cast: Cast, day: Day) -> None:
    """Reactive power of the batteries."""
    _power(ax, cast, day, "battery_kvar", "batteries (kvar)\n> 0 injects")


def pv(ax: Axes, cast: Cast, day: Day) -> None:
    """PV power; what is available and not used is shaded."""
    edges, key = edges_h(cast.record.axis), Key()
    used, available = day.plan["pv_kw"], day.plan["pv_available_kw"]
    equipped = [name for name in available if (available[name] > 0).any()]
    _everybody(ax, cast, used[equipped], key)
    for name in _shown(cast, used[equipped]):
        color = cast.looks[name].color
        ax.stairs(available[name], edges, baseline=used[name].to_numpy(), fill=True, color=color, alpha=0.3)
        dotted = Look(color, (0, (1, 1.2)), 0.8)
        steps(ax, edges, available[name], dotted)
    key.add("used", handle(Look(INK)))
    key.add("available", handle(Look(INK, (0, (1, 1.2)), 0.8)))
    key.add("curtailed", Patch(color=INK, alpha=0.3, linewidth=0))
    ax.set(ylabel="PV (kW)", ylim=_range(cast, "pv_available_kw"))
    key.show(ax)


def voltages(ax: Axes, cast: Cast, day: Day) -> None:
    """Voltage of every node with its limits; outside is tinted."""
    scenario, edges, key = cast.record.summary.scenario, edges_h(cast.record.axis), Key()
    if cast.node_crowd:
        _bands(ax, edges, day.v_pu, key)
    for node, look in reversed(cast.node_looks.items()):
        steps(ax, edges, day.v_pu[node], look)
    passive = [node for node in cast.node_looks if node not in scenario.nodes.values()]
    for node in passive:
        key.add(f"{node} (slack)" if node == scenario.slack else node, handle(cast.node_looks[node]))
    days = (cast.record.uncoordinated, cast.record.result)
    reached = np.concatenate([d.v_pu.to_numpy().ravel() for d in days] + [[scenario.v_min_pu, scenario.v_max_pu]])
    low, high = widened(float(np.nanmin(reached)), float(np.nanmax(reached)))
    for bound, end in ((scenario.v_min_pu, low), (scenario.v_max_pu, high)):
        ax.axhspan(bound, end, color=OUTSIDE, linewidth=0, zorder=0)
        ax.axhline(bound, color=LIMIT, linewidth=0.8, linestyle="--")
    key.add("limit", handle(Look(LIMIT, "--", 0.8)))
    ax.set(ylabel="voltage (p.u.)", ylim=(low, high))
    key.show(ax)


def _power(ax: Axes, cast: Cast, day: Day, quantity: str, label: str) -> None:
    key = Key()
    equipped = day.plan["soc"].notna().any()
    _everybody(ax, cast, day.plan[quantity].loc[:, equipped], key)
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set(ylabel=label, ylim=_range(cast, quantity))
    key.show(ax)


def _everybody(ax: Axes, cast: Cast, table: pd.DataFrame, key: Key) -> None:
    """A line for everybody shown, before the band of all if that are not all."""
    edges = edges_h(cast.record.axis)
    if cast.crowd:
        _bands(ax, edges, table, key)
    for name in _shown(cast, table):
        steps(ax, edges, table[name], cast.looks[name])
    _say_if_alike(table[_shown(cast, table)], key)


def _say_if_alike(table: pd.DataFrame, key: Key) -> None:
    """Lines that hide each other all day look like one."""
    values = table.to_numpy()
    if values.shape[1] > 1 and np.ptp(values, axis=1).max() <= ALIKE * np.ptp(values):
        key.add(f"all {table.shape[1]} alike", handle(Look("none")))


def _bands(ax: Axes, edges: FloatArray, table: pd.DataFrame, key: Key) -> None:
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


def _shown(cast: Cast, table: pd.DataFrame) -> list[str]:
    return [name for name in cast.shown if name in table]


def _range(cast: Cast, quantity: str) -> tuple[float, float]:
    """One scale for both days, so that figures can be compared; it contains zero."""
    values = [day.plan[quantity].to_numpy() for day in (cast.record.uncoordinated, cast.record.result)]
    return widened(min(0.0, float(np.min(values))), max(0.0, float(np.max(values))))


def widened(low: float, high: float) -> tuple[float, float]:
    """A range with some space around it."""
    space = 0.06 * (high - low) or 1.0
    return low - space, high + space
