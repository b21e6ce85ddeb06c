"""Violations in a closed loop: events with their causes, every node, and other limits."""

import pandas as pd

from controller.accounts.voltage_events import Event
from controller.accounts.voltage_quality import beyond, ten_minute_means
from controller.report.loop.causes import cause
from controller.report.loop.quantities import quantities
from controller.report.loop.record import LoopRecord, SampledRecord
from controller.report.loop.tables import local
from controller.report.primitives.amounts import DECIMALS, NOT_MEASURED, UNKNOWN, number, signed
from controller.report.primitives.markup import Markup, joined, row, table, tag

ROWS, NAMED = 24, 3


def event_table(record: LoopRecord) -> Markup:
    """10-min means beyond their limit, worst first: when, where, how far, and the parts of the worst one."""
    worst_events = sorted(record.summary.events, key=lambda event: -event.beyond_pu)
    if not record.summary.measured.means_10min:
        return tag("p", "No voltage was measured.", class_="unknown")
    if not worst_events:
        return tag("p", "No 10-min mean left its limits.", class_="held")
    parts = ("planned", "supply", "off target", "rest")
    head = row("th", "when", "nodes", "worst mean (p.u.)", *parts, "why")
    more = f"and {len(worst_events) - ROWS} more, less far outside"
    rest = [tag("p", more, class_="note")] if len(worst_events) > ROWS else []
    rows = [_event_row(record, event) for event in worst_events[:ROWS]]
    return joined(tag("div", table([head], rows), class_="words"), *rest)


def node_table(record: SampledRecord) -> Markup:
    """How often and how far every node left its limits."""
    names = ("samples outside", "worst", "at", "10-min means outside", "worst", "at")
    samples = record.judged_pu
    means = ten_minute_means(samples)
    rows = [row("td", node, *_counted(record, samples[node]), *_counted(record, means[node])) for node in samples]
    return table([row("th", "node", *names)], rows)


def quantity_table(record: SampledRecord) -> Markup:
    """Ten-minute means of all other limited quantities."""
    rows = []
    for quantity in quantities(record):
        digits, means = DECIMALS[quantity.unit], quantity.means
        reached, allowed = (
            f"{number(low, digits)} … {number(high, digits)} {quantity.unit}"
            for low, high in ((means.min(), means.max()), (quantity.low, quantity.high))
        )
        outside = f"{quantity.outside} of {len(means)}" if len(means) else NOT_MEASURED
        rows.append(row("td", quantity.what, outside, reached if len(means) else UNKNOWN, allowed))
    return table([row("th", "", "10-min means outside", "reached", "allowed")], rows)


def _event_row(record: LoopRecord, event: Event) -> Markup:
    zone, parts = record.axis.timezone, event.parts
    changes = (parts.supply_pu, parts.off_target_pu, parts.rest_pu)
    return row(
        "td",
        f"{local(event.begin, zone)}–{local(event.end, zone)}",
        tag("td", _places(event), class_="prose"),
        f"{number(event.mean_pu, 4)} at {local(event.at, zone)}",
        UNKNOWN if parts.planned_pu is None else number(parts.planned_pu, 4),
        *(UNKNOWN if part is None else signed(part) for part in changes),
        tag("td", cause(record.summary, event), class_="prose"),
    )


def _places(event: Event) -> str:
    more = f" and {len(event.nodes) - NAMED} more" if len(event.nodes) > NAMED else ""
    return f"{', '.join(event.nodes[:NAMED])}{more} {'above' if event.side > 0 else 'below'}"


def _counted(record: SampledRecord, values: pd.Series) -> tuple[str, str, str]:
    """Number of values outside, the worst one, and its time."""
    scenario = record.summary.scenario
    excess = beyond(values.to_frame(), scenario.v_min_pu, scenario.v_max_pu).iloc[:, 0]
    outside, count = int((excess > 0).sum()), int(values.notna().sum())
    if not count:
        return NOT_MEASURED, UNKNOWN, UNKNOWN
    if not outside:
        return f"0 of {count}", UNKNOWN, UNKNOWN
    worst = int(excess.argmax())
    at = pd.DatetimeIndex(values.index)[worst].to_pydatetime()
    return f"{outside} of {count}", number(float(values.iloc[worst]), DECIMALS["p.u."]), local(at, record.axis.timezone)
