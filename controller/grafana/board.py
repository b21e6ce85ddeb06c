"""A dashboard of sections, with the settings that all dashboards share: range, refresh, links to the others."""

from dataclasses import dataclass

from controller.grafana.panels import Panel
from controller.grafana.sdk import Builder, build, model

TAG = "gridlab"
REFRESH = "30s"


@dataclass(frozen=True)
class BoardSection:
    """Panels under a heading, placed from left to right and from top to bottom."""

    title: str
    panels: tuple[Panel, ...]


def board(
    slug: str,
    title: str,
    description: str,
    *sections: BoardSection,
    variable: Builder[model.VariableModel] | None = None,
) -> model.Dashboard:
    """A dashboard; ``slug`` is its file name and the end of its address."""
    dashboard = (
        build.Dashboard(f"gridlab · {title}")
        .uid(f"{TAG}-{slug}")
        .description(description)
        .tags([TAG])
        .time("now-24h", "now")
        .refresh(REFRESH)
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_links())
    )
    if variable:
        dashboard.with_variable(variable)
    for section in sections:
        dashboard.with_row(build.Row(section.title))
        for panel in section.panels:
            dashboard.with_panel(panel)
    return _numbered(dashboard.build())


def _links() -> build.DashboardLink:
    link = build.DashboardLink(TAG).type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).icon("external link")
    return link.as_dropdown(False).include_vars(True).keep_time(True).target_blank(False).tooltip("")


def _numbered(dashboard: model.Dashboard) -> model.Dashboard:
    for number, panel in enumerate(dashboard.panels or (), 1):
        panel.id_val = number
    return dashboard
