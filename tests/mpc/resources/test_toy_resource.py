"""A new resource is one file with its block, a dataclass, a section of the configuration and an arm of the match.

The test does it for a curtailable load: it copies the packages, adds the file and the lines, and plans with the copy.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.paths import ROOT

PACKAGES = ("controller", "core", "drivers", "mpc", "realtime")
BLOCK = '''\
"""Curtailable load: a share of the demand can be given up, at a cost per kWh."""

from collections.abc import Mapping, Sequence

import numpy as np

from core.arrays import FloatArray
from core.plan import ResourcePlan
from core.resources import Curtailable
from mpc.resources.block import Row, Variable


class CurtailableBlock:
    def __init__(self, load: Curtailable, dt_h: float) -> None:
        zero = np.zeros_like(load.p_kw)
        self.fixed = np.column_stack([load.p_kw, zero])
        self.variables = {"curtailed": Variable((-1, 0), 0, load.p_kw, load.cost_chf_per_kwh * dt_h)}
        self.equalities: Sequence[Row] = ()
        self.inequalities: Sequence[Row] = ()
        self._load = load

    def plan(self, values: Mapping[str, FloatArray]) -> ResourcePlan:
        curtailed = values["curtailed"]
        return ResourcePlan("curtailable", self._load.p_kw - curtailed, 0 * curtailed, {"curtailed_kw": curtailed})
'''
DATACLASS = """
@dataclass(frozen=True)
class Curtailable:
    p_kw: FloatArray
    cost_chf_per_kwh: float

    def after(self, steps: int) -> "Curtailable":
        return replace(self, p_kw=self.p_kw[steps:])


"""
SECTION = """

class CurtailableConfig(Expected[Series]):
    cost_per_kwh: Positive

    def resource(self, means: Means, variant: Variant) -> Curtailable:
        return Curtailable(means(self.of(variant), _LOAD), self.cost_per_kwh)
"""
IMPORTED = "from mpc.resources.curtailable import CurtailableBlock\n"
ARM = "        case Curtailable():\n            return CurtailableBlock(resource, dt_h)\n"
LAB = """
schema_version: 1
name: toy
horizon: {date: 2018-06-21, timezone: Europe/Zurich, step_min: 60}
grid: {voltage_v: 400, slack: N1, lines: [{from: N1, to: N2, r_mohm: 10, x_mohm: 5}]}
limits: {v_min_pu: 0.9, v_max_pu: 1.1, slack_s_max_kva: 100, slack_pf_min: 0.5, margin: off}
tariff: {file: tariff.csv, column: buy}
prosumers:
  - name: A
    node: N2
    load: {forecast: {file: tariff.csv, p: load}}
    flexible: {forecast: 2.0, cost_per_kwh: 0.25}
"""
REFERENCE = """
import json, sys
from pathlib import Path
from core.errors import InputError
from core.load import load_config, load_scenario
from mpc.reference import CentralisedProblem
path = Path("lab.yaml")
try:
    CentralisedProblem(load_scenario(load_config(path), path))
except InputError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages that knows curtailable loads."""
    folder = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "mpc/resources/curtailable.py").write_text(BLOCK, encoding="utf-8")
    union = "Resource = Battery | Pv | Load\n"
    change(folder / "core/resources.py", union, DATACLASS + "Resource = Battery | Pv | Load | Curtailable\n")
    sections = folder / "core/config_resources.py"
    change(sections, "from core.resources import Battery,", "from core.resources import Battery, Curtailable,")
    change(sections, "class SiteConfig(", SECTION + "class SiteConfig(")
    key = "    battery: BatteryConfig | None = None\n"
    change(sections, key, key + "    flexible: CurtailableConfig | None = None\n")
    matching = folder / "mpc/resources/matching.py"
    change(
        matching, "from core.resources import Battery,", IMPORTED + "from core.resources import Battery, Curtailable,"
    )
    change(matching, "        case _:\n", ARM + "        case _:\n")
    (folder / "lab.yaml").write_text(LAB, encoding="utf-8")
    hours = [f"{hour:02}:00:00,{0.4 if hour >= 12 else 0.1},{1.0 + 0.01 * hour}" for hour in range(24)]
    (folder / "tariff.csv").write_text("\n".join(["time,buy,load", *hours]) + "\n", encoding="utf-8")
    return folder


def change(path: Path, old: str, new: str) -> None:
    """Replace a text that stands in the file once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (path, old)
    path.write_text(text.replace(old, new), encoding="utf-8")


def run(house: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(house)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=house, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def planned(house: Path) -> Path:
    done = run(house, "-m", "controller.cli", "plan", "lab.yaml", "--out", "run", "--quiet")
    assert done.returncode == 0, done.stderr
    return house / "run"


def test_the_load_is_given_up_where_energy_costs_more_than_that(planned: Path) -> None:
    """From noon on 2 kW are worth less than the 0.4 CHF/kWh that they cost, before noon more than 0.1."""
    plan, more = pd.read_csv(planned / "plan.csv"), pd.read_csv(planned / "resources.csv")
    assert list(more.columns) == ["time", "prosumer", "resource", "quantity", "value", "schema_version"]
    assert set(zip(more.prosumer, more.resource, strict=True)) == {("A", "flexible")}
    load_kw, given_up_kw = 1.0 + 0.01 * np.arange(24), np.repeat([0.0, 2.0], 12)
    for quantity, expected in {"p_kw": 2.0 - given_up_kw, "curtailed_kw": given_up_kw}.items():
        np.testing.assert_allclose(more[more.quantity == quantity].value, expected, atol=1e-5)
    np.testing.assert_allclose(plan.load_kw, load_kw)
    np.testing.assert_allclose(plan.p_kw, load_kw + 2.0 - given_up_kw, atol=1e-5)
    summary = json.loads((planned / "summary.json").read_text(encoding="utf-8"))
    assert (summary["status"], summary["simultaneous_kw"]) == ("converged", {"A": 0.0})
    assert abs(summary["gap_rel"]) <= 1e-3, "its own cost is part of the answer, so the certificate holds"
    retail_chf = float(np.repeat([0.1, 0.4], 12) @ (load_kw + 2.0 - given_up_kw))
    assert summary["cost_chf"]["A"]["coordinated"] == pytest.approx(retail_chf, abs=1e-4)


def test_the_reference_refuses_what_is_not_written_down_in_it(house: Path) -> None:
    done = run(house, "-c", REFERENCE)
    assert done.stdout == (
        "A: flexible: got Curtailable; allowed: battery, pv or load: the reference knows no other resource\n"
    ), done.stderr


def test_a_resource_without_a_block_is_found_by_mypy(house: Path, tmp_path: Path) -> None:
    """The match is exhaustive: a kind of resource that has no block does not pass."""
    options = ("--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path / "cache"))
    matching = house / "mpc/resources/matching.py"
    done = run(house, "-m", "mypy", *options, str(matching))
    assert done.returncode == 0, done.stdout
    complete = matching.read_text(encoding="utf-8")
    matching.write_text(complete.replace(ARM, ""), encoding="utf-8")
    assert "assert_never" in run(house, "-m", "mypy", *options, str(matching)).stdout
    matching.write_text(complete, encoding="utf-8")
