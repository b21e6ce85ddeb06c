"""Aggregators in the report of a plan: power at their heads against its limits, and its price."""

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from controller.report.day.figures import stacked
from controller.report.plan.record import Record
from controller.report.primitives.amounts import number
from controller.report.primitives.chapter import figure_chapter, note
from controller.report.primitives.markup import Markup, row, table
from controller.report.primitives.style import BOUND, INK, WITH, WITHOUT, Legend, handle, looks, short, steps, styled
from controller.report.primitives.times import edges_h

DRAWN = 6
"""Aggregators that have a panel."""


def aggregators_chapter(record: Record) -> Iterator[Markup]:
    """The chapter of a plan with aggregators; nothing of one without."""
    if record.result.aggregators is None:
        return
    text = """Power at the head of each aggregator’s feeder, with its losses, and what one more kWh there costs beyond
        the tariff for the limits above it and its own: zero where none binds."""
    names = list(record.result.aggregators["p_kw"].columns)
    if len(names) > DRAWN:
        text += f" The first {DRAWN} of {len(names)} are drawn; the table has all."
    yield figure_chapter("The aggregators", aggregators_figure(record), "aggregators", text)
    yield note(aggregators_table(record))


@styled
def aggregators_figure(record: Record) -> Figure:
    """Power of each aggregator without and with coordination against its limits, then the prices."""
    found = record.result.aggregators
    assert found is not None
    names = list(found["p_kw"].columns)[:DRAWN]
    priced = record.coordinated is not None
    figure, axes = stacked(record.axis, [1.0] * (len(names) + priced))
    for ax, name in zip(axes, names, strict=False):
        _power(ax, record, name)
    if priced:
        key = Legend()
        for name, look in looks(names).items():
            steps(axes[-1], edges_h(record.axis), found["price_chf_per_kwh"][name], look)
            key.add(name, handle(look))
        axes[-1].set_ylabel(f"price beyond tariff\n({record.summary.scenario.currency}/kWh)")
        key.show(axes[-1])
    return figure


def aggregators_table(record: Record) -> Markup:
    """Parent, least and largest power of the day, and limits of each aggregator."""
    head = row("th", "aggregator", "parent", "least (kW)", "allowed", "largest (kW)", "allowed")
    found = record.result.aggregators
    assert found is not None
    rows = []
    for name, limits in record.summary.scenario.aggregators.items():
        power = found["p_kw"][name]
        low, high = ("–" if limit is None else number(limit, 2) for limit in (limits.p_min_kw, limits.p_max_kw))
        rows.append(
            row("td", name, limits.parent or "operator", number(power.min(), 2), low, number(power.max(), 2), high)
        )
    return table([head], rows)


def _power(ax: Axes, record: Record, name: str) -> None:
    key, limits = Legend(), record.summary.scenario.aggregators[name]
    days = [("without coordination", record.uncoordinated, WITHOUT)]
    if record.coordinated is not None:
        days.append(("with coordination", record.coordinated, WITH))
    for label, day, look in days:
        assert day.aggregators is not None
        steps(ax, edges_h(record.axis), day.aggregators["p_kw"][name], look)
        key.add(label, handle(look))
    for limit in (limits.p_min_kw, limits.p_max_kw):
        if limit is not None:
            ax.axhline(limit, **BOUND.line())
            key.add("limit", handle(BOUND))
    ax.axhline(0, color=INK, linewidth=0.6)
    ax.set_ylabel(f"{short(name)}\n(kW)")
    key.show(ax)
