"""The chapters of the report of a plan: a table or figure each, with an explanation."""

from collections.abc import Iterator
from shlex import quote

from controller.report.day.chapters import CONVERGED, COSTS, convergence, coordinated, facts, selfish
from controller.report.day.figures import day_figure
from controller.report.plan.aggregators import aggregators_chapter
from controller.report.plan.comparison import plan_comparison
from controller.report.plan.figures import exchange_figure, extremes_figure
from controller.report.plan.record import DayRecord, Record
from controller.report.plan.tables import cost_table, excursion_tables
from controller.report.primitives.amounts import magnitude, number
from controller.report.primitives.chapter import chapter, figure_chapter, note, origin
from controller.report.primitives.guide import guide
from controller.report.primitives.markup import Markup
from controller.report.primitives.summary import Summary
from controller.report.primitives.times import changes


def chapters(record: Record, other: Record | None) -> Iterator[Markup]:
    """All chapters below the header."""
    here = {"table 3": COSTS, "figure 3": "uncoordinated"}
    if other is not None:
        yield chapter("Two plans side by side", *plan_comparison(record, other))
    yield _costs(record)
    yield _excursions(record)
    yield _selfish_day(record)
    if record.coordinated is not None:
        here |= {"figure 4": "coordinated", "figure 5": "convergence"}
        yield _coordinated_day(record, record.coordinated)
    else:
        del here["table 3"]
    yield _extremes(record)
    yield _exchange(record)
    yield from aggregators_chapter(record)
    if record.coordinated is not None:
        yield convergence(record.summary.scenario, record.iterations, "convergence", CONVERGED)
    yield chapter("The figures of the paper", *guide(here, record.summary.config))
    yield _origin(record, other)


def _costs(record: Record) -> Markup:
    text = "Cost under the retail tariff; negative amounts are earned."
    if record.coordinated is None:
        return chapter("What the day costs", cost_table(record), note(text), key=COSTS)
    more = """ Compensation (16) is what the grid operator owes a prosumer so that following the prices costs
        nothing against the prosumer’s own optimum; it covers what converters lose and batteries wear. The fee (15) is
        the part of the advertised price that does not depend on the demand. Counterpart of table 3 of the paper."""
    return chapter("What coordination costs", cost_table(record), note(text + more), key=COSTS)


def _excursions(record: Record) -> Markup:
    ac, tolerance = record.summary.ac, record.summary.scenario.violation_tol_pu
    day = "coordinated" if record.coordinated else "uncoordinated"
    text = f"""Listed is what leaves its limit by more than the tolerance of {tolerance:g} p.u. in the AC power flow,
        worst first; 1 % of the rating of a power or current counts as 0.001 p.u. Why is told by what everybody did at
        the worst moment: PV and discharging batteries raise voltages, load and charging ones lower them. On the {day}
        day, voltages are off limits by at most {magnitude(ac.violation_max_pu)} p.u., the upper grid by
        {number(ac.slack_p_violation_kw, 2)} kW and {number(ac.slack_q_violation_kvar, 2)} kvar, lines by
        {number(ac.line_overload_a, 1)} A."""
    return chapter("What left its limits, when and why", excursion_tables(record), note(text))


def _selfish_day(record: Record) -> Markup:
    day = record.uncoordinated
    figure = day_figure(record.drawing, day.plan, day.v_pu, False)
    reading = selfish(record.summary.scenario)
    text = f"""{reading} Where voltages enter the tinted areas, the grid pays for it. Counterpart of figure 3 of the
        paper."""
    return figure_chapter("The day without coordination", figure, "uncoordinated", text + participants_note(record))


def _coordinated_day(record: Record, day: DayRecord) -> Markup:
    figure = day_figure(record.drawing, day.plan, day.v_pu, True)
    text = (
        coordinated(record.summary.scenario)
        + " Scales are those of the figure before. Counterpart of figure 4 of the paper."
    )
    return figure_chapter("The day with coordination", figure, "coordinated", text + participants_note(record))


def _extremes(record: Record) -> Markup:
    text = """For every node the range of its voltage over the day, for every line its largest current. What reaches
        beyond the dashed lines is a violation. Voltages move most far from the upper grid, currents are largest near
        it."""
    return figure_chapter("Nodes and lines at their worst", extremes_figure(record), "extremes", text)


def _exchange(record: Record) -> Markup:
    text = """What the upper grid delivers: power above zero is imported, below zero exported. Reactive power is free
        under the tariff, so that batteries and PV inverters with a rating support the voltage with it first, as far as
        their converters and the power factor at the upper grid allow; without coordination they have no reason to."""
    return figure_chapter("The upper grid and reactive power", exchange_figure(record), "exchange", text)


def _origin(record: Record, other: Record | None) -> Markup:
    summary, scenario = record.summary, record.summary.scenario
    more = {"tolerances": f"gap {scenario.gap_tol:g}, violation {scenario.violation_tol_pu:g} p.u."}
    if other is not None:
        more["the other run"] = f"SHA-256 {other.summary.config_sha256}: {_command(other.summary)}"
    return origin(_command(summary), facts(summary, summary.created_at.isoformat()) | more)


def _command(summary: Summary) -> str:
    scenario, options = summary.scenario, "--uncoordinated"
    if summary.coordinated:
        caps = f"--max-iterations {scenario.max_iterations} --budget-s {scenario.budget_s:g}"
        options = f"--splitting {scenario.splitting} {caps}"
    return f"gridlab {summary.command} {quote(summary.config)} {options}"


def participants_note(record: Record) -> str:
    """Which prosumers are shown, and peculiarities of the time axis and the power flow."""
    notes, participants = ["A node has the colour of its prosumer."], record.participants
    if participants.too_many_prosumers:
        notes.insert(
            0,
            f"Of {len(participants.prosumers)} prosumers, lines show the {len(participants.shown)} with the largest "
            "compensation, curtailment and voltage; bands show all.",
        )
    if changes(record.axis):
        notes.append("The clocks change on this day; the axis counts elapsed time.")
    if record.result.v_pu.isna().any(axis=None) or record.uncoordinated.v_pu.isna().any(axis=None):
        notes.append("Where a voltage is missing the power flow has no solution: the grid would collapse.")
    return " " + " ".join(notes)
