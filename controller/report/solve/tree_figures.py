"""Counterparts of paper B's figure 2: powers of the branches, rows over their children, states of charge."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from controller.report.day.figures import name_prosumers, stacked
from controller.report.day.panels import charge_axis, widened
from controller.report.primitives.style import (
    BOUND,
    INK,
    OUTSIDE,
    WITH,
    WITHOUT,
    Legend,
    Look,
    handle,
    looks,
    short,
    steps,
    styled,
)
from controller.report.primitives.times import edges_h
from controller.report.solve.tree_record import TreeRecord
from core.arrays import FloatArray

PERCENT = 100
ACTIVE = ("p_kw", "lower_kw", "upper_kw", "uncoordinated_kw")
THIN = 0.7


def branch_looks(record: TreeRecord) -> dict[str, Look]:
    """A colour for each branch, in all figures; a single one for all prosumers of it."""
    return looks(list(record.summary.branches))


@styled
def powers_figure(record: TreeRecord, names: list[str]) -> Figure:
    """Active power of each branch, without and with coordination, against its limits."""
    figure, axes = stacked(record.axis, [1.0] * len(names))
    for ax, name in zip(axes, names, strict=True):
        _power(ax, record, name)
    return figure


@styled
def reactive_figure(record: TreeRecord, names: list[str]) -> Figure:
    """Reactive power of each branch likewise."""
    figure, axes = stacked(record.axis, [1.0] * len(names))
    for ax, name in zip(axes, names, strict=True):
        table = record.branches[name]
        _limited(ax, record, *(table[key] for key in ("q_kvar", "lower_kvar", "upper_kvar", "uncoordinated_kvar")))
        ax.set_ylabel(f"{short(name, 18)}\n(kvar)")
    return figure


@styled
def rows_figure(record: TreeRecord, names: list[str]) -> Figure:
    """Rows of each branch as shares of their limits: 1 is the upper one, −1 the lower one."""
    figure, axes = stacked(record.axis, [1.2] * len(names))
    for ax, name in zip(axes, names, strict=True):
        _rows(ax, record, name)
    return figure


@styled
def storage_figure(record: TreeRecord) -> Figure:
    """Prices of the branches, and states of charge in the colour of the prosumer's branch, where there are any."""
    colours = branch_looks(record)
    panels = [each for each, there in ((_prices, record.priced), (_charges, record.charged)) if there]
    figure, axes = stacked(record.axis, [1.2] * len(panels))
    for ax, panel in zip(axes, panels, strict=True):
        panel(ax, record, colours)
    name_prosumers(figure, colours)
    return figure


def _charges(ax: Axes, record: TreeRecord, colours: dict[str, Look]) -> None:
    """State of charge of every battery at the end of each step."""
    for prosumer, soc in record.plan["soc"].dropna(axis="columns", how="all").items():
        look = colours[record.summary.branch_of[str(prosumer)]]
        ax.plot(edges_h(record.axis)[1:], soc * PERCENT, **Look(look.color, look.linestyle, THIN).line())
    charge_axis(ax, Legend())


def _power(ax: Axes, record: TreeRecord, name: str) -> None:
    table = record.branches[name]
    _limited(ax, record, *(table[key] for key in ACTIVE))
    ax.set_ylabel(f"{short(name, 18)}\n(kW)")


def _limited(
    ax: Axes, record: TreeRecord, value: pd.Series, lower: pd.Series, upper: pd.Series, before: pd.Series
) -> None:
    """A power without and with coordination; the area beyond its limits is tinted."""
    edges, key = edges_h(record.axis), Legend()
    reached = np.concatenate([value, before])
    low, high = widened(float(min(0, reached.min())), float(max(0, reached.max())))
    _limits(ax, edges, (lower.to_numpy(float), upper.to_numpy(float)), (low, high), key)
    ax.axhline(0, color=INK, linewidth=0.6)
    steps(ax, edges, before, WITHOUT)
    steps(ax, edges, value, WITH)
    key.add("without", handle(WITHOUT))
    key.add("with", handle(WITH))
    ax.set_ylim(low, high)
    key.show(ax)


def _limits(
    ax: Axes, edges: FloatArray, sides: tuple[FloatArray, FloatArray], reach: tuple[float, float], key: Legend
) -> None:
    """The limits, and a tint beyond them, as far as the panel reaches."""
    far = 10 * (reach[1] - reach[0])
    for side, beyond in zip(sides, (reach[0] - far, reach[1] + far), strict=True):
        if np.isnan(side).all():
            continue
        known = np.where(np.isnan(side), beyond, side)
        ax.stairs(known, edges, baseline=np.full(len(known), beyond), fill=True, color=OUTSIDE, zorder=0)
        steps(ax, edges, side, BOUND)
        key.add("limit", handle(BOUND))


def _rows(ax: Axes, record: TreeRecord, name: str) -> None:
    edges, key = edges_h(record.axis), Legend()
    tables = {row: table for (branch, row), table in record.rows.items() if branch == name}
    before = np.array([_share(table, "uncoordinated") for table in tables.values()])
    ax.stairs(before.max(axis=0), edges, baseline=before.min(axis=0), fill=True, color=WITHOUT.color, alpha=0.35)
    key.add("without", Patch(color=WITHOUT.color, alpha=0.35, linewidth=0))
    reached = [before]
    for row, look in looks(list(tables)).items():
        shares = _share(tables[row], "value")
        reached.append(shares[None])
        steps(ax, edges, shares, Look(look.color, look.linestyle, 0.9))
        if len(tables) <= MOST_NAMED:
            key.add(row, handle(look))
    shown = np.concatenate(reached)
    for side in (-1, 1):
        ax.axhline(side, **BOUND.line())
        ax.axhspan(side, 100 * side, color=OUTSIDE, linewidth=0, zorder=0)
    key.add("limit", handle(BOUND))
    ax.set(ylim=widened(min(-1, np.nanmin(shown)), max(1, np.nanmax(shown))), ylabel=f"{short(name, 18)}\nrows")
    key.show(ax)


MOST_NAMED = 5
"""More rows of a branch have no entry in the legend."""


def _share(table: pd.DataFrame, column: str) -> FloatArray:
    """A row as a share of its limits: ±1 at them; of a row with one limit 0 is its zero."""
    value, lower, upper = (table[key].to_numpy(float) for key in (column, "lower", "upper"))
    lower, upper = np.where(np.isnan(lower), -upper, lower), np.where(np.isnan(upper), -lower, upper)
    half = (upper - lower) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(half > 0, (value - (upper + lower) / 2) / half, np.nan))


def _prices(ax: Axes, record: TreeRecord, colours: dict[str, Look]) -> None:
    """What one more kWh costs each branch besides the tariff."""
    edges = edges_h(record.axis)
    for name, look in colours.items():
        price = record.branches[name]["price_per_kwh"].to_numpy(float)
        steps(ax, edges, price, Look(look.color, look.linestyle, 0.9))
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel(f"price besides the\ntariff ({record.summary.currency}/kWh)")
