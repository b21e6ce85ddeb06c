"""The two tables of a report: what coordination costs whom, and what left its limits when."""

from itertools import chain
from math import isinf

from controller.report.amounts import number, significant
from controller.report.markup import Markup, joined, row, table, tag
from controller.report.record import Record
from controller.report.times import edge
from controller.report.violations import Excursion, excursions

SPANS = 3
ROWS = 24
DECIMALS = {"p.u.": 4, "kW": 2, "kvar": 2, "A": 1}


def cost_table(record: Record) -> Markup:
    """The counterpart of table 3 of paper A, with compensation, fee and curtailment."""
    summary = record.summary
    currency, sums = summary.scenario.currency, summary.total_cost_chf
    nodes, curtailed = summary.scenario.nodes, summary.curtailed_kwh
    if not summary.coordinated:
        head = row("th", "prosumer", "node", f"cost ({currency})", "curtailed (kWh)")
        rows = [
            row("td", name, nodes[name], number(cost.uncoordinated), number(curtailed[name], 2))
            for name, cost in summary.cost_chf.items()
        ]
        foot = row("td", "total", "", number(sums.uncoordinated), number(sum(curtailed.values()), 2))
        return table([head], rows, foot)
    money = [f"{what} ({currency})" for what in ("without coord.", "with coord.", "difference", "compensation", "fee")]
    head = row("th", "prosumer", "node", *money, "curtailed (kWh)")
    rows = []
    for name, cost in summary.cost_chf.items():
        amounts = (cost.uncoordinated, cost.coordinated, cost.difference, cost.compensation, summary.fee_chf[name])
        rows.append(row("td", name, nodes[name], *map(number, amounts), number(curtailed[name], 2)))
    owed = sum(cost.compensation for cost in summary.cost_chf.values())
    amounts = (sums.uncoordinated, sums.coordinated, sums.difference, owed, sum(summary.fee_chf.values()))
    return table([head], rows, row("td", "total", "", *map(number, amounts), number(sum(curtailed.values()), 2)))


def excursion_table(record: Record) -> Markup:
    """Limits left by more than the tolerance, worst first, on the day without and the day with coordination."""
    days = {"without coordination": excursions(record, record.uncoordinated)}
    if record.coordinated:
        days["with coordination"] = excursions(record, record.coordinated)
    either = {key: found[key] for found in reversed(days.values()) for key in found}
    severity = {key: max(found[key].severity for found in days.values() if key in found) for key in either}
    foremost = sorted(either, key=lambda key: (-severity[key], *key))
    if not foremost:
        return tag("p", "Nothing left its limits.", class_="held")
    groups = tag("tr", tag("th", ""), *(tag("th", name, colspan="3") for name in days))
    head = [groups, row("th", "limit", *("in total", "from–to", "worst") * len(days))]
    rows = [
        row("td", excursion_name(either[key]), *chain(*(_cells(record, found.get(key)) for found in days.values())))
        for key in foremost[:ROWS]
    ]
    rest = f"and {len(foremost) - ROWS} more limits, less far outside"
    more = [tag("p", rest, class_="note")] if len(foremost) > ROWS else []
    return joined(tag("div", table(head, rows), class_="words"), *more)


def excursion_name(excursion: Excursion) -> str:
    """Which limit it is."""
    limit = excursion.limit
    return f"{limit.what} {'above' if limit.sign > 0 else 'below'} {significant(limit.bound)} {limit.unit}"


def total(record: Record, excursion: Excursion) -> str:
    """How long it lasts in all."""
    hours, minutes = divmod(excursion.steps * record.axis.step_min, 60)
    return f"{hours} h {minutes:02d}" if hours else f"{minutes} min"


def when(record: Record, excursion: Excursion) -> Markup:
    """Local times from–to."""
    spans = excursion.spans
    named = [f"{edge(record.axis, first)}–{edge(record.axis, last + 1)}" for first, last in spans[:SPANS]]
    if len(spans) > SPANS:
        named.append(f"{len(spans) - SPANS} more")
    return tag("span", *(tag("span", text, class_="span") for text in named), class_="spans")


def worst(record: Record, excursion: Excursion) -> str:
    """The value farthest outside, in the unit of the limit, and when."""
    limit, at = excursion.limit, edge(record.axis, excursion.worst)
    if isinf(limit.excess[excursion.worst]):
        return f"collapse at {at}"
    return f"{number(float(limit.values[excursion.worst]), DECIMALS[limit.unit])} at {at}"


def _cells(record: Record, excursion: Excursion | None) -> tuple[Markup, ...]:
    if excursion is None:
        return tag("td", "held", class_="held"), tag("td"), tag("td")
    return tuple(tag("td", what(record, excursion)) for what in (total, when, worst))
