"""A dashboard of sections, with what all dashboards share: range, refresh, links to the others."""

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
    slug: str, title: str, says: str, *sections: BoardSection, variable: Builder[model.VariableModel] | None = None
) -> model.Dashboard:
    """A dashboard; ``slug`` is the name of its file and the end of its address."""
    made = (
        build.Dashboard(f"gridlab · {title}")
        .uid(f"{TAG}-{slug}")
        .description(says)
        .tags([TAG])
        .time("now-24h", "now")
        .refresh(REFRESH)
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_to_the_others())
    )
    if variable:
        made.with_variable(variable)
    for section in sections:
        made.with_row(build.Row(section.title))
        for panel in section.panels:
            made.with_panel(panel)
    return _numbered(made.build())


def _to_the_others() -> build.DashboardLink:
    link = build.DashboardLink(TAG).type(model.DashboardLinkType.DASHBOARDS).tags([TAG]).icon("external link")
    return link.as_dropdown(False).include_vars(True).keep_time(True).target_blank(False).tooltip("")


def _numbered(made: model.Dashboard) -> model.Dashboard:
    for number, panel in enumerate(made.panels or (), 1):
        panel.id_val = number
    return made
