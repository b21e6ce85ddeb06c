"""The files under configs/grafana as Grafana reads them: every query of every panel, variable and alert."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml

from tests.support.paths import CONFIGS

FOLDER = CONFIGS / "grafana"
DASHBOARDS = FOLDER / "dashboards"
PROVISIONING = FOLDER / "provisioning"
_NAME = re.compile(r'"([^"]+)"')
_ALIAS = re.compile(r' AS "([^"]+)"')
_NESTED = re.compile(r"(?P<outer>.* FROM )\((?P<inner>.*)\)(?P<rest>.*)")


@dataclass(frozen=True)
class PanelQuery:
    """A query of a panel; ``back`` is the panel's own range (``2m``), None that of the dashboard."""

    board: str
    panel: str
    kind: str
    text: str
    alias: str | None
    table: bool
    interval: str | None
    back: str | None

    def __str__(self) -> str:
        return f"{self.board}/{self.panel}: {self.text}"


@dataclass(frozen=True)
class Names:
    """What a query names: its measurement, the fields and tags it reads of it, the columns that it returns."""

    measurement: str
    read: frozenset[str]
    columns: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Names":
        if nested := _NESTED.fullmatch(text):
            inner = cls.of(nested["inner"])
            read = set(_NAME.findall(_ALIAS.sub("", nested["outer"] + nested["rest"]))) - set(inner.columns)
            return cls(inner.measurement, inner.read | read, tuple(_ALIAS.findall(nested["outer"])))
        (measurement,) = re.findall(r'FROM "([^"]+)"', text)
        read = set(_NAME.findall(_ALIAS.sub("", text.replace(f'FROM "{measurement}"', ""))))
        return cls(measurement, frozenset(read), tuple(_ALIAS.findall(text)))


@cache
def dashboards() -> dict[str, dict[str, Any]]:
    """Slug → dashboard."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(DASHBOARDS.glob("*.json"))}


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    """Slug of the dashboard and panel; not the headings."""
    for slug, board in dashboards().items():
        yield from ((slug, panel) for panel in board["panels"] if panel["type"] != "row")


def panel_queries() -> list[PanelQuery]:
    return [
        PanelQuery(
            board=slug,
            panel=panel["title"],
            kind=panel["type"],
            text=target["query"],
            alias=target.get("alias"),
            table=target["resultFormat"] == "table",
            interval=panel.get("interval"),
            back=panel.get("timeFrom"),
        )
        for slug, panel in panels()
        for target in panel["targets"]
    ]


def variables() -> list[tuple[str, dict[str, Any]]]:
    return [(slug, v) for slug, board in dashboards().items() for v in board["templating"].get("list", [])]


@cache
def rules() -> dict[str, dict[str, Any]]:
    """Name of an alert rule → rule."""
    text = (PROVISIONING / "alerting" / "gridlab.yaml").read_text(encoding="utf-8")
    return {
        rule["uid"].removeprefix("gridlab-"): rule
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
    }


def rule_queries() -> list[tuple[str, str]]:
    """Name of an alert rule and one of its queries."""
    return [(n, d["model"]["query"]) for n, r in rules().items() for d in r["data"] if "query" in d["model"]]
