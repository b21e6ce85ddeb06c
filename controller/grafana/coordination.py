"""Dashboard *Coordination*: did the MPC's runs converge, how well, how fast."""

from collections.abc import Mapping

from controller.grafana import shared
from controller.grafana.board import BoardSection, board
from controller.grafana.influxql import Query, in_range, last, mean, over_time, points, value
from controller.grafana.panels import Chart, Number, States
from controller.grafana.sdk import common, model
from controller.grafana.style import BAD, NOTE, STATUSES, WARN
from controller.live.site import PageSite


def coordination(site: PageSite) -> model.Dashboard:
    """The dashboard."""
    return board(
        "coordination",
        "Coordination",
        "Runs of the MPC: residuals, certified gap, violation, iterations and time against its budget.",
        BoardSection("Last run", _last_run(site)),
        BoardSection("Quality", (_residuals(), _gap(site), _violation(site), _status())),
        BoardSection("Effort", (_iterations(), _wall_time(), _plan_age())),
    )


def _last_run(site: PageSite) -> tuple[Number, ...]:
    def of(field: str) -> Query:
        return Query(in_range("mpc", {field: last(field)}))

    def number(title: str, says: str, unit: str, field: str) -> Number:
        return Number(title, says, unit, of(field), now=False)

    return (
        number("Status", "Of the last run.", "string", "status").words(STATUSES),
        number("Gap", f"Certified; {site.gap_tol:g} is asked for.", "sci", "gap_rel").alarming((site.gap_tol, WARN)),
        number("Violation", f"{site.v_tol_pu:g} p.u. is asked for.", "sci", "violation_pu").alarming(
            (site.v_tol_pu, WARN)
        ),
        number("Iterations", "Rounds of messages.", "none", "iterations"),
        number("Wall time", "Of the last run.", "ms", "wall_ms").alarming((site.mpc_budget_ms, BAD)),
        shared.plan_age_now(),
    )


def _runs(title: str, says: str, unit: str, fields: Mapping[str, str], width: int = 12) -> Chart:
    columns = {name: value(field) for name, field in fields.items()}
    return Chart(title, says, unit, Query(points("mpc", columns)), width=width).runs()


def _residuals() -> Chart:
    says = "Of the last iteration of each run; both go to zero as the prosumers agree with the grid operator."
    chart = _runs("Residuals", says, "sci", {"primal": "primal", "dual": "dual"})
    return chart.logarithmic().colours({"primal": NOTE, "dual": WARN})


def _gap(site: PageSite) -> Chart:
    says = f"Certified distance from the optimum; {site.gap_tol:g} is asked for."
    chart = _runs("Gap", says, "sci", {"gap": "gap_rel"})
    return chart.logarithmic().limit(site.gap_tol, BAD).colours({"gap": "text"})


def _violation(site: PageSite) -> Chart:
    says = f"Worst violation of a limit by the AC power flow of the plan; {site.v_tol_pu:g} p.u. is asked for."
    chart = _runs("Violation", says, "sci", {"violation": "violation_pu"})
    return chart.logarithmic().limit(site.v_tol_pu, BAD).colours({"violation": "text"})


def _status() -> States:
    says = "Converged, out of budget, out of iterations, infeasible."
    return States("Status", says, STATUSES, Query(points("mpc", {"status": value("status")})))


def _iterations() -> Chart:
    chart = _runs("Iterations", "Rounds of messages of each run.", "none", {"iterations": "iterations"}, width=8)
    return chart.colours({"iterations": NOTE}).draw_style(common.GraphDrawStyle.BARS).fill_opacity(60).min(0)


def _wall_time() -> Chart:
    fields = {"wall time": "wall_ms", "budget": "budget_ms"}
    chart = _runs("Wall time", "Of each run, against what it may take.", "ms", fields, width=8)
    return chart.colours({"wall time": "text"}).min(0)


def _plan_age() -> Chart:
    query = Query(over_time("service", {"plan age": mean("plan_age_s")}))
    chart = Chart("Plan age over time", "Of the plan in force; beyond 12 min an alert.", "s", query, width=8)
    return chart.limit(shared.PLAN_AGE_S, BAD).colours({"plan age": "text"}).min(0)
