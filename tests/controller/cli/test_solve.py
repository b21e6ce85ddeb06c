"""`gridlab solve` as a user meets it: files, table, exit codes, one line per fault, and Ctrl-C."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from controller.process.clocks import SteppedClock
from controller.solve.options import request
from controller.solve.run import solve as solve_problem
from core.load import load_problem
from mpc.coordination.solving import SolveRound
from tests.support.commands import gridlab
from tests.support.dispatches import TUTORIAL, dispatch_file
from tests.support.paths import CONFIGS

Capsys = pytest.CaptureFixture[str]
KEYS = {
    "schema_version",
    "command",
    "kind",
    "name",
    "algorithm",
    "status",
    "rounds",
    "objective",
    "bound",
    "gap_rel",
    "violation",
    "wall_s",
    "cpu_s",
    "hops_per_round",
    "messages",
    "bytes",
    "participants",
    "silent",
    "created_at",
    "config",
    "config_sha256",
    "version",
}
ROUNDS = ["round", "objective", "bound", "gap_rel", "violation", "primal", "dual", "rho", "schema_version"]


def test_a_run_directory(tmp_path: Path, capsys: Capsys) -> None:
    run = tmp_path / "run"
    done = gridlab(capsys, "solve", dispatch_file(tmp_path), "--out", run)
    assert (done.code, done.err) == (0, "")
    assert "converged after" in done.out
    assert f"report: {run}/report.html" in done.out
    summary: dict[str, Any] = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert summary.keys() == KEYS
    assert (summary["command"], summary["kind"], summary["algorithm"]) == ("solve", "dispatch", "admm")
    assert (summary["status"], summary["participants"], summary["silent"]) == ("converged", 3, [])
    assert summary["objective"] == pytest.approx(2.0, rel=1e-3)
    rounds = pd.read_csv(run / "rounds.csv")
    assert list(rounds.columns) == ROUNDS
    assert len(rounds) == summary["rounds"]
    assert list(pd.read_csv(run / "resources.csv").columns) == [
        "resource", "input_kw", "heat_kw", "electricity_kw", "reactive_kw", "schema_version",
    ]  # fmt: skip
    sectors = pd.read_csv(run / "sectors.csv")
    assert list(sectors.columns) == ["sector", "target_kw", "aggregate_kw", "deviation_kw", "price", "schema_version"]
    assert list(sectors["sector"]) == TUTORIAL["sectors"]
    figures = {"solve-0-outputs", "solve-0-convergence"}
    assert {path.name for path in (run / "figures").iterdir()} == {f"{f}.{e}" for f in figures for e in ("svg", "png")}


def test_a_report_again_and_of_two_runs(tmp_path: Path, capsys: Capsys) -> None:
    runs = tmp_path / "one", tmp_path / "other"
    for run, norm in zip(runs, ("l1", "l2"), strict=True):
        assert gridlab(capsys, "solve", dispatch_file(tmp_path, norm=norm), "--out", run, "--quiet").out == ""
    before = (runs[0] / "report.html").read_bytes()
    assert gridlab(capsys, "report", runs[0]).code == 0
    assert (runs[0] / "report.html").read_bytes() == before
    assert not (runs[0] / "report-2.html").exists()
    assert gridlab(capsys, "report", *runs).code == 0
    assert "Both runs" in (runs[0] / "report-2.html").read_text(encoding="utf-8")


def test_the_example_is_valid_and_solved(tmp_path: Path, capsys: Capsys) -> None:
    example = CONFIGS / "dispatch.yaml"
    assert gridlab(capsys, "check", example).out == f"{example}: valid; dispatch, 3 resources, 3 sectors\n"
    done = gridlab(capsys, "solve", example, "--out", tmp_path / "run")
    assert (done.code, "energy-hub, dispatch" in done.out) == (0, True)
    short = gridlab(capsys, "solve", example, "--max-rounds", "1", "--out", tmp_path / "short")
    assert "rounds after 1 round in" in short.out


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"kind": "dispatches"}, ['kind: got "dispatches"; allowed: one of dispatch']),
        ({"target_kw": [1.0, 2.0]}, ["target_kw: got 2 numbers; allowed: 3, one for each sector"]),
        ({"target_kw": [1.0, float("nan"), 0.0]}, ["target_kw[1]: got NaN; allowed: a list with a number"]),
        ({"weights": [1, -1, 1], "norm": "l3"}, ["weights[1]: got -1; allowed", 'norm: got "l3"; allowed: l1 or l2']),
        ({"sectors": ["a", "a", "b"]}, ["sectors[1]: got a; allowed: each name of a sector once"]),
        ({"sectors": ["a", "input", "b"]}, ["sectors[1]: got input; allowed: another name"]),
        ({"speed": 1}, ["speed: got an unknown key; allowed: the keys schema_version"]),
        ({"resources": []}, ["resources: got an empty list; allowed: at least one resource"]),
    ],
)
def test_bad_input_is_one_line_per_fault(
    changes: dict[str, Any], faults: list[str], tmp_path: Path, capsys: Capsys
) -> None:
    done = gridlab(capsys, "solve", dispatch_file(tmp_path, **changes), "--out", tmp_path / "run")
    lines = done.err.splitlines()
    assert (done.code, len(lines)) == (2, len(faults)), done.err
    assert all(fault in line for fault, line in zip(faults, lines, strict=True)), done.err
    assert not (tmp_path / "run").exists()
    assert gridlab(capsys, "check", tmp_path / "dispatch.yaml").code == 2


def test_faults_of_resources_are_all_named(tmp_path: Path, capsys: Capsys) -> None:
    resources = [
        {"name": "a", "capacity_kw": -1.0, "efficiency": [1.0, 2.0]},
        {"name": "a", "capacity_kw": 2.0, "efficiency": [1.0, 2.0, 3.0], "fallback_kw": 3.0},
        {"name": "c", "efficiency": [0.0, 0.0, "x"], "priority": [1.0]},
    ]
    done = gridlab(capsys, "solve", dispatch_file(tmp_path, resources=resources))
    keys = {line.split(": ")[1] for line in done.err.splitlines()}
    assert done.code == 2
    assert keys == {
        "resources[0].capacity_kw", "resources[0].efficiency", "resources[1].name", "resources[1].fallback_kw",
        "resources[2].capacity_kw", "resources[2].efficiency[2]", "resources[2].priority",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (("--algorithm", "magic"), "--algorithm: got magic; allowed: admm"),
        (("--link", "loss=2"), "--link: loss: got 2; allowed: a probability from 0 to 1"),
        (("--link", "lost=0.1"), "--link: got lost=0.1; allowed: loss, delay_rounds, seed"),
        (("--max-rounds", "0"), "'--max-rounds'"),
    ],
)
def test_faulty_options(options: tuple[str, str], fault: str, tmp_path: Path, capsys: Capsys) -> None:
    done = gridlab(capsys, "solve", dispatch_file(tmp_path), *options)
    assert (done.code, fault in done.err) == (2, True), done.err


def test_a_day_is_no_problem_and_a_problem_is_no_day(tmp_path: Path, capsys: Capsys) -> None:
    day = gridlab(capsys, "solve", CONFIGS / "gridlab9.yaml")
    assert (day.code, "kind: got nothing; allowed: one of dispatch" in day.err) == (2, True)
    problem = gridlab(capsys, "plan", dispatch_file(tmp_path))
    assert (problem.code, len(problem.err.splitlines()), "gridlab solve" in problem.err) == (2, 1, True)


def test_rounds_may_run_out(tmp_path: Path, capsys: Capsys) -> None:
    path, run = dispatch_file(tmp_path, target_kw=[-4.0, 1.3, 7.1]), tmp_path / "run"
    assert gridlab(capsys, "solve", path, "--max-rounds", 1, "--out", run, "--quiet").code == 0
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert (summary["status"], summary["rounds"]) == ("rounds", 1)


@pytest.mark.parametrize(("budget_s", "status"), [(8.5, "budget"), (2.5, "budget"), (0.5, "partial")])
def test_time_may_run_out(budget_s: float, status: str, tmp_path: Path) -> None:
    """By a clock that is asked once per hop; before the first answers, everyone counts as silent."""
    clock = SteppedClock(datetime(2026, 11, 30, tzinfo=UTC))

    class TickingClock:
        now = clock.now

        def monotonic_s(self) -> float:
            clock.advance_to(clock.monotonic_s() + 1)
            return clock.monotonic_s()

    path = dispatch_file(tmp_path, target_kw=[-4.0, 1.3, 7.1])
    config = load_problem(path)
    solved = solve_problem(config, path, request(config, budget_s=budget_s), TickingClock())
    assert (solved.summary["status"], len(solved.summary["silent"])) == (status, 3 if status == "partial" else 0)
    assert solved.summary["rounds"] >= 1


def test_an_interrupt_ends_with_what_there_is(tmp_path: Path, capsys: Capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the second round; the next one would abort."""

    @contextmanager
    def interrupting(*_: object) -> Iterator[Callable[[SolveRound], None]]:
        yield lambda each: signal.raise_signal(signal.SIGINT) if each.round == 2 else None

    monkeypatch.setattr("controller.cli.screens.solve.progress", interrupting)
    before = signal.getsignal(signal.SIGINT)
    done = gridlab(capsys, "solve", dispatch_file(tmp_path), "--out", tmp_path / "run")
    assert (done.code, done.err, "interrupted after 2 rounds" in done.out) == (0, "", True), done.out
    summary = json.loads((tmp_path / "run" / "summary.json").read_text(encoding="utf-8"))
    assert (summary["status"], summary["rounds"]) == ("interrupted", 2)
    assert "A signal ended the run" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert signal.getsignal(signal.SIGINT) is before
