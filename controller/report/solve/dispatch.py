"""The chapters of a dispatch: the aggregate of each sector against its target, and who contributes what."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from controller.report.primitives.amounts import number, significant
from controller.report.primitives.chapter import chapter, figure_chapter, note
from controller.report.primitives.markup import Markup, row, table
from controller.report.primitives.style import COLOURS, INK, QUIET, WIDTH_IN, Legend, Look, handle, styled
from controller.report.solve.record import SolveRecord

SECTORS = ("sector", "target_kw", "aggregate_kw", "deviation_kw", "price")
MOST_ROWS = 12
"""So many resources have a row of their own, those with the largest outputs, and as many as there are colours a bar."""
OTHERS = "others"
READING = """Each bar is the output of the resources to a sector, stacked by resource: to the right what they deliver,
    to the left what they draw. The line is the target, the dot the sum. A sector whose deviation is weighted more is
    matched first."""


def dispatch_chapters(record: SolveRecord, key: str) -> Iterator[Markup]:
    """Sectors, resources, and their figure."""
    sectors = record.table("sectors.csv", *SECTORS)
    outputs = [f"{sector}_kw" for sector in sectors["sector"]]
    resources = record.table("resources.csv", "resource", "input_kw", *outputs)
    figure = outputs_figure(sectors, resources.set_index("resource")[outputs])
    yield figure_chapter("Outputs by sector", figure, f"{key}-outputs", READING)
    yield chapter("Sectors", _sectors_table(sectors))
    largest = _largest(resources.set_index("resource")[outputs], MOST_ROWS)
    shown = resources.set_index("resource").loc[largest]
    rest = len(resources) - len(shown)
    more = [note(f"and {rest} more resources, in resources.csv")] if rest else []
    yield chapter("Resources", _resources_table(shown), *more)


@styled
def outputs_figure(sectors: pd.DataFrame, outputs: pd.DataFrame) -> Figure:
    """Horizontal bars by sector, stacked by resource, with target and aggregate."""
    figure = Figure(figsize=(WIDTH_IN, 1.0 + 0.34 * len(sectors)), layout="constrained")
    ax, legend = figure.subplots(), Legend()
    y, ends = np.arange(len(sectors)), np.zeros((2, len(sectors)))
    largest = _largest(outputs, len(COLOURS))
    others = outputs.drop(index=largest).to_numpy(float)
    bars = [(name, outputs.loc[name].to_numpy(float), colour) for name, colour in zip(largest, COLOURS, strict=False)]
    if len(others):
        delivered, drawn = (part(others, 0).sum(axis=0) for part in (np.maximum, np.minimum))
        bars += [(OTHERS, delivered, QUIET), (OTHERS, drawn, QUIET)]
    for name, kw, colour in bars:
        ax.barh(y, kw, left=np.where(kw > 0, ends[0], ends[1]), height=0.6, color=colour, alpha=0.85)
        ends += [np.maximum(kw, 0), np.minimum(kw, 0)]
        legend.add(name, handle(Look(colour, linewidth=4)))
    ax.vlines(sectors["target_kw"], y - 0.4, y + 0.4, colors=INK, linewidth=1.6)
    ax.plot(sectors["aggregate_kw"], y, "o", color=INK, markersize=3.5, markerfacecolor="white")
    ax.set_yticks(y, list(sectors["sector"]))
    ax.set_ylim(len(sectors) - 0.5, -0.5)
    ax.set_xlabel("kW; line: target, dot: sum of the outputs")
    legend.show(ax)
    return figure


def _largest(outputs: pd.DataFrame, most: int) -> list[str]:
    """The resources with the largest outputs, in the order of the file."""
    size = outputs.abs().sum(axis=1).to_numpy(float)
    kept = np.sort(np.argsort(-size, kind="stable")[:most])
    return [str(outputs.index[k]) for k in kept]


def _sectors_table(sectors: pd.DataFrame) -> Markup:
    head = row("th", "sector", "target (kW)", "sum of outputs (kW)", "deviation (kW)", "price per kW")
    rows = [
        row("td", name, *(number(value, 3) for value in powers), significant(price))
        for name, *powers, price in sectors.itertuples(index=False, name=None)
    ]
    return table([head], rows)


def _resources_table(resources: pd.DataFrame) -> Markup:
    head = row("th", "resource", *(f"{name.removesuffix('_kw')} (kW)" for name in resources.columns))
    rows = [
        row("td", name, *(number(value, 3) for value in values))
        for name, *values in resources.itertuples(index=True, name=None)
    ]
    return table([head], rows)
