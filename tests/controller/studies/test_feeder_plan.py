"""``gridlab plan`` with aggregators: their table, their chapter, and the job that a planner gets."""

from pathlib import Path

import numpy as np
import pytest

from controller.planner.planner import SIZE, DayAheadJob
from controller.planner.wire import decode_job, encode_job
from controller.runs.directory import Run
from core.load import load_config, load_scenario
from mpc.solvers.quadratic import PIQP
from tests.support.commands import gridlab
from tests.support.paths import CONFIGS

FILE = CONFIGS / "gridlab9-feeders.yaml"


def test_plan(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ended = gridlab(capsys, "plan", FILE, "--out", tmp_path / "run")
    assert (ended.code, ended.err) == (0, "")
    run = Run(tmp_path / "run")
    assert run.summary["status"] == "converged"
    assert run.summary["ac"]["violation_max_pu"] <= 2e-4
    assert run.summary["scenario"]["aggregators"]["north"] == {
        "parent": None, "nodes": ["N3", "N4", "N5"], "p_min_kw": None, "p_max_kw": None,
    }  # fmt: skip
    _check_balance(run, "")
    _check_balance(run, "uncoordinated_")
    table = run.table("aggregators.csv")
    assert table["price_chf_per_kwh"].min() < -0.01
    assert run.table("uncoordinated_aggregators.csv")["price_chf_per_kwh"].isna().all()
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "The aggregators" in page
    assert (tmp_path / "run" / "figures" / "aggregators.svg").exists()
    assert gridlab(capsys, "report", tmp_path / "run").code == 0


def _check_balance(run: Run, prefix: str) -> None:
    """What both aggregators draw, and what the shared line loses, comes from the upper grid."""
    heads = run.table(f"{prefix}aggregators.csv").groupby("time")["p_kw"].sum()
    supply = run.table(f"{prefix}slack.csv").set_index("time")["p_kw"]
    current = run.table(f"{prefix}lines.csv").query("line == 'N1-N2'").set_index("time")["i_a"]
    np.testing.assert_allclose(heads + 3e-3 * 0.5851 * current**2, supply, atol=1e-6)


def test_the_job_of_a_planner() -> None:
    config = load_config(FILE)
    job = DayAheadJob(load_scenario(config, FILE), config.coordination, PIQP, coordinate=True)
    received = decode_job(encode_job(job)[SIZE.size :])
    assert isinstance(received, DayAheadJob)
    assert received.scenario.feeders == job.scenario.feeders
    assert received.scenario.problem.feeders


def test_splittings_of_the_star_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ended = gridlab(capsys, "plan", FILE, "--out", tmp_path / "run", "--splitting", "constraint")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "profile, as there is a hierarchy" in ended.err
