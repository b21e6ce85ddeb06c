"""The study of random trees by the real program: interrupted, resumed, and reported."""

import json
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGINT

import pandas as pd
import pytest

from controller import cli
from controller.studies.trees.campaign import TreeStudy
from core.algorithms import TreeAlgorithm
from tests.support.paths import ROOT

SEED, TREES = 123, 4
PROGRAM = (sys.executable, "-m", "controller.cli", "study", "tree")


def gridlab(*words: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["gridlab", "study", "tree", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study that Ctrl-C interrupted after its first tree, and that was resumed."""
    folder = tmp_path_factory.mktemp("study") / "run"
    words = (*PROGRAM, "--trees", str(TREES), "--seed", str(SEED), "--out", str(folder))
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as program:
        while not [*folder.glob("trees/*.json")]:
            assert program.poll() is None
            time.sleep(0.05)
        program.send_signal(SIGINT)
        said, _ = program.communicate(timeout=120)
    assert program.returncode == 1
    assert f"gridlab study tree --resume {folder}" in said
    assert not (folder / "summary.json").exists()
    kept = {path.name: path.read_bytes() for path in (folder / "trees").iterdir()}
    assert 0 < len(kept) < TREES
    assert gridlab("--resume", folder, "--quiet") == 0
    assert {name: (folder / "trees" / name).read_bytes() for name in kept} == kept
    return folder


def test_every_tree_is_judged_by_the_central_optimum(run: Path) -> None:
    table = pd.read_csv(run / "trees.csv")
    assert table.groupby("tree")["algorithm"].agg(list).tolist() == [[*TreeAlgorithm]] * TREES
    assert table.columns[-1] == "schema_version"
    assert table["levels"].unique().tolist() == [1, 2, 3, 4]
    assert table["impossible"].sum() == 0
    assert (table["cpu_ms_per_agent"] > 0).all()
    reached = table[table["reached_round"].notna()]
    assert (reached["distance_rel"] <= 1e-3).all()
    assert (reached["violation_rel"] <= 1e-3).all()
    certified = table[table["algorithm"] == "tree"]
    assert (certified["status"] == "converged").all()
    assert (certified["bound_above_optimum"] <= 1e-6).all()
    assert (certified["hops_per_round"] == 2).all()


def test_rounds_are_kept(run: Path) -> None:
    rounds, trees = pd.read_csv(run / "rounds.csv"), pd.read_csv(run / "trees.csv")
    last = rounds.groupby(["tree", "algorithm"])["round"].max()
    assert last.sum() == trees["rounds"].sum() == len(rounds)
    assert (rounds["primal"] >= 0).all()


def test_the_summary_says_what_the_tables_say(run: Path) -> None:
    summary, trees = json.loads((run / "summary.json").read_text()), pd.read_csv(run / "trees.csv")
    rounds = trees.pivot_table(index="tree", columns="algorithm", values="reached_round")
    assert summary["trees"] == TREES
    assert summary["algorithms"]["tree"]["reached_round"]["worst"] == rounds["tree"].max()
    assert summary["rounds_ratio"]["sharing"] == pytest.approx((rounds["sharing"] / rounds["tree"]).median())


def test_the_report_has_the_figures_of_the_paper(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Counterpart of figure 3 of paper B" in " ".join(page.split())
    assert {path.name for path in (run / "figures").iterdir()} >= {"study-0-residuals.svg", "study-0-times.svg"}


def test_a_tree_is_the_same_in_every_study(run: Path, tmp_path: Path) -> None:
    assert gridlab("--trees", 1, "--seed", SEED, "--out", tmp_path / "again", "--quiet") == 0
    (first, *_), (again,) = TreeStudy.resume(run).finished(), TreeStudy.resume(tmp_path / "again").finished()
    assert first.seed == again.seed
    assert [run.rounds for run in first.runs] == [run.rounds for run in again.runs]


def test_nothing_to_resume_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gridlab("--resume", tmp_path) == 2
    assert "study.json" in capsys.readouterr().err


def test_a_new_study_has_a_new_folder(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gridlab("--trees", 1, "--out", run) == 2
    assert "a folder that does not exist yet" in capsys.readouterr().err
