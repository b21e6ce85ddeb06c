"""Dashboard *Overview*: voltages and power within limits, control active, costs, alarms."""

from controller.grafana import shared
from controller.grafana.board import BoardSection, board
from controller.grafana.influxql import Query, in_range, last, least, most, over_time, rows_of
from controller.grafana.panels import Chart, Number, States
from controller.grafana.sdk import model
from controller.grafana.style import BAD, MODES, RUNGS, SEVERITIES, WARN
from controller.live.site import PageSite


def overview(site: PageSite) -> model.Dashboard:
    """Build the dashboard."""
    return board(
        "overview",
        "Overview",
        "Limits of the grid, mode of the control, costs and alarms.",
        BoardSection("Now", (*_control(), *_grid(site), *_batteries(site))),
        BoardSection("Limits", (_voltages(site), shared.slack_p())),
        BoardSection("Alarms and control", (shared.active_alarms(), _modes())),
        BoardSection("Costs and alarms", (shared.costs(site), _alarms())),
    )


def _control() -> tuple[Number, ...]:
    return (
        Number("Mode", "Mode of the service: OFF, MONITOR or ACTIVE.", "string", _now("mode")).words(MODES),
        Number("Last cycle", "When the last cycle was recorded.", "dateTimeFromNow", _now("cycle_ms")).since(),
        Number("Alarms", "Number of active alarms.", "none", _now("alarms")).alarming((1, BAD)),
        Number("Warnings", "Number of active warnings.", "none", _now("warnings")).alarming((1, WARN)),
        shared.plan_age_now(),
        shared.growth("Missed cycles", "Cycles missed in the chosen range.", "missed", WARN),
    )


def _grid(site: PageSite) -> tuple[Number, ...]:
    worst = f"Excess of the worst voltage over its limit. The coordination tolerates {site.v_tol_pu:g} p.u."
    every = "Extreme voltage of all nodes but the slack."
    return (
        shared.figure("Beyond the limit", worst, shared.PU, _now("violation_pu"), 4).alarming((site.v_tol_pu, BAD)),
        shared.figure("Highest voltage", every, shared.PU, _extreme(site, "max"), 4),
        shared.figure("Lowest voltage", every, shared.PU, _extreme(site, "min"), 4),
        shared.figure("Power drawn", "Power drawn from the upper grid.", shared.KW, _now("slack_p_kw"), 2),
    )


def _batteries(site: PageSite) -> tuple[Number, ...]:
    each = in_range("price", {"each": last("cost_chf")}, by="prosumer")
    cost = Query(in_range(rows_of(each), {"cost": 'sum("each")'}))
    cost_description = "Cost of the measured energy of all prosumers since local midnight."
    return (
        shared.figure("Cost today", cost_description, shared.money(site), cost, 2),
        shared.growth("Points lost", "Telemetry points of the chosen range that no database received.", "dropped", BAD),
    )


def _now(field: str) -> Query:
    return Query(in_range("service", {field: last(field)}))


def _extreme(site: PageSite, function: str) -> Query:
    each = in_range("node", {"each": last("v_pu")}, by="node", where=shared.slack_excluded(site))
    return Query(in_range(rows_of(each), {function: f'{function}("each")'}))


def _voltages(site: PageSite) -> Chart:
    extremes = {"highest": most("v_pu"), "lowest": least("v_pu")}
    chart = Chart(
        "Voltages against their limits",
        "The highest and the lowest voltage of all nodes but the slack.",
        shared.PU,
        Query(over_time("node", extremes, where=shared.slack_excluded(site))),
        shared.voltage_limits(),
    )
    return chart.colours({"highest": "text", "lowest": "text"}).decimals(4)


def _modes() -> States:
    return States(
        "Mode and rungs",
        "Mode of the service; rung of each prosumer: use (as planned), hold (the last setpoint), safe.",
        {**MODES, **RUNGS},
        Query(over_time("service", {"mode": last("mode")}), alias="service"),
        Query(over_time("prosumer", {"rung": last("rung")}, by="prosumer"), alias="$tag_prosumer"),
    )


def _alarms() -> Chart:
    columns = {"alarms": most("alarms"), "warnings": most("warnings")}
    chart = Chart(
        "Alarms that stood", "Number of active alarms and warnings.", "none", Query(over_time("service", columns))
    )
    return chart.colours({"alarms": SEVERITIES["alarm"], "warnings": SEVERITIES["warning"]}).stairs().min(0)
