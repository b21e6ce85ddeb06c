"""The chapters of the report of a closed loop: a table or figure each, with an explanation."""

from collections.abc import Iterator
from shlex import quote

import pandas as pd

from controller.report.comparison import amounts_table, prosumers_table, run_names
from controller.report.day.chapters import CONVERGED, COSTS, convergence, coordinated, facts, price_of_a_kwh, selfish
from controller.report.day.figures import day_figure as plan_figure
from controller.report.loop import tables
from controller.report.loop.amounts import account_columns, amounts
from controller.report.loop.baseline import without_and_with
from controller.report.loop.checks import checks
from controller.report.loop.figures import (
    comparison_figure,
    converters_figure,
    cycles_figure,
    day_figure,
    exchange_figure,
    mpc_figure,
    prosumers_figure,
    voltage_figure,
)
from controller.report.loop.header import end
from controller.report.loop.record import LoopRecord
from controller.report.loop.telemetry import ConverterSamples
from controller.report.loop.violations import event_table, node_table, quantity_table
from controller.report.primitives.amounts import number, percent
from controller.report.primitives.chapter import chapter, figure_chapter, figure_element, note, origin
from controller.report.primitives.drawing import Drawing
from controller.report.primitives.guide import guide
from controller.report.primitives.markup import Markup, tag
from controller.report.primitives.participants import Participants
from controller.runs.words import account_words
from mpc.coordination.outcome import CoordinationStatus

LISTED = 12


def chapters(record: LoopRecord, other: LoopRecord | None) -> Iterator[Markup]:
    """All chapters below the header."""
    if record.summary.coordinated and record.summary.baseline and record.without:
        yield without_and_with(record, record.without, record.summary.baseline)
    yield _checks(record)
    if other is not None:
        yield comparison(record, other)
    yield _settlement(record)
    yield _violations(record)
    yield _day(record)
    yield _voltages(record)
    yield _prosumers(record)
    if record.converters is not None:
        yield _converters(record, record.converters)
    yield _exchange(record)
    if record.summary.coordinated and len(record.recording.mpc):
        yield _mpc(record)
    if record.cycle_ms is not None and len(record.cycle_ms):
        yield _cycles(record, record.cycle_ms)
    if record.summary.energy_books:
        yield _balances(record)
    here = {"figure 8": "run", "table 3": COSTS, **_counterparts(record, "day-ahead")}
    yield from _day_ahead(record, other or record, record.participants, "day-ahead")
    if other is not None:
        here = _counterparts(other, "other-day-ahead") | here
        participants = record.participants if record.participants.same_grid(other.participants) else other.participants
        yield from _day_ahead(other, record, participants, "other-day-ahead")
    yield chapter("The figures of the paper", *guide(here, record.summary.config))
    yield _origin(record, other)


def _checks(record: LoopRecord) -> Markup:
    text = """Counted are pairs of a node (without the slack) and a 30 s sample, or a node and a 10-min mean (the
        interval of EN 50160), against the limits of the configuration without any margin. The referee stands in every
        converter and judges each frame that it receives. The energy balance compares the emulated
        batteries with the plant’s true energy."""
    return chapter("What it had to show", tables.check_table(checks(record)), note(text))


def comparison(record: LoopRecord, other: LoopRecord) -> Markup:
    """Two runs; with voltages and power drawn if they cover the same time."""
    a, b = record.summary, other.summary
    text = """Stored energy is worth the mean tariff of the day, so that a run that ends with fuller batteries is not
        called dearer."""
    if a.config_sha256 != b.config_sha256:
        text += " The two configurations differ."
    run_labels = run_names(a, b)
    content = [
        amounts_table(run_labels, amounts(a), amounts(b)),
        prosumers_table(run_labels, account_columns(a.scenario.currency), a.settlement, b.settlement),
    ]
    if (a.start, a.end) == (b.start, b.end):
        figure = comparison_figure(record, other)
        content.append(
            figure_element(figure, "comparison", "Both runs: 10-min mean voltages, power from the upper grid")
        )
    return chapter("Two runs side by side", *content, note(text))


