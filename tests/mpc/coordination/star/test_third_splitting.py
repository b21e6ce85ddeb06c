"""A third splitting is one file, one line of the enum and one arm of the match; everything else follows.

The test does it: it copies the packages, adds the file and the lines, and runs the copy.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PACKAGES = ("controller", "core", "drivers", "mpc", "realtime")
SPLITTING = '''\
"""Copies of profiles as in the profile splitting, but with one penalty for p and q and without over-relaxation.

    x̂ ← argmin φ(x̂) + ρ/2 ‖x̂ − (x + μ/ρ)‖²,   μ ← μ + ρ (x − x̂)
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from core.arrays import FloatArray
from core.prices import PriceSignal
from mpc.coordination.star.splitting import Residuals, norm_per_prosumer
from mpc.grid.projection import project
from mpc.grid.rows import Rows, by_prosumer, by_step


@dataclass(frozen=True)
class PlainSplitting:
    RHO_REL: ClassVar[float] = 0.7

    rows: Rows
    rho: float
    x_hat: FloatArray
    mu: FloatArray
    row_prices: FloatArray
    residuals: Residuals

    @classmethod
    def start(cls, x: FloatArray, rows: Rows, rho: float) -> Self:
        return cls(rows, rho, x, np.zeros_like(x), np.zeros_like(rows.lower), Residuals.at_start(len(x)))

    @property
    def unheld(self) -> FloatArray:
        return self.rows.excess(self.rows.value(self.x_hat))

    def update(self, x: FloatArray, rows: Rows, alpha: float) -> Self:
        found = project(by_step(x + self.mu / self.rho), np.full(2 * len(x), self.rho), rows)
        x_hat = by_prosumer(found.x)
        mu = self.mu + self.rho * (x - x_hat)
        moved = self.rho * norm_per_prosumer(self.x_hat - x_hat)
        scale = np.maximum(norm_per_prosumer(x), norm_per_prosumer(x_hat))
        residuals = Residuals(norm_per_prosumer(x - x_hat), moved, moved, scale, norm_per_prosumer(mu), x[0].size)
        return replace(self, rows=rows, x_hat=x_hat, mu=mu, row_prices=found.row_prices, residuals=residuals)

    def with_rho(self, rho: float) -> Self:
        return replace(self, rho=rho)

    def after(self, steps: int) -> Self:
        rest = {name: getattr(self, name)[:, steps:] for name in ("x_hat", "mu")}
        return replace(self, rows=self.rows.after(steps), row_prices=self.row_prices[steps:], **rest)

    def signals(self) -> list[PriceSignal]:
        h = np.broadcast_to(self.rho * np.eye(2), (self.x_hat.shape[1], 2, 2))
        fees = np.sum((0.5 * self.rho * self.x_hat - self.mu) * self.x_hat, axis=(1, 2))
        return [PriceSignal(h, g, float(fee)) for g, fee in zip(self.mu - self.rho * self.x_hat, fees, strict=True)]
'''
PROGRAM = """
import json
import mpc
from controller.cli import app
from controller.report.study.figures import LOOKS
from core.algorithms import SplittingName
from core.config_coordination import CoordinationConfig
from mpc.coordination.star.algorithms import splitting_named
from tests.support.coordination import coordinate
from tests.support.synthetic import scenario
from tests.support.virtual_clock import VirtualClock
from typer.testing import CliRunner

results = {}
for name in SplittingName:
    settings = CoordinationConfig(splitting=name)
    outcome = coordinate(scenario(step_min=60), settings, VirtualClock()).outcome
    results[name] = {
        "status": outcome.status, "kind": type(outcome.splitting).__name__, "gap_rel": outcome.gap_rel,
        "cost_chf": outcome.best.cost_chf, "bound_chf": outcome.lower_bound_chf, "rho": outcome.iterations[0].rho,
        "turnover_chf": outcome.best.turnover_chf, "violation_pu": outcome.best.avoidable_pu,
    }
print(json.dumps({
    "from": mpc.__file__,
    "results": results,
    "looks": list(LOOKS),
    "allowed": CoordinationConfig.model_fields["splitting"].description,
    "help": CliRunner().invoke(app, ["plan", "--help"], env={"COLUMNS": "200"}).stdout,
}))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with a third splitting."""
    folder = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "mpc/coordination/star/plain_splitting.py").write_text(SPLITTING, encoding="utf-8")
    insert(folder / "core/algorithms.py", '    CONSTRAINT = "constraint"\n', '    PLAIN = "plain"\n')
    matched = folder / "mpc/coordination/star/algorithms.py"
    arm = "        case SplittingName.PLAIN:\n            return PlainSplitting\n"
    insert(matched, "            return ConstraintSplitting\n", arm)
    imported = "from mpc.coordination.star.constraint_splitting import ConstraintSplitting\n"
    insert(matched, imported, imported.replace("constraint_", "plain_").replace("Constraint", "Plain"))
    return folder


def insert(path: Path, after: str, line: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(after) == 1
    path.write_text(text.replace(after, after + line), encoding="utf-8")


def run(house: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{house}{os.pathsep}{ROOT}"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=house, env=environment, capture_output=True, text=True, check=False
    )


def test_a_third_splitting_converges_to_the_same_optimum(house: Path) -> None:
    done = run(house, "-c", PROGRAM)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["from"]).is_relative_to(house)
    results = found["results"]
    assert list(results) == ["profile", "constraint", "plain"]
    plain, profile = results["plain"], results["profile"]
    assert (plain["kind"], plain["status"]) == ("PlainSplitting", "converged")
    assert plain["rho"] == pytest.approx(0.7 * profile["rho"])
    assert abs(plain["gap_rel"]) <= 1e-3
    assert plain["violation_pu"] <= 2e-4
    assert abs(plain["cost_chf"] - profile["cost_chf"]) <= 2e-3 * profile["turnover_chf"]
    assert plain["bound_chf"] <= profile["cost_chf"] + 1e-3 * profile["turnover_chf"]
    assert found["looks"] == ["profile", "constraint", "plain"]
    assert found["allowed"] == "profile, constraint or plain"
    assert "<profile|constraint|plain>" in found["help"]


def test_a_name_without_code_is_found_by_mypy(house: Path, tmp_path: Path) -> None:
    """The match is exhaustive: a name of the enum alone does not pass."""
    incomplete = tmp_path / "house"
    for package in ("core", "mpc"):
        shutil.copytree(ROOT / package, incomplete / package, ignore=shutil.ignore_patterns("__pycache__"))
    insert(incomplete / "core/algorithms.py", '    CONSTRAINT = "constraint"\n', '    PLAIN = "plain"\n')
    file = "mpc/coordination/star/algorithms.py"
    options = ("--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path / "cache"))
    assert "assert_never" in run(incomplete, "-m", "mypy", *options, file).stdout
    done = run(house, "-m", "mypy", *options, file)
    assert done.returncode == 0, done.stdout
