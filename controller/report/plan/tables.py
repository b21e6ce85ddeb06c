"""The tables of the report of a plan: costs of coordination by prosumer, and violations of limits."""

from collections.abc import Iterator
from math import isinf

from controller.report.plan.record import DayRecord, Record
from controller.report.plan.violations import Excursion, excursions
from controller.report.primitives.amounts import DECIMALS, number, significant
from controller.report.primitives.drawing import Plan
from controller.report.primitives.markup import Markup, joined, row, table, tag
from controller.report.primitives.times import edge
from controller.runs.words import account_words

SPANS = 3
ROWS = 24


def cost_table(record: Record) -> Markup:
    """Table 3 of paper A, with compensation, fee and curtailment."""
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
    words = account_words(coordinated=True)
    money = [f"{what} ({currency})" for what in (*words, "fee")]
    head = row("th", "prosumer", "node", *money, "curtailed (kWh)")
    rows = []
    for name, cost in summary.cost_chf.items():
        amounts = (cost.uncoordinated, cost.coordinated, cost.compensation, summary.fee_chf[name])
        rows.append(row("td", name, nodes[name], *map(number, amounts), number(curtailed[name], 2)))
    owed = sum(cost.compensation for cost in summary.cost_chf.values())
    amounts = (sums.uncoordinated, sums.coordinated, owed, sum(summary.fee_chf.values()))
    return table([head], rows, row("td", "total", "", *map(number, amounts), number(sum(curtailed.values()), 2)))


def excursion_tables(record: Record) -> Markup:
    """Limits left by more than the tolerance, worst first, for the days without and with coordination."""
    days = {"Without coordination": record.uncoordinated}
    if record.coordinated:
        days["With coordination"] = record.coordinated
    return joined(*(part for name, day in days.items() for part in _excursions(record, name, day)))


def _excursions(record: Record, name: str, day: DayRecord) -> Iterator[Markup]:
    found = sorted(excursions(record, day).values(), key=lambda excursion: -excursion.severity)
    if not found:
        yield tag("p", f"{name} nothing left its limits.", class_="held")
        return
    yield tag("h3", name)
    head = row("th", "limit", "in total", "from–to", "worst", "what all prosumers did then")
    rows = [
        row("td", excursion_name(e), total(record, e), when(record, e), worst(record, e), why(day.plan, e))
        for e in found[:ROWS]
    ]
    yield tag("div", table([head], rows), class_="words")
    if len(found) > ROWS:
        yield tag("p", f"and {len(found) - ROWS} more limits, less far outside", class_="note")


def excursion_name(excursion: Excursion) -> str:
    """The name of the limit."""
    limit = excursion.limit
    return f"{limit.what} {'above' if limit.sign > 0 else 'below'} {significant(limit.bound)} {limit.unit}"


def total(record: Record, excursion: Excursion) -> str:
    """Total duration."""
    hours, minutes = divmod(excursion.steps * record.axis.step_min, 60)
    return f"{hours} h {minutes:02d}" if hours else f"{minutes} min"


def when(record: Record, excursion: Excursion) -> Markup:
    """Local times from–to."""
    spans = excursion.spans
    named = [f"{edge(record.axis, first)}–{edge(record.axis, last + 1)}" for first, last in spans[:SPANS]]
    if len(spans) > SPANS:
        named.append(f"{len(spans) - SPANS} more")
    return tag("td", *(tag("span", text, class_="span") for text in named), class_="spans")


def worst(record: Record, excursion: Excursion) -> str:
    """The value farthest outside, in the unit of the limit, and its time."""
    limit, at = excursion.limit, edge(record.axis, excursion.worst)
    if isinf(limit.excess[excursion.worst]):
        return f"collapse at {at}"
    return f"{number(float(limit.values[excursion.worst]), DECIMALS[limit.unit])} at {at}"


def why(plan: Plan, excursion: Excursion) -> Markup:
    """Sources and sinks at the worst time, the larger side first; of reactive power for a limit in kvar."""
    reactive = excursion.limit.unit == "kvar"
    net, battery, unit = ("q_kvar", "inverter_kvar", "kvar") if reactive else ("p_kw", "battery_kw", "kW")
    now = {name: float(plan[name].iloc[excursion.worst].sum()) for name in (net, battery, "pv_kw")}
    pv = 0.0 if reactive else now["pv_kw"]
    feeding = {"PV": pv, "batteries and PV inject" if reactive else "discharge": max(now[battery], 0.0)}
    load = now[net] + now[battery] + pv
    drawing = {"load": load, "batteries and PV absorb" if reactive else "charge": max(-now[battery], 0.0)}
    larger, smaller = sorted((feeding, drawing), key=lambda side: -sum(side.values()))
    against = f" against {_sum(smaller, unit)}" if _sum(smaller, unit) else ""
    return tag("td", _sum(larger, unit) + against, class_="prose")


def _sum(amounts: dict[str, float], unit: str) -> str:
    parts = [f"{name} {number(value, 1)}" for name, value in amounts.items() if number(value, 1) != "0.0"]
    return f"{' + '.join(parts)} {unit}" if parts else ""