def _settlement(record: LoopRecord) -> Markup:
    words = account_words(coordinated=record.summary.coordinated)
    text = f"""“{words.measured.capitalize()}” is the measured demand under the tariff; “{words.own}” is each
        prosumer’s own optimum, computed in hindsight from load and irradiance as they came; “{words.difference}” (16)
        is how much more the first costs, with what converters lose and batteries wear. Of it, “stored” is what the
        battery holds more at the end than in the own optimum, at the mean tariff of the day (much, where a run ends
        before the day does). “Promised” is what the day-ahead plan announced for the same time, which kept its
        margins and knew only forecasts. Negative amounts are earned. Counterpart of table 3 of the paper."""
    title = "What the day cost" if record.summary.coordinated else "What the day cost, nobody coordinating"
    return chapter(title, tables.settlement_table(record), note(text), key=COSTS)


def _violations(record: LoopRecord) -> Markup:
    text = """Of the worst 10-min mean of each event: the voltage that the plan expected (its limit less the margin,
        where the plan was at the limit), how far the supply voltage had moved since the plan was made, what prosumers
        drew otherwise than planned, and the rest, that of model and meters; the four add up to the mean. The plan
        takes the supply voltage for its mean of the last ten minutes."""
    reading = [note(text)] if record.summary.events else []
    content = (event_table(record), *reading, node_table(record), quantity_table(record))
    return chapter("What left its limits, when and why", *content)


def _day(record: LoopRecord) -> Markup:
    text = f"""The price is the marginal one of the plan in force. {price_of_a_kwh(record.summary.scenario)} A lower one
        asks for consumption against high voltages. What irradiance offered and no plan let through is shaded. A node
        has the colour of its prosumer. Counterpart of figure 8 of the paper."""
    participants = record.participants
    if participants.too_many_prosumers:
        everybody, shown = len(participants.prosumers), len(participants.shown)
        text += f" Of {everybody} prosumers the {shown} that coordination moved most are drawn."
    return figure_chapter("The run", day_figure(record), "run", text)


def _voltages(record: LoopRecord) -> Markup:
    text = """Above, what is judged: means of ten minutes, with the supply dotted. Below, the supply voltage and what
        the plan in force took it for; where it lies above the red line, all nodes lie above what was planned, by the
        same amount."""
    return figure_chapter("Voltages against their limits", voltage_figure(record), "voltages", text)


def _prosumers(record: LoopRecord) -> Markup:
    text = """Left, the demand that the plan wants of the node (light grey), the setpoint that passed the safety gate
        (dark grey) and what was measured (colour): grey shows only where they differ. Right, what the converter
        reproduces: load, PV after curtailment, and the battery that makes up the rest. Where a battery is at its limit
        the target is not met."""
    figure = figure_element(prosumers_figure(record), "prosumers", "Every prosumer: asked and done")
    content = (figure, tag("p", text, class_="reading"), tables.following_table(record))
    return chapter("Every prosumer: asked and done", *content)


def _converters(record: LoopRecord, samples: ConverterSamples) -> Markup:
    text = """The power of these prosumers is spread over their converters in every cycle, by what each can do and by
        preference. Grey is what a converter was sent, coloured what it has drawn: where the colour is missing it did
        not answer, and the others carry what they can."""
    figure = figure_element(converters_figure(record, samples), "converters", "Several converters: sent and drawn")
    table = tables.converters_table(record.summary.scenario.teams, samples)
    return chapter("Several converters", figure, tag("p", text, class_="reading"), table)


def _exchange(record: LoopRecord) -> Markup:
    text = """Above zero is drawn from the upper grid. Reactive power is free under the tariff and the first means
        against a voltage, as far as converters and the power factor at the upper grid allow. A line has the colour of
        the node that it leads to."""
    return figure_chapter("Upper grid, reactive power, lines", exchange_figure(record), "exchange", text)


def _mpc(record: LoopRecord) -> Markup:
    text = """One point per run, at the time at which it began; axes are logarithmic, ▽ marks zeros and hollow points a
        negative gap (limits are left). A run that does not converge within its budget leaves the better of its own and
        the running plan in force; in the paper such a cycle was more conservative than needed until the next one. """
    return figure_chapter("The MPC", mpc_figure(record), "mpc", text + not_converged(record))


