"""The page of a span of a service: its header and its chapters, with the figures of a closed loop."""

from collections.abc import Iterator
from zoneinfo import ZoneInfo

from controller.report.loop import tables as loop_tables
from controller.report.loop.figures import (
    cycles_figure,
    day_figure,
    exchange_figure,
    mpc_figure,
    prosumers_figure,
    voltage_figure,
)
from controller.report.loop.key_figures import counted, durations, quality, reached, supply_tile
from controller.report.loop.violations import node_table, quantity_table
from controller.report.primitives.amounts import NOT_MEASURED, number, percent
from controller.report.primitives.chapter import chapter, figure_chapter, figure_element, note, origin
from controller.report.primitives.guide import guide
from controller.report.primitives.markup import Markup, tag
from controller.report.primitives.page import banner, document, masthead, tile
from controller.report.primitives.times import moment
from controller.report.service import tables
from controller.report.service.checks import service_checks
from controller.report.service.record import ServiceRecord


def service_page(record: ServiceRecord) -> Markup:
    """The report of a span of a run of ``serve``."""
    summary = record.summary
    title = f"{summary.name}, {moment(summary.start, record.axis.timezone)}"
    return document(title, _header(record), *_chapters(record))


def _header(record: ServiceRecord) -> Markup:
    summary, zone = record.summary, record.axis.timezone
    modes = ", ".join(f"{mode} {percent(share)}" for mode, share in summary.modes.items())
    facts = (
        f"{moment(summary.start, zone)} – {moment(summary.end, zone)} {zone}, {summary.realtime.cycles} cycles; "
        f"{len(summary.accounts)} prosumers, {len(record.recording.v_pu.columns)} nodes; modes: {modes}"
    )
    return masthead(summary.command, summary.name, facts, _verdict(record), tiles=_tiles(record))


def _verdict(record: ServiceRecord) -> Markup:
    found = service_checks(record)
    broken, unknown = ([check for check in found if check.held is held] for held in (False, None))
    listed = [tag("li", f"{check.what}: {check.found}, allowed {check.allowed}") for check in broken]
    text = quality(record.summary)
    if any(check.safety for check in broken):
        return banner("bad", "Not safe", text, tag("ul", *listed))
    if broken:
        return banner("warn", "Not everything was held", text, tag("ul", *listed))
    if unknown:
        words = f"Everything that was measured was held. {text} Not measured:"
        names = tag("ul", *(tag("li", check.what) for check in unknown))
        return banner("warn", "Not everything was measured", words, names)
    return banner("good", "Everything was held", text)


def _tiles(record: ServiceRecord) -> list[Markup]:
    summary, measured = record.summary, record.summary.measured
    scenario, accounts = summary.scenario, summary.accounts.values()
    costs = [account.cost for account in accounts if account.cost is not None]
    samples = f"30 s samples: {measured.outside} of {measured.samples}"
    drawn, fed = (sum(getattr(account, name) for account in accounts) for name in ("imported_kwh", "exported_kwh"))
    return [
        tile("Measured voltages, p.u.", reached(measured), f"limits {scenario.v_min_pu:g} … {scenario.v_max_pu:g}"),
        tile("10-min mean voltages outside", counted(measured), samples),
        *supply_tile(summary),
        tile(
            "Cost, measured",
            f"{number(sum(costs), 2)} {scenario.currency}" if costs else NOT_MEASURED,
            f"drawn {number(drawn, 1)} kWh, fed in {number(fed, 1)} kWh",
        ),
        *durations(summary),
    ]


def _chapters(record: ServiceRecord) -> Iterator[Markup]:
    yield _checks(record)
    yield _accounts(record)
    yield chapter("What left its limits", node_table(record), quantity_table(record))
    yield chapter("Alarms", tables.alarm_table(record))
    yield _run(record)
    yield _voltages(record)
    yield _prosumers(record)
    yield figure_chapter("Upper grid, reactive power, lines", exchange_figure(record), "exchange", EXCHANGE)
    if len(record.recording.mpc):
        yield figure_chapter("The MPC", mpc_figure(record), "mpc", MPC)
    if record.cycle_ms is not None and record.cycle_ms.notna().any():
        yield figure_chapter("The 30 s cycles", cycles_figure(record, record.cycle_ms), "cycles", CYCLES)
    yield chapter("Commands and writes", tables.note_table(record), tables.write_table(record), note(AUDIT))
    yield chapter("The figures of the paper", *guide({"figure 8": "run", "table 3": "costs"}, record.summary.config))
    yield _origin(record)


EXCHANGE = """Above zero is drawn from the upper grid. A line has the colour of the node that it leads to."""
MPC = """One point per run, at the time at which it began; axes are logarithmic, ▽ marks zeros and hollow points a
    negative gap."""
CYCLES = "Wall clock from the first read to the last record of each 30 s cycle."
AUDIT = """From the audit trail, which `gridlab audit` verifies: every attempt is written down before it is made, and
    its outcome after the read-back."""


def _checks(record: ServiceRecord) -> Markup:
    text = """Counted are pairs of a node (without the slack) and a 30 s sample, or a node and a 10-min mean, against
        the limits of the configuration without any margin. What no meter has measured is not counted, and what nobody
        could measure is not called held."""
    return chapter("What it had to show", loop_tables.check_table(service_checks(record)), note(text))


def _accounts(record: ServiceRecord) -> Markup:
    text = """The cost is that of the measured demand under the tariff. What the span would have cost without
        coordination, nobody can measure; promised is the compensation that the plan in force at its beginning expected
        for the rest of its day. Negative costs are earned. Counterpart of table 3 of the paper, as far as real time
        can have one."""
    return chapter("What it cost", tables.account_table(record), note(text), key="costs")


def _run(record: ServiceRecord) -> Markup:
    selling = ""
    if record.summary.scenario.feed_in:
        selling = """ It is that of buying; that of selling is lower by the difference of tariff and feed-in."""
    text = f"""The price is the marginal one of the plan in force.{selling} Batteries and PV are as commanded, voltages
        as measured. What irradiance offered beyond that, nobody measures. A node has the colour of its prosumer.
        Counterpart of figure 8 of the paper."""
    return figure_chapter("The run", day_figure(record), "run", text)


def _voltages(record: ServiceRecord) -> Markup:
    text = """Above, what is judged: means of ten minutes. Below, the supply voltage and what the plan in force took it
        for."""
    return figure_chapter("Voltages against their limits", voltage_figure(record), "voltages", text)


def _prosumers(record: ServiceRecord) -> Markup:
    title = "Every prosumer: asked and done"
    text = """Left, the demand that the plan wants of the node (light grey), the setpoint that passed the safety gate
        (dark grey) and what was measured (colour). Right, what the converter reproduces: load, PV and battery. The
        reasons counted in the table are those of the audit trail."""
    figure = figure_element(prosumers_figure(record), "prosumers", title)
    return chapter(title, figure, tag("p", text, class_="reading"), loop_tables.following_table(record))


def _origin(record: ServiceRecord) -> Markup:
    summary, zone = record.summary, record.axis.timezone
    given = {
        "configuration": f"SHA-256 {summary.config_sha256} of the configuration file, {summary.config}",
        "version": f"gridlab {summary.version}",
        "sources": f"{summary.scenario.telemetry} and the audit trail of the run",
    }
    begin, end = (each.astimezone(ZoneInfo(zone)).isoformat() for each in (summary.start, summary.end))
    return origin(f"gridlab report RUN --from {begin} --to {end}", given)
