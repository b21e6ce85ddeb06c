"""Dashboard *Coordination*: whether the MPC runs converge, how well, and how fast."""

from collections.abc import Mapping

from controller.grafana import shared
from controller.grafana.board import BoardSection, board
from controller.grafana.influxql import Query, in_range, last, mean, over_time, points, value
from controller.grafana.panels import Chart, Number, States
from controller.grafana.sdk import common, model
from controller.grafana.style import BAD, NOTE, STATUSES, WARN
from controller.live.site import PageSite


def coordination(site: PageSite) -> model.Dashboard:
    """Build the dashboard."""
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

    def number(title: str, description: str, unit: str, field: str) -> Number:
        return Number(title, description, unit, of(field), now=False)

    return (
        number("Status", "Status of the last run.", "string", "status").words(STATUSES),
        number("Gap", f"Certified relative gap of the last run; target {site.gap_tol:g}.", "sci", "gap_rel").alarming(
            (site.gap_tol, WARN)
        ),
        number(
            "Violation", f"Worst violation of a limit; target {site.v_tol_pu:g} p.u.", "sci", "violation_pu"
        ).alarming((site.v_tol_pu, WARN)),
        number("Iterations", "Rounds of messages of the last run.", "none", "iterations"),
        number("Wall time", "Duration of the last run.", "ms", "wall_ms").alarming((site.mpc_budget_ms, BAD)),
        shared.plan_age_now(),
    )


def _runs(title: str, description: str, unit: str, fields: Mapping[str, str], width: int = 12) -> Chart:
    columns = {name: value(field) for name, field in fields.items()}
    return Chart(title, description, unit, Query(points("mpc", columns)), width=width).runs()


def _residuals() -> Chart:
    description = (
        "Residuals of the last iteration of each run; both go to zero as the prosumers agree with the grid operator."
    )
    chart = _runs("Residuals", description, "sci", {"primal": "primal", "dual": "dual"})
    return chart.logarithmic().colours({"primal": NOTE, "dual": WARN})


def _gap(site: PageSite) -> Chart:
    description = f"Certified distance from the optimum; target {site.gap_tol:g}."
    chart = _runs("Gap", description, "sci", {"gap": "gap_rel"})
    return chart.logarithmic().limit(site.gap_tol, BAD).colours({"gap": "text"})


def _violation(site: PageSite) -> Chart:
    description = f"Worst violation of a limit by the AC power flow of the plan; target {site.v_tol_pu:g} p.u."
    chart = _runs("Violation", description, "sci", {"violation": "violation_pu"})
    return chart.logarithmic().limit(site.v_tol_pu, BAD).colours({"violation": "text"})


def _status() -> States:
    description = "How each run ended: converged, out of budget, out of iterations, or infeasible."
    return States("Status", description, STATUSES, Query(points("mpc", {"status": value("status")})))


def _iterations() -> Chart:
    chart = _runs("Iterations", "Rounds of messages of each run.", "none", {"iterations": "iterations"}, width=8)
    return chart.colours({"iterations": NOTE}).draw_style(common.GraphDrawStyle.BARS).fill_opacity(60).min(0)


def _wall_time() -> Chart:
    fields = {"wall time": "wall_ms", "budget": "budget_ms"}
    chart = _runs("Wall time", "Duration of each run, and its budget.", "ms", fields, width=8)
    return chart.colours({"wall time": "text"}).min(0)


def _plan_age() -> Chart:
    query = Query(over_time("service", {"plan age": mean("plan_age_s")}))
    chart = Chart("Plan age over time", "Age of the current plan; an alert beyond 12 min.", "s", query, width=8)
    return chart.limit(shared.PLAN_AGE_S, BAD).colours({"plan age": "text"}).min(0)