def not_converged(record: LoopRecord) -> str:
    """A sentence that lists the runs that did not converge."""
    mpc = record.recording.mpc
    others = mpc[mpc["status"] != CoordinationStatus.CONVERGED]
    if others.empty:
        return "All runs converged."
    times = pd.DatetimeIndex(others["time"]).to_pydatetime()
    runs = list(zip(times, others["status"], strict=True))[:LISTED]
    named = [f"{tables.local(time, record.axis.timezone)} ({status})" for time, status in runs]
    more = f" and {len(others) - LISTED} more" if len(others) > LISTED else ""
    return f"Not converged: {', '.join(named)}{more}."


def _cycles(record: LoopRecord, cycle_ms: pd.Series) -> Markup:
    text = """Wall clock from the first read to the last record of each 30 s cycle, all devices over their sockets."""
    return figure_chapter("The 30 s cycles", cycles_figure(record, cycle_ms), "cycles", text)


def _balances(record: LoopRecord) -> Markup:
    text = """A battery exists only in the controller’s accounts, which integrate measured power. True is what load and
        PV in force left over from what the node really drew; the difference is relative to charged plus discharged
        energy."""
    return chapter("Energy balance of the batteries", tables.balance_table(record), note(text))


def _counterparts(record: LoopRecord, key: str) -> dict[str, str]:
    """Ids of the chapters on the day-ahead plan, by figure of the paper."""
    found = {"figure 4" if record.summary.coordinated else "figure 3": key}
    return found | ({} if record.day_ahead.iterations is None else {"figure 5": f"{key}-convergence"})


def _day_ahead(record: LoopRecord, beside: LoopRecord, participants: Participants, key: str) -> Iterator[Markup]:
    """The initial plan, on one scale with that of ``beside``, and its coordination."""
    ours, summary = record.day_ahead, record.summary
    plans, v_pu = zip(*((each.plan, each.v_pu) for each in (ours, beside.day_ahead)), strict=True)
    drawing = Drawing(participants, ours.axis, plans, tuple(voltages for voltages in v_pu if voltages is not None))
    figure = plan_figure(drawing, ours.plan, ours.v_pu, summary.coordinated)
    title = "The day-ahead plan" if summary.coordinated else "The day-ahead plan without coordination"
    yield figure_chapter(title, figure, key, _plan_reading(record))
    if ours.iterations is not None:
        yield convergence(summary.scenario, ours.iterations, f"{key}-convergence", CONVERGED)


def _plan_reading(record: LoopRecord) -> str:
    summary, ac = record.summary, record.summary.ac
    text = f""" Of the whole day, from forecasts, made the evening before. By the AC power flow it expects voltages of
        {number(ac.v_min_pu, 4)} … {number(ac.v_max_pu, 4)} p.u."""
    if not summary.coordinated:
        return selfish(summary.scenario) + text + " Counterpart of figure 3 of the paper."
    gap = "none" if summary.gap_rel is None else percent(summary.gap_rel)
    ended = f" The coordination ended after {summary.iterations} rounds ({summary.status}), certified gap {gap}."
    return coordinated(summary.scenario) + text + ended + " Counterpart of figure 4 of the paper."


def _origin(record: LoopRecord, other: LoopRecord | None) -> Markup:
    summary = record.summary
    more = {"margin to the limits": str(summary.margin)}
    if other is not None:
        more["the other run"] = f"SHA-256 {other.summary.config_sha256}: {_command(other)}"
    computed = f"{summary.created_at.isoformat()}, in {summary.wall_s:.1f} s"
    return origin(_command(record), facts(summary, computed) | more)


def _command(record: LoopRecord) -> str:
    summary, zone = record.summary, record.axis.timezone
    begin, last = tables.local(summary.start, zone), end(summary, zone)
    window = [] if (begin, last) == ("00:00", "24:00") else ["--start", begin, "--end", last]
    kind = [] if summary.coordinated else ["--uncoordinated"]
    words = [*window, *kind, "--margin", str(summary.margin), "--seed", str(summary.seed)]
    return " ".join(["gridlab", summary.command, quote(summary.config), *words])
