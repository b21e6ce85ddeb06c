"""Panels, queries and units that several dashboards show."""

from controller.grafana.influxql import Query, in_range, increase, last, mean, over_time, points, rows_of, text, value
from controller.grafana.panels import Chart, Number, TablePanel
from controller.grafana.style import BAD, SEVERITIES, WARN, prosumer_series
from controller.live.site import PageSite

PU, KW, KVAR, AMPERE = "suffix: p.u.", "suffix: kW", "suffix: kvar", "suffix: A"
PLAN_LATE_S, PLAN_AGE_S = 11 * 60.0, 12 * 60.0
"""A plan is made every ten minutes, takes up to a minute, and is in force from the next cycle on."""


def money(site: PageSite) -> str:
    """Unit of amounts."""
    return f"suffix: {site.currency}"


def per_kwh(site: PageSite) -> str:
    """Unit of prices."""
    return f"suffix: {site.currency}/kWh"


def but_slack(site: PageSite) -> str:
    """A condition: no limit applies to the voltage of the slack, it is given."""
    return f'"node" != {text(site.slack)}'


def figure(title: str, says: str, unit: str, query: Query, decimals: int) -> Number:
    """A number of now with a fixed number of decimals."""
    return Number(title, says, unit, query).decimals(decimals)


def growth(title: str, says: str, counter: str, colour: str) -> Number:
    """How much a counter of the service grew in the chosen range."""
    return Number(title, says, "none", Query(increase("service", counter)), now=False).alarming((1, colour))


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
    """Age of the plan in force."""
    query = Query(in_range("service", {"plan age": last("plan_age_s")}))
    says = "Since the plan in force was made; a new one is due every ten minutes."
    return Number("Plan age", says, "s", query).alarming((PLAN_LATE_S, WARN), (PLAN_AGE_S, BAD))


def costs(site: PageSite) -> Chart:
    """What each prosumer's day has cost so far."""
    return by_prosumer(
        site,
        "Cost since midnight",
        "What the measured energy has cost by the tariff since local midnight; negative: earned.",
        money(site),
        over_time("price", {"cost": last("cost_chf")}, by="prosumer"),
    )


def by_prosumer(site: PageSite, title: str, says: str, unit: str, each: str, *others: Query) -> Chart:
    """One series per prosumer, in its colour."""
    queries = Query(each, alias="$tag_prosumer"), *others
    return Chart(title, says, unit, *queries).series(prosumer_series(site))


def standing_alarms() -> TablePanel:
    """Alarms whose last point says that they stand."""
    shown = {name: value(name) for name in ("severity", "text")}
    each = rows_of(in_range("alarm", {"standing": last("standing"), **shown}, by="alarm"))
    query = Query(points(each, {"alarm": value("alarm"), **shown}, where='"standing" = 1'), table=True)
    says = "Of the last two minutes; of a range that has ended, at its end."
    table = TablePanel("Alarms that stand", says, query, words={"severity": SEVERITIES}).no_value("none")
    return table.time_from("2m").hide_time_override(True)


def _slack(title: str, letter: str, field: str, limit: str, unit: str) -> Chart:
    limits = {"lower limit": f"{mean(limit)} * -1", "upper limit": mean(limit)}
    drawn = Query(over_time("service", {letter: mean(field)}))
    says = "Positive: drawn from the upper grid; negative: fed into it."
    return Chart(title, says, unit, drawn, Query(over_time("limits", limits))).colours({letter: "text"})
