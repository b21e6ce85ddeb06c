"""The header of the report of a closed loop: the run, the verdict of its checks, and its key figures."""

from zoneinfo import ZoneInfo

from controller.report.loop.checks import Check, checks
from controller.report.loop.key_figures import counted, durations, quality, reached, supply_tile
from controller.report.loop.record import LoopRecord
from controller.report.loop.summary import LoopSummary
from controller.report.loop.tables import local
from controller.report.primitives.amounts import number
from controller.report.primitives.markup import Markup, tag
from controller.report.primitives.page import banner, masthead, tile
from controller.runs.words import account_words


def header(record: LoopRecord) -> Markup:
    """Title, verdict and key figures."""
    summary, zone = record.summary, record.axis.timezone
    day = summary.start.astimezone(ZoneInfo(zone))
    facts = (
        f"{day:%A} {day.day} {day:%B %Y}, {local(summary.start, zone)}–{end(summary, zone)} {zone}, "
        f"{summary.realtime.cycles} cycles; {len(summary.cost_chf)} prosumers, "
        f"{len(record.recording.v_pu.columns)} nodes; {summary.kind}"
    )
    words = _verdict(record), *_interrupted(summary)
    return masthead(summary.command, summary.name, facts, *words, tiles=_tiles(summary))


def end(summary: LoopSummary, timezone: str) -> str:
    """HH:MM at which the run ends; midnight is 24:00."""
    last = local(summary.end, timezone)
    return "24:00" if last == "00:00" else last


def _verdict(record: LoopRecord) -> Markup:
    summary, found = record.summary, checks(record)
    broken, unknown = ([check for check in found if check.held is held] for held in (False, None))
    words = quality(summary)
    if unsafe := [check for check in broken if check.safety]:
        return banner("bad", "Not safe", "Equipment was not kept within its limits:", _listed(unsafe))
    if not summary.coordinated:
        return banner("warn", "Not coordinated", f"Every prosumer follows the tariff alone: the baseline. {words}")
    if broken:
        return banner("warn", "Not everything was held", words, _listed(broken))
    if unknown:
        text = f"Everything that was measured was held. {words} Not measured:"
        return banner("warn", "Not everything was measured", text, tag("ul", *(tag("li", c.what) for c in unknown)))
    return banner("good", "Everything was held", words)


def _listed(broken: list[Check]) -> Markup:
    return tag("ul", *(tag("li", f"{check.what}: {check.found}, allowed {check.allowed}") for check in broken))


def _interrupted(summary: LoopSummary) -> list[Markup]:
    text = "It was stopped before its end; what follows is about the time until then."
    return [banner("warn", "Interrupted", text)] if summary.interrupted else []


def _tiles(summary: LoopSummary) -> list[Markup]:
    scenario, measured, cost = summary.scenario, summary.measured, summary.total_cost_chf
    available_kwh = sum(account.available_kwh for account in summary.settlement.values())
    words = account_words(coordinated=summary.coordinated)
    own = f"{words.own} {number(cost.uncoordinated, 2)}, {words.difference} {number(summary.compensation_chf, 3)}"
    return [
        tile("Measured voltages, p.u.", reached(measured), f"limits {scenario.v_min_pu:g} … {scenario.v_max_pu:g}"),
        tile("10-min mean voltages outside", counted(measured), _beside(summary)),
        *supply_tile(summary, summary.baseline.supply if summary.coordinated and summary.baseline else None),
        tile("Cost", f"{number(cost.coordinated, 2)} {scenario.currency}", own),
        tile(
            "PV curtailed",
            f"{number(sum(summary.curtailed_kwh.values()), 2)} kWh",
            f"of {number(available_kwh, 1)} kWh",
        ),
        *durations(summary),
    ]


def _beside(summary: LoopSummary) -> str:
    measured, samples = summary.measured, f"30 s samples: {summary.measured.outside} of {summary.measured.samples}"
    if summary.coordinated and summary.baseline:
        return f"without coordination: {counted(summary.baseline.measured)}; {samples}"
    return f"intervals with any: {measured.any_node_10min}; {samples}"
