"""Dashboard *Grid*: every voltage and current with its limit, and the power at the upper grid."""

from controller.grafana import shared
from controller.grafana.board import BoardSection, board
from controller.grafana.influxql import Query, in_range, last, least, mean, most, over_time, points, rows_of, value
from controller.grafana.panels import HEIGHT, Chart, TablePanel
from controller.grafana.sdk import model
from controller.grafana.style import BAD, node_series
from controller.live.site import PageSite


def grid(site: PageSite) -> model.Dashboard:
    """Build the dashboard."""
    return board(
        "grid",
        "Grid",
        "Voltages of all nodes, currents of all lines and the power at the upper grid, against their limits.",
        BoardSection("Voltages", (_voltages(site), _beyond(site), _nodes())),
        BoardSection("Currents", (_currents(), _loading())),
        BoardSection("Upper grid", (shared.slack_p(), shared.slack_q())),
    )


def _voltages(site: PageSite) -> Chart:
    chart = Chart(
        "Voltages",
        "Voltage of every node; a node with a prosumer has its colour. The limits do not apply to the slack.",
        shared.PU,
        Query(over_time("node", {"v": mean("v_pu")}, by="node"), alias="$tag_node"),
        shared.voltage_limits(),
        width=24,
    )
    return chart.series(node_series(site)).decimals(4).height(HEIGHT + 4)


def _beyond(site: PageSite) -> Chart:
    description = f"Excess of the worst voltage over its limit. The coordination tolerates {site.v_tol_pu:g} p.u."
    query = Query(over_time("service", {"beyond": most("violation_pu")}))
    chart = Chart("Voltage beyond its limit", description, shared.PU, query).colours({"beyond": BAD})
    return chart.limit(site.v_tol_pu, BAD).min(0).decimals(4).fill_opacity(20)


def _nodes() -> TablePanel:
    columns = {"lowest": least("v_pu"), "mean": mean("v_pu"), "highest": most("v_pu"), "last": last("v_pu")}
    query = Query(in_range("node", columns, by="node"), table=True)
    description = "Voltage of every node in the chosen range."
    return TablePanel("Nodes", description, query, units=dict.fromkeys(columns, shared.PU)).decimals(4).without("Time")


def _currents() -> Chart:
    return Chart(
        "Currents",
        "Current at the end of each line that is nearer to the upper grid.",
        shared.AMPERE,
        Query(over_time("line", {"i": most("i_a")}, by="line"), alias="$tag_line"),
    ).min(0)


def _loading() -> Chart:
    loading = rows_of(points("line", {"loading": f"{value('i_a')} / {value('i_max_a')}"}))
    chart = Chart(
        "Loading of the lines",
        "Current as a share of the line's limit; only lines with a limit.",
        "percentunit",
        Query(over_time(loading, {"loading": most("loading")}, by="line"), alias="$tag_line"),
    )
    return chart.limit(1, BAD).min(0).no_value("no line has a limit")
