"""What is no whole closed-loop run is bad input to a report, in one line."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.report import write_report
from controller.report.loop.record import read_loop
from controller.runs.directory import Run
from core.errors import InputError
from tests.support.loops import looped
from tests.support.paths import CONFIGS
from tests.support.reports import rewrite


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half an hour, uncoordinated."""
    path = CONFIGS / "gridlab9.yaml"
    return looped(tmp_path_factory.mktemp("loops") / "selfish", path, (75, 78), coordinate=False)


CORRUPTIONS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no table": (lambda run: (run / "nodes.csv").unlink(), "nodes.csv"),
    "no optimum": (lambda run: (run / "hindsight_plan.csv").unlink(), "hindsight_plan.csv"),
    "no telemetry": (lambda run: (run / "telemetry.sqlite").write_text("no database, but long enough"), "telemetry"),
    "missing key": (lambda run: rewrite(run, lambda data: data.pop("measured")), "summary.json: measured: got nothing"),
    "wrong type": (lambda run: rewrite(run, lambda d: d["mpc"].update(runs="many")), "summary.json: mpc.runs"),
    "other names": (lambda run: rewrite(run, lambda d: d["curtailed_kwh"].pop("N9")), "summary.json: curtailed_kwh"),
    "other slack": (lambda run: rewrite(run, lambda d: d["scenario"].update(slack="N0")), "summary.json: scenario"),
    "unknown battery": (lambda run: rewrite(run, lambda d: d["soc"].pop("N9")), "summary.json: soc"),
}


@pytest.mark.parametrize("corruption", CORRUPTIONS)
def test_what_is_no_run_is_bad_input(copy: Path, corruption: str) -> None:
    corrupt, expected = CORRUPTIONS[corruption]
    corrupt(copy)
    with pytest.raises(InputError, match=re.escape(expected)):
        write_report(copy)


def test_reading_leaves_no_trace(copy: Path) -> None:
    before = sorted(copy.iterdir())
    read_loop(Run(copy))
    assert sorted(copy.iterdir()) == before


def test_only_runs_of_one_kind_stand_side_by_side(run: Path, tmp_path: Path) -> None:
    (tmp_path / "summary.json").write_text(json.dumps({"schema_version": 1, "command": "plan"}), encoding="utf-8")
    for first, second, got in ((run, tmp_path, "plan"), (tmp_path, run, "simulate")):
        with pytest.raises(InputError, match=f'command: got "{got}"'):
            write_report(first, second)
