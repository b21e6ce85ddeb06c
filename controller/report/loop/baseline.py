"""The first chapter of a coordinated run: the same day without and with coordination."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from controller.accounts.baseline import Baseline
from controller.accounts.supply_quality import ReactiveQuality
from controller.accounts.voltage_quality import INTERVAL, VoltageQuality
from controller.report.day.figures import name_prosumers, stacked
from controller.report.day.panels import voltage_axis
from controller.report.loop import panels
from controller.report.loop.figures import slack_axis
from controller.report.loop.record import LoopRecord, OwnOptima
from controller.report.loop.summary import LoopSummary
from controller.report.loop.trace import plot_steps
from controller.report.primitives.amounts import NOT_MEASURED, UNKNOWN, number, signed
from controller.report.primitives.chapter import chapter, figure_element, note
from controller.report.primitives.markup import Markup, row, table
from controller.report.primitives.style import WITH, WITHOUT, Legend, handle, styled
from core.arrays import FloatArray

TITLE = "Without and with coordination"


def without_and_with(record: LoopRecord, without: OwnOptima, baseline: Baseline) -> Markup:
    """Voltages of both days on one scale, then what coordination changed and what it cost."""
    text = """Without coordination, every prosumer follows its own optimum under the tariff alone. It is computed, not
        run a second time: each optimum knows load, irradiance and the supply voltage of this day as they came, and an
        AC power flow gives the voltages, in steps of the plan. With coordination is what was measured. Both days are
        counted over the same intervals of ten minutes, at the nodes whose voltage was measured. Compensation (16) is
        what coordination cost the prosumers: their bills, and what their converters lose and batteries wear, with
        coordination less without. Negative costs are earned."""
    figure = figure_element(comparison_of_days(record, without), "without-and-with", TITLE)
    return chapter(TITLE, figure, days_table(record.summary, baseline), note(text), key="comparison")


def days_table(summary: LoopSummary, baseline: Baseline) -> Markup:
    """The counts of both days, costs, curtailment and compensation."""
    cost, currency, days = summary.total_cost_chf, summary.scenario.currency, (baseline, summary)
    voltages, supply = [day.measured for day in days], [day.supply for day in days]
    rows = [
        ("lowest … highest voltage (p.u.)", *(_range(v.v_min_pu, v.v_max_pu) for v in voltages), ""),
        _counts("10-min mean voltages outside the limits", *voltages),
        _counts("10-min means of reactive power at the supply outside", *supply),
        _amounts(f"cost ({currency})", (cost.uncoordinated, cost.coordinated), 3),
        *_own_costs(summary),
        _amounts("PV curtailed (kWh)", [sum(day.curtailed_kwh.values()) for day in days], 2),
        (f"compensation ({currency})", UNKNOWN, number(summary.compensation_chf, 3), ""),
    ]
    head = row("th", "", "without coordination", "with coordination", "difference")
    return table([head], [row("td", *cells) for cells in rows])


@styled
def comparison_of_days(record: LoopRecord, without: OwnOptima) -> Figure:
    """Ten-minute mean voltages without and with coordination on one scale, and the power at the supply."""
    figure, axes = stacked(record.axis, [1.5, 1.5, 0.9, 0.9])
    _own_voltages(axes[0], record, without)
    panels.mean_voltages(axes[1], record, record.participants)
    ends = [end for ax in axes[:2] for end in ax.get_ylim()]
    for ax, title in zip(axes[:2], ("without coordination", "with coordination"), strict=True):
        ax.set(ylim=(min(ends), max(ends)), title=title)
    for ax, quantity, label in zip(axes[2:], ("q_kvar", "p_kw"), ("supply\n(kvar)", "supply\n(kW)"), strict=True):
        key = Legend()
        plot_steps(ax, _edges(record, without.slack.index), without.slack[quantity], WITHOUT)
        means = record.slack[quantity].groupby(pd.DatetimeIndex(record.slack.index).floor(INTERVAL)).mean()
        plot_steps(ax, _edges(record, means.index), means, WITH)
        key.add("without", handle(WITHOUT))
        key.add("with", handle(WITH))
        slack_axis(ax, record, quantity, label, key)
    name_prosumers(figure, record.participants.looks)
    return figure


def _own_voltages(ax: Axes, record: LoopRecord, without: OwnOptima) -> None:
    edges = _edges(record, without.v_pu.index)
    for node, look in reversed(record.participants.node_looks.items()):
        plot_steps(ax, edges, without.v_pu[node], look)
    voltage_axis(ax, record.participants, without.v_pu.to_numpy(float), Legend())
    ax.set_ylabel("10-min means\n(p.u.)" if record.summary.scenario.step_min == 10 else "means of a step\n(p.u.)")


def _edges(record: LoopRecord, begins: pd.Index) -> FloatArray:
    """Begin of each interval and the end of the run, hours since its start, [K + 1]."""
    return np.append(np.maximum(record.hours(begins), 0.0), record.axis.n_steps * record.axis.dt_h)


def _own_costs(summary: LoopSummary) -> list[tuple[str, ...]]:
    """No row where converters are without loss and batteries without wear."""
    own = (summary.own_costs.uncoordinated, summary.own_costs.coordinated)
    return [_amounts(f"losses and wear ({summary.scenario.currency})", own, 3)] if any(own) else []


def _range(low: float | None, high: float | None) -> str:
    return NOT_MEASURED if low is None or high is None else f"{number(low, 3)} … {number(high, 3)}"


def _counts(what: str, *days: VoltageQuality | ReactiveQuality | None) -> tuple[str, ...]:
    known = [day for day in days if day is not None and day.means_10min]
    cells = (f"{day.outside_10min} of {day.means_10min}" if day in known else NOT_MEASURED for day in days)
    return what, *cells, _difference([day.outside_10min for day in known], 0)


def _amounts(what: str, days: Sequence[float], digits: int) -> tuple[str, ...]:
    return what, *(number(amount, digits) for amount in days), _difference(days, digits)


def _difference(days: Sequence[float], digits: int) -> str:
    return signed(days[1] - days[0], digits) if len(days) == 2 else UNKNOWN
