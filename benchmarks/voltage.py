"""Days with wrong impedances and with a step of the supply, with and without voltage slopes."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from rich.console import Console

from benchmarks.cases import ROOT
from benchmarks.tables import ResultTable, Targets


@dataclass(frozen=True)
class SupplyStep:
    """A step by ``by_pu`` at a time HH:MM that lasts, in a run from ``start`` to ``end``."""

    by_pu: float
    at: str
    start: str
    end: str

    def __str__(self) -> str:
        return f"supply {self.by_pu:+.0%} at {self.at}"


GRIDLAB = (sys.executable, "-m", "controller.cli")
CONFIG, PROFILES, REGISTERS = "gridlab9.yaml", "profiles", "registers"
SWITCHES = ("on", "off")
FACTORS = (0.7, 1.3)
STEPS = (
    SupplyStep(0.03, "12:00", "11:30", "13:00"),
    SupplyStep(-0.03, "12:00", "11:30", "13:00"),
    SupplyStep(-0.03, "21:00", "20:30", "22:00"),
)
"""Steps at noon, as was asked; in the evening, when voltages are low."""
STEP_NAMED = {str(step): step for step in STEPS}
IMPEDANCE = re.compile(r"(r_mohm|x_mohm): ([0-9.]+)")
SAMPLE_S, BACK_S = 30.0, 60.0
MOVES_PU = 0.002
"""What the supply moves between two cycles, which nobody can correct in time."""
OUTSIDE_SHARE, COST_REL = 0.01, 0.001

Runs = Mapping[str, Mapping[str, Path]]
"""Folder of each run: what was wrong → with slopes ``on`` and ``off``."""


def days(console: Console) -> Iterator[ResultTable]:
    """Simulate all of them, and compare."""
    with TemporaryDirectory() as scratch:
        yield from compared(simulated(console, Path(scratch)))


def simulated(console: Console, scratch: Path) -> Runs:
    """Run the default day undisturbed and with wrong impedances, and 90 minutes around each step."""
    configs = _configs(scratch)
    cases: dict[str, Sequence[str]] = {"undisturbed": ()}
    cases |= {f"impedances × {factor:g}": ("--plant", str(_plant(configs, factor))) for factor in FACTORS}
    for step in STEPS:
        cases[str(step)] = ("--faults", str(_step(configs, step)), "--start", step.start, "--end", step.end)
    runs: dict[str, dict[str, Path]] = {}
    for number, (name, options) in enumerate(cases.items()):
        for switch in SWITCHES:
            console.print(f"{name}, slopes {switch} …")
            folder = scratch / f"{number}-{switch}"
            command = (*GRIDLAB, "simulate", str(configs / f"{switch}.yaml"), "--quiet", "--out", str(folder))
            subprocess.run([*command, *options], check=True)
            runs.setdefault(name, {})[switch] = folder
    return runs


def compared(runs: Runs) -> Iterator[ResultTable]:
    """The tables of the runs, and what was asked of them."""
    table = ResultTable("Voltages without and with slopes", ("", "slopes", *COLUMNS))
    for name, folders in runs.items():
        for switch in reversed(SWITCHES):
            summary = json.loads((folders[switch] / "summary.json").read_text())
            step = STEP_NAMED.get(name)
            seconds = (
                " / ".join(f"{_outside_s(folders[switch], step, by):.0f}" for by in (0.0, MOVES_PU)) if step else ""
            )
            cells = (cell(summary) for cell in COLUMNS.values())
            table.add(name, switch, *[seconds if cell is None else cell for cell in cells])
    yield table
    yield _targets(runs)


def _targets(runs: Runs) -> ResultTable:
    targets = Targets()
    for name, folders in runs.items():
        summaries = {switch: json.loads((folder / "summary.json").read_text()) for switch, folder in folders.items()}
        measured = summaries["on"]["measured"]
        if step := STEP_NAMED.get(name):
            seconds = _outside_s(folders["on"], step, MOVES_PU)
            asked = f"{name}: outside by more than {MOVES_PU:g} p.u. for at most {BACK_S:g} s"
            targets.check(asked, f"{seconds:.0f} s", seconds <= BACK_S)
            continue
        share = measured["outside_10min"] / measured["means_10min"]
        targets.check(f"{name}: 10-min means outside ≤ 1 %", f"{share:.1%}", share <= OUTSIDE_SHARE)
        if name == "undisturbed":
            cost = {switch: summary["total_cost_chf"]["coordinated"] for switch, summary in summaries.items()}
            apart = abs(cost["on"] - cost["off"]) / abs(cost["off"])
            targets.check("undisturbed: cost within 0.1 % with slopes", f"{apart:.3%}", apart <= COST_REL)
    return targets


def _outside_s(folder: Path, step: SupplyStep, by_pu: float) -> float:
    """Time after the step in which a voltage besides the slack's was outside its limits by more than ``by_pu`` (s)."""
    config = json.loads((folder / "summary.json").read_text())["scenario"]
    nodes = pd.read_csv(folder / "nodes.csv").pivot(index="time", columns="node", values="v_pu")
    after = nodes[nodes.index.str[11:16] >= step.at].drop(columns=config["slack"])
    high, low = after.max(axis=1) > config["v_max_pu"] + by_pu, after.min(axis=1) < config["v_min_pu"] - by_pu
    return SAMPLE_S * float((high | low).sum())


COLUMNS: Mapping[str, Any] = {
    "10-min means outside": lambda s: _share(s["measured"], "outside_10min", "means_10min"),
    "30 s samples outside": lambda s: _share(s["measured"], "outside", "samples"),
    "worst mean beyond, p.u.": lambda s: f"{s['measured']['worst_mean_pu']:.4f}",
    "outside after the step / by more than 0.002 p.u., s": lambda _: None,
    "real cost, CHF": lambda s: f"{s['total_cost_chf']['coordinated']:.3f}",
    "curtailed, kWh": lambda s: f"{sum(s['curtailed_kwh'].values()):.2f}",
}


def _share(counts: Mapping[str, int], part: str, whole: str) -> str:
    return f"{counts[part]} of {counts[whole]} ({100 * counts[part] / counts[whole]:.1f} %)"


def _configs(scratch: Path) -> Path:
    """A folder with the default configuration, its series and register maps, slopes on and off."""
    folder = scratch / "configs"
    for name in (PROFILES, REGISTERS):
        copytree(ROOT / "configs" / name, folder / name)
    text = (ROOT / "configs" / CONFIG).read_text(encoding="utf-8")
    (folder / "on.yaml").write_text(text, encoding="utf-8")
    (folder / "off.yaml").write_text(f"{text}\nrealtime: {{voltage_slope: off}}\n", encoding="utf-8")
    return folder


def _plant(configs: Path, factor: float) -> Path:
    """The same configuration with all impedances multiplied."""
    text = (configs / "on.yaml").read_text(encoding="utf-8")
    path = configs / f"impedances_{factor:g}.yaml"
    path.write_text(IMPEDANCE.sub(lambda found: f"{found[1]}: {factor * float(found[2]):.6g}", text), encoding="utf-8")
    return path


def _step(configs: Path, step: SupplyStep) -> Path:
    path = configs / f"step_{STEPS.index(step)}.yaml"
    path.write_text(f'- {{at: "{step.at}:00", for_s: 86400, fault: supply_step, number: {step.by_pu:g}}}\n')
    return path
