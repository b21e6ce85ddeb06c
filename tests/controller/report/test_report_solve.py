"""The report of a run of `gridlab solve`: what it shows, and what it refuses."""

import json
from pathlib import Path

import pandas as pd
import pytest

import gridlab
from controller.report import write_report
from core.errors import InputError
from tests.support.dispatches import dispatch_file


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The tutorial's dispatch, nobody of which can be heard."""
    path = dispatch_file(tmp_path)
    return gridlab.solve(path, out=tmp_path / "run", link="loss=1").path or tmp_path


def page(run: Path) -> str:
    (run / "report.html").unlink()
    return write_report(run).read_text(encoding="utf-8")


def change(run: Path, **keys: object) -> None:
    path = run / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **keys}), encoding="utf-8")


def test_the_silent_are_named(run: Path) -> None:
    summary = gridlab.open_run(run).summary
    assert (summary["status"], summary["silent"]) == ("partial", ["one", "two", "three"])
    assert summary["silent_rounds"] == {"one": None, "two": None, "three": None}
    assert summary["objective"] == 26.0
    assert "Silent: one, two, three." in page(run)


def test_many_resources_are_summed_up(tmp_path: Path) -> None:
    each = {"efficiency": [-1.0, 0.0, 1.0]}
    many = [{**each, "name": f"r{k}", "capacity_kw": 1.0 + k} for k in range(20)]
    run = gridlab.solve(dispatch_file(tmp_path, resources=many), out=tmp_path / "run").path
    assert run is not None
    text = (run / "report.html").read_text(encoding="utf-8")
    assert "and 8 more resources, in resources.csv" in text
    assert "others" in (run / "figures" / "solve-0-outputs.svg").read_text(encoding="utf-8")


def test_an_unknown_kind_or_file_is_one_line(run: Path) -> None:
    rounds = pd.read_csv(run / "rounds.csv")
    rounds.drop(columns="gap_rel").to_csv(run / "rounds.csv", index=False)
    with pytest.raises(InputError, match=r"rounds\.csv: gap_rel: got no such column") as missing:
        write_report(run)
    assert len(missing.value.faults) == 1
    rounds.to_csv(run / "rounds.csv", index=False)
    change(run, kind="riddle")
    with pytest.raises(InputError, match='kind: got "riddle"; allowed: one of dispatch'):
        write_report(run)


def test_runs_of_two_kinds_are_not_compared(run: Path, tmp_path: Path) -> None:
    other = gridlab.solve(tmp_path / "dispatch.yaml", out=tmp_path / "other").path
    assert other is not None
    change(other, kind="tree")
    with pytest.raises(InputError, match='kind: got "tree"; allowed: a run beside "dispatch": only runs of one kind'):
        write_report(run, other)
