"""The header of a report: what was computed, how it ended, and the key figures."""

from controller.report.plan.record import Record
from controller.report.plan.tables import excursion_name, total, worst
from controller.report.plan.violations import excursions
from controller.report.primitives.amounts import magnitude, number, percent
from controller.report.primitives.markup import Markup, tag
from controller.report.primitives.page import banner, masthead, tile
from controller.report.primitives.summary import Summary

LISTED = 8
SIMULTANEOUS_VISIBLE_KW = 1e-3
"""Charging and discharging at once, in a run of an older version, is told from this power on."""
STOPPED = {
    "iterations": "The allowed number of rounds was used up",
    "budget": "The time budget was spent",
}


def header(record: Record) -> Markup:
    """Title, verdict and key figures."""
    summary = record.summary
    scenario, day = summary.scenario, f"{summary.scenario.date:%A} {summary.scenario.date.day}"
    facts = (
        f"{day} {scenario.date:%B %Y}, {scenario.timezone}, {record.axis.n_steps} steps of {scenario.step_min} min; "
        f"{len(summary.cost_chf)} prosumers, {len(record.result.v_pu.columns)} nodes"
    )
    return masthead(summary.command, summary.name, facts, _verdict(record), *_warnings(summary), tiles=_tiles(record))


def _verdict(record: Record) -> Markup:
    summary = record.summary
    scenario, violation = summary.scenario, f"{magnitude(summary.ac.violation_max_pu)} p.u."
    gap = "unknown" if summary.gap_rel is None else percent(summary.gap_rel)
    match summary.status:
        case "converged":
            text = (
                f"The cost lies within {gap.lstrip('−')} of a proven lower bound (of the grid as last linearised). "
                f"In the AC power flow of the plan, voltages leave their limits by no more than {violation} "
                f"(allowed: {scenario.violation_tol_pu:g})."
            )
            return banner("good", "Converged", text)
        case "infeasible":
            return _infeasible(record)
        case "uncoordinated":
            text = "Every prosumer follows the tariff alone: the baseline, whatever it does to the grid."
            return banner("warn", "Not coordinated", text)
    text = (
        f"{STOPPED.get(summary.status, summary.status)} before a gap of {percent(scenario.gap_tol)} and limits held "
        f"within {scenario.violation_tol_pu:g} p.u. were certified. Shown is the best plan found: gap {gap}, "
        f"voltages off limits by {violation}"
    )
    return banner("warn", "Not converged", text)


def _infeasible(record: Record) -> Markup:
    """The limits that cannot be held, by how much, and at what cost."""
    unheld, currency = record.summary.unheld, record.summary.scenario.currency
    text = (
        f"No plan was found that keeps all limits of the grid on this day. What is left over is at most "
        f"{unheld.violation_pu:.4f} p.u. (1 % of the rating of a power or current counts as 0.001 p.u.), which the "
        f"grid operator priced at {number(unheld.cost_chf, 2)} {currency} in total. The plan below is the compromise:"
    )
    found = sorted(excursions(record, record.result).values(), key=lambda e: -e.severity)
    items = [tag("li", f"{excursion_name(e)} for {total(record, e)}, worst {worst(record, e)}") for e in found[:LISTED]]
    if len(found) > LISTED:
        items.append(tag("li", f"and {len(found) - LISTED} more limits, see below"))
    return banner("bad", "Limits that nobody can hold", text, tag("ul", *items))


def _warnings(summary: Summary) -> list[Markup]:
    text = "{}: the plan, of an older version, charges and discharges {} kW at once; no battery does that."
    both = {name: kw for name, kw in summary.simultaneous_kw.items() if kw > SIMULTANEOUS_VISIBLE_KW}
    items = [tag("p", text.format(name, number(kw, 2))) for name, kw in both.items()]
    return [tag("div", tag("strong", "Check the batteries"), *items, class_="banner warn")] if items else []


def _tiles(record: Record) -> list[Markup]:
    summary, ac = record.summary, record.summary.ac
    scenario, cost, currency = summary.scenario, summary.total_cost_chf, summary.scenario.currency
    curtailed = sum(summary.curtailed_kwh.values())
    limits = f"limits {scenario.v_min_pu:g} … {scenario.v_max_pu:g}"
    tiles = [
        tile("Cost of the day", f"{number(cost.coordinated, 2)} {currency}", _cost_note(summary)),
        tile("Voltages (AC), p.u.", f"{ac.v_min_pu:.4f} … {ac.v_max_pu:.4f}", limits),
        tile("PV curtailed", f"{number(curtailed, 2)} kWh", _curtailed_note(record)),
    ]
    if summary.coordinated:
        gap = "none" if summary.gap_rel is None else percent(summary.gap_rel)
        rounds = f"{summary.relinearisations} linearisations, {scenario.splitting} splitting"
        tiles += [tile("Certified gap", gap, _bound_note(summary)), tile("Rounds", str(summary.iterations), rounds)]
    return [*tiles, tile("Wall time", f"{summary.wall_s:.2f} s", f"gridlab {summary.version}")]


def _cost_note(summary: Summary) -> str:
    cost = summary.total_cost_chf
    if not summary.coordinated:
        return "under the tariff; negative is earned"
    return f"uncoordinated {number(cost.uncoordinated, 2)}, difference {number(cost.difference, 2)}"


def _bound_note(summary: Summary) -> str:
    if summary.lower_bound_chf is None or summary.gap_rel is None:
        return "no lower bound"
    bound = f"lower bound {number(summary.lower_bound_chf, 3)} {summary.scenario.currency}"
    return f"{bound}; cheaper, since limits are left" if summary.gap_rel < -summary.scenario.gap_tol else bound


def _curtailed_note(record: Record) -> str:
    available = float(record.result.plan["pv_available_kw"].to_numpy().sum()) * record.axis.dt_h
    return f"of {number(available, 1)} kWh available"
