"""The header of the report of a closed loop: the run, the verdict of its checks, and its key figures."""

from zoneinfo import ZoneInfo

from controller.report.loop.checks import Check, checks
from controller.report.loop.record import LoopRecord
from controller.report.loop.summary import LoopSummary
from controller.report.loop.tables import local
from controller.report.primitives.amounts import UNKNOWN, magnitude, number, percent
from controller.report.primitives.markup import Markup, tag
from controller.report.primitives.page import banner, masthead, tile


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
    summary, broken = record.summary, [check for check in checks(record) if not check.held]
    measured = summary.measured
    share = percent(measured.outside_10min / measured.means_10min) if measured.means_10min else "none"
    quality = (
        f"{share} of the 10-min mean voltages lie outside the limits, the worst by "
        f"{magnitude(measured.worst_mean_pu)} p.u.; single samples by at most {magnitude(measured.worst_pu)} p.u."
    )
    if unsafe := [check for check in broken if check.safety]:
        return banner("bad", "Not safe", "Equipment was not kept within its limits:", _listed(unsafe))
    if not summary.coordinated:
        return banner("warn", "Not coordinated", f"Every prosumer follows the tariff alone: the baseline. {quality}")
    if broken:
        return banner("warn", "Not everything was held", quality, _listed(broken))
    return banner("good", "Everything was held", quality)


def _listed(broken: list[Check]) -> Markup:
    return tag("ul", *(tag("li", f"{check.what}: {check.found}, allowed {check.allowed}") for check in broken))


def _interrupted(summary: LoopSummary) -> list[Markup]:
    text = "It was stopped before its end; what follows is about the time until then."
    return [banner("warn", "Interrupted", text)] if summary.interrupted else []


def _tiles(summary: LoopSummary) -> list[Markup]:
    scenario, measured, cost = summary.scenario, summary.measured, summary.total_cost_chf
    low, high = measured.v_min_pu, measured.v_max_pu
    reached = "nothing measured" if low is None or high is None else f"{low:.4f} … {high:.4f}"
    available_kwh = sum(account.available_kwh for account in summary.settlement.values())
    own = f"own optimum {number(cost.uncoordinated, 2)}, difference {number(cost.difference, 3)}"
    outside = f"intervals with any: {measured.any_node_10min}; samples: {measured.outside} of {measured.samples}"
    return [
        tile("Real cost", f"{number(cost.coordinated, 2)} {scenario.currency}", own),
        tile("Measured voltages, p.u.", reached, f"limits {scenario.v_min_pu:g} … {scenario.v_max_pu:g}"),
        tile("10-min means outside", f"{measured.outside_10min} of {measured.means_10min}", outside),
        tile(
            "PV curtailed",
            f"{number(sum(summary.curtailed_kwh.values()), 2)} kWh",
            f"of {number(available_kwh, 1)} kWh",
        ),
        *_durations(summary),
    ]


def _durations(summary: LoopSummary) -> list[Markup]:
    mpc, realtime = summary.mpc, summary.realtime
    times = f"median {_ms(realtime.p50_ms)}, longest {_ms(realtime.max_ms)}; {realtime.missed} missed"
    tiles = [tile("Cycle, 99 %", _ms(realtime.p99_ms), times)]
    if summary.coordinated and mpc.runs:
        times = f"median {_ms(mpc.p50_ms)}, 95 % {_ms(mpc.p95_ms)}, longest {_ms(mpc.max_ms)}"
        tiles.insert(0, tile("MPC runs converged", f"{mpc.converged} of {mpc.runs}", times))
    return tiles


def _ms(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{number(value / 1e3, 2)} s" if value >= 1e3 else f"{number(value, 0 if value >= 10 else 1)} ms"
