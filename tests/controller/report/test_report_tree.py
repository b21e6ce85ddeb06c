"""`gridlab solve` of a tree as a user meets it: run directory, report with its figures, and what is refused."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.support.commands import gridlab, gridlab_process
from tests.support.solved_trees import tree_file

Capsys = pytest.CaptureFixture[str]
BRANCHES = (
    "time,branch,p_kw,lower_kw,upper_kw,price_per_kwh,unheld_kw,q_kvar,lower_kvar,upper_kvar,unheld_kvar,"
    "uncoordinated_kw,uncoordinated_kvar,schema_version"
)
PRICED = re.compile(r"objective (\S+) CHF \+ (\S+) CHF for what is not held, lower bound of the sum (\S+) CHF")
ROWS = "time,branch,row,value,lower,upper,multiplier,unheld,uncoordinated,schema_version"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the example in steps of an hour; what it printed is in out.txt beside it."""
    folder = tmp_path_factory.mktemp("solved")
    path = tree_file(folder / "config", {"branches[0].q_max_kvar": 80})
    done = gridlab_process("solve", path, "--out", folder / "run")
    assert (done.returncode, done.stderr) == (0, "")
    (folder / "out.txt").write_text(done.stdout)
    return folder / "run"


def test_the_terminal(run: Path) -> None:
    out = (run.parent / "out.txt").read_text()
    assert "four_levels, tree" in out
    assert "      street_a" in out
    assert "converged after" in out
    assert f"report: {run}/report.html" in out


def test_the_run_directory(run: Path) -> None:
    summary = json.loads((run / "summary.json").read_text(encoding="utf-8"))
    assert (summary["kind"], summary["algorithm"], summary["status"]) == ("tree", "tree", "converged")
    assert (summary["hops_per_round"], summary["participants"], summary["silent"]) == (2, 18, [])
    assert summary["currency"] == "CHF"
    assert summary["branch_of"]["a1"] == "street_a"
    assert (run / "branches.csv").read_text().splitlines()[0] == BRANCHES
    assert (run / "rows.csv").read_text().splitlines()[0] == ROWS
    assert len(pd.read_csv(run / "rounds.csv")) == summary["rounds"]
    drawn = {path.stem.removeprefix("solve-0-") for path in (run / "figures").iterdir()}
    assert drawn == {"powers", "reactive", "rows", "storage", "convergence"}


def test_the_page(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    for words in (
        "Converged", "The tree and its limits", "Powers of the branches", "Reactive power of the branches",
        "Rows over the children", "Prices and states of charge", "What coordination costs", "Convergence",
        "Counterpart of figure 2 of the paper", "CHF/kWh", "compensation (CHF)", "street_b", 'class="held"',
    ):  # fmt: skip
        assert words in page, words
    assert 'class="broken"' not in page
    assert "http" not in page.replace("http://www.w3.org", "")


def test_the_same_page_again_and_two_runs(run: Path, capsys: Capsys) -> None:
    before = (run / "report.html").read_bytes()
    assert gridlab(capsys, "report", run, "--quiet").code == 0
    assert (run / "report.html").read_bytes() == before
    assert gridlab(capsys, "report", run, run).code == 0
    assert 'id="solve-1-powers"' in (run / "report-2.html").read_text(encoding="utf-8")


def test_limits_that_are_left_are_named(tmp_path: Path, capsys: Capsys) -> None:
    path = tree_file(tmp_path, {"branches[0].p_max_kw": 40})
    done = gridlab(capsys, "solve", path, "--out", tmp_path / "run")
    assert done.code == 0
    assert "infeasible" in done.out
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert "Limits that nobody can hold" in page
    objective, unheld, bound = map(float, PRICED.findall(" ".join(done.out.split()))[0])
    assert bound <= objective + unheld <= bound + 0.02 * abs(bound)
    assert re.search(r"<dd>[\d.−]+ CHF<small>lower bound [\d.−]+, with [\d.]+ for what is not held", page)
    assert 'class="broken">power (kW) left by' in page
    assert "What cannot be held is priced at" in page


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("branches.csv", ("price_per_kwh", "price"), "price_per_kwh: got no such column"),
        ("branches.csv", ("street_b", "street_c"), "branch: got street_b, street_c; allowed: the branches of"),
        ("rows.csv", None, "repeated rows"),
        ("summary.json", ('"currency": "CHF"', '"currency": 3'), "currency: got 3"),
    ],
)
def test_a_damaged_run(
    run: Path, tmp_path: Path, capsys: Capsys, file: str, change: tuple[str, str] | None, words: str
) -> None:
    """A word is replaced, or the last line repeated."""
    damaged = shutil.copytree(run, tmp_path / "damaged") / file
    text = damaged.read_text(encoding="utf-8")
    text = text + text.splitlines()[-1] + "\n" if change is None else text.replace(*change)
    damaged.write_text(text, encoding="utf-8")
    done = gridlab(capsys, "report", damaged.parent)
    assert done.code == 2
    assert words in done.err
    assert done.err.count("\n") == 1


def test_bad_input_is_a_line_per_fault(tmp_path: Path, capsys: Capsys) -> None:
    path = tree_file(tmp_path, {"branches[1].parent": None, "branches[4].parent": "roof"})
    done = gridlab(capsys, "solve", path, "--out", tmp_path / "run")
    assert (done.code, done.out) == (2, "")
    assert sorted(line.split(": ")[1] for line in done.err.splitlines()) == [
        "branches[1].parent", "branches[2].rows[0].coefficients.street_b", "branches[4].parent",
    ]  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_check_names_the_tree(tmp_path: Path, capsys: Capsys) -> None:
    done = gridlab(capsys, "check", tree_file(tmp_path))
    assert done.code == 0
    assert "13 prosumers under 5 aggregators on 4 levels" in done.out


def test_an_algorithm_without_prices(tmp_path: Path, capsys: Capsys) -> None:
    run = tmp_path / "run"
    done = gridlab(capsys, "solve", tree_file(tmp_path), "--algorithm", "relaxed-sharing", "--out", run)
    assert (done.code, done.err) == (0, "")
    assert "neighbourhood after" in done.out
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Neighbourhood reached" in page
    assert "state of charge of every battery" in page
    assert "What one more kWh costs" not in page
    assert "nan" not in page.lower().replace("financ", "")
    wrong = gridlab(capsys, "solve", tree_file(tmp_path), "--algorithm", "shering", "--out", tmp_path / "other")
    assert (wrong.code, wrong.err.count("\n")) == (2, 1)
    assert "tree, sharing or relaxed-sharing, for the kind tree" in wrong.err
