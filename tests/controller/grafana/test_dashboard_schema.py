"""Dashboards against the types of Grafana itself: ``@grafana/schema``, made into a JSON schema."""

import json
import os
import subprocess
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.controller.grafana import provisioned
from tests.support.requirements import tool

SCHEMA = Path(__file__).parent / "schema"
INSTALLED = SCHEMA / "node_modules" / ".package-lock.json"
Board = dict[str, Any]


@pytest.fixture(scope="module")
def node() -> str:
    """Node, after the packages of the lock file are there; without them the test is skipped, or fails under CI."""
    node, npm = tool("node", "nodejs"), tool("npm", "npm")
    lock = SCHEMA / "package-lock.json"
    if not INSTALLED.exists() or INSTALLED.stat().st_mtime < lock.stat().st_mtime:
        done = subprocess.run([npm, "ci"], cwd=SCHEMA, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            give_up(f"npm ci: {done.stderr.strip().splitlines()[-1]}")
        INSTALLED.touch()
    return node


def panel(board: Board, kind: str) -> Board:
    return next(panel for panel in board["panels"] if panel["type"] == kind)


def custom(board: Board, kind: str) -> Board:
    options: Board = panel(board, kind)["fieldConfig"]["defaults"]["custom"]
    return options


MUTATIONS: dict[str, Callable[[Board], object]] = {
    "number in words": lambda board: panel(board, "timeseries").update(id="three"),
    "panel of an unknown kind": lambda board: panel(board, "stat").update(type="starship"),
    "option that a panel has not": lambda board: panel(board, "timeseries")["options"].update(sparkles=True),
    "option that a panel needs": lambda board: panel(board, "stat")["options"].pop("colorMode"),
    "word that an option does not know": lambda board: panel(board, "stat")["options"].update(colorMode="loud"),
    "field option that a panel has not": lambda board: custom(board, "timeseries").update(drawStyle="crayon"),
    "states with an option of charts": lambda board: custom(board, "state-timeline").update(spanNulls=False),
    "query without a text": lambda board: panel(board, "table")["targets"][0].pop("query"),
    "query for another data source": lambda board: panel(board, "table")["targets"][0]["datasource"].update(uid="x"),
    "unknown key": lambda board: board.update(colour="red"),
    "link without a kind": lambda board: board["links"][0].pop("type"),
}


@pytest.fixture(scope="module")
def faults(node: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What is wrong with each dashboard, and with the overview after each mutation."""
    folder = tmp_path_factory.mktemp("dashboards")
    paths = {path.name: path for path in provisioned.DASHBOARDS.glob("*.json")}
    for number, (name, mutate) in enumerate(MUTATIONS.items()):
        board = deepcopy(provisioned.dashboards()["overview"])
        mutate(board)
        paths[name] = folder / f"{number}.json"
        paths[name].write_text(json.dumps(board), encoding="utf-8")
    command = [node, SCHEMA / "validate.mjs", *paths.values()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return dict(zip(paths, json.loads(done.stdout).values(), strict=True))


def test_dashboards_are_what_grafana_reads(faults: dict[str, list[str]]) -> None:
    of_dashboards = {name: messages for name, messages in faults.items() if name not in MUTATIONS}
    assert len(of_dashboards) == 6
    assert of_dashboards == {name: [] for name in of_dashboards}


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_grafana_would_not_read_is_found(name: str, faults: dict[str, list[str]]) -> None:
    assert faults[name]
