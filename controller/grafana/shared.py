"""Panels, queries and units that several dashboards use."""

from controller.grafana.influxql import Query, in_range, increase, last, mean, over_time, points, rows_of, text, value
from controller.grafana.panels import Chart, Number, TablePanel
from controller.grafana.style import BAD, SEVERITIES, WARN, prosumer_series
from controller.live.site import PageSite

PU, KW, KVAR, AMPERE = "suffix: p.u.", "suffix: kW", "suffix: kvar", "suffix: A"
PLAN_LATE_S, PLAN_AGE_S = 11 * 60.0, 12 * 60.0
"""A plan is computed every ten minutes, takes up to a minute, and is in force from the next cycle on."""


def money(site: PageSite) -> str:
    """Unit of amounts."""
    return f"suffix: {site.currency}"


def per_kwh(site: PageSite) -> str:
    """Unit of prices."""
    return f"suffix: {site.currency}/kWh"


def slack_excluded(site: PageSite) -> str:
    """Condition that excludes the slack: its voltage is given, and no limit applies to it."""
    return f'"node" != {text(site.slack)}'


def figure(title: str, description: str, unit: str, query: Query, decimals: int) -> Number:
    """A current number with a fixed number of decimals."""
    return Number(title, description, unit, query).decimals(decimals)


def growth(title: str, description: str, counter: str, colour: str) -> Number:
    """Increase of a counter of the service in the chosen range."""
    return Number(title, description, "none", Query(increase("service", counter)), now=False).alarming((1, colour))


def voltage_limits() -> Query:
    """Lower and upper limit over time."""
    return Query(over_time("limits", {"lower limit": mean("v_min_pu"), "upper limit": mean("v_max_pu")}))


def slack_p() -> Chart:
    """Power drawn from the upper grid."""
    return _slack("Power at the upper grid", "P", "slack_p_kw", "slack_p_max_kw", KW)


def slack_q() -> Chart:
    """Reactive power drawn from the upper grid."""
    return _slack("Reactive power at the upper grid", "Q", "slack_q_kvar", "slack_q_max_kvar", KVAR)


def plan_age_now() -> Number:
    """Age of the current plan."""
    query = Query(in_range("service", {"plan age": last("plan_age_s")}))
    description = "Age of the current plan; a new one is due every ten minutes."
    return Number("Plan age", description, "s", query).alarming((PLAN_LATE_S, WARN), (PLAN_AGE_S, BAD))


def costs(site: PageSite) -> Chart:
    """Cost of each prosumer's day so far."""
    return by_prosumer(
        site,
        "Cost since midnight",
        "Cost of the measured energy at the tariff since local midnight; negative: earned.",
        money(site),
        over_time("price", {"cost": last("cost_chf")}, by="prosumer"),
    )


def by_prosumer(site: PageSite, title: str, description: str, unit: str, query: str, *others: Query) -> Chart:
    """One series per prosumer, in its colour."""
    queries = Query(query, alias="$tag_prosumer"), *others
    return Chart(title, description, unit, *queries).series(prosumer_series(site))


def active_alarms() -> TablePanel:
    """Alarms that are active by their last point."""
    shown = {name: value(name) for name in ("severity", "text")}
    last_points = rows_of(in_range("alarm", {"standing": last("standing"), **shown}, by="alarm"))
    query = Query(points(last_points, {"alarm": value("alarm"), **shown}, where='"standing" = 1'), table=True)
    description = "Active in the last two minutes, or at the end of a past range."
    table = TablePanel("Alarms that stand", description, query, words={"severity": SEVERITIES}).no_value("none")
    return table.time_from("2m").hide_time_override(True)


def _slack(title: str, letter: str, field: str, limit: str, unit: str) -> Chart:
    limits = {"lower limit": f"{mean(limit)} * -1", "upper limit": mean(limit)}
    drawn = Query(over_time("service", {letter: mean(field)}))
    description = "Positive: drawn from the upper grid; negative: fed into it."
    return Chart(title, description, unit, drawn, Query(over_time("limits", limits))).colours({letter: "text"})
