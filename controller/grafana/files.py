"""The generated files under configs/grafana."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from controller.grafana.alerts import provisioning
from controller.grafana.coordination import coordination
from controller.grafana.devices import devices
from controller.grafana.grid import grid
from controller.grafana.overview import overview
from controller.grafana.prices import prices
from controller.grafana.prosumers import prosumers
from controller.grafana.sdk import JSONEncoder, model
from controller.live.site import PageSite

BOARDS: Mapping[str, Callable[[PageSite], model.Dashboard]] = {
    "overview": overview,
    "grid": grid,
    "prices": prices,
    "prosumers": prosumers,
    "coordination": coordination,
    "devices": devices,
}
ALERTS = "provisioning/alerting/gridlab.yaml"


def files(site: PageSite) -> dict[str, str]:
    """Path below configs/grafana → content."""
    boards = {slug: make(site) for slug, make in BOARDS.items()}
    dashboards = {f"dashboards/{slug}.json": _json(board) for slug, board in boards.items()}
    return {**dashboards, ALERTS: provisioning(site, boards)}


def write(site: PageSite, folder: Path) -> None:
    """Write the files below ``folder``.

    Raises:
        OSError: a file cannot be written.
    """
    for name, content in files(site).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


def _json(board: model.Dashboard) -> str:
    return json.dumps(board, cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"
