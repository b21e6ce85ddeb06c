"""Modules and memory that a command of the program needs, measured in a process of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import ROOT

MIB = 1024
_PROGRAM = """
import atexit, json, os, sys

def tell():
    status = open("/proc/self/status").read() if os.path.exists("/proc/self/status") else "VmHWM: 0"
    memory_kib = int(status.split("VmHWM:")[1].split()[0])
    with open(os.environ["FOOTPRINT"], "w") as file:
        json.dump({"modules": sorted(sys.modules), "memory_mib": memory_kib / 1024}, file)

atexit.register(tell)
from controller.cli import main
sys.argv[0] = "gridlab"
main()
"""


@dataclass(frozen=True)
class Footprint:
    """Result of a command: exit code, output, loaded modules, and peak memory in MiB."""

    code: int
    out: str
    modules: frozenset[str]
    memory_mib: float

    @property
    def foreign(self) -> set[str]:
        """Loaded packages that belong neither to Python nor to the project."""
        own = {"controller", "core", "drivers", "gridlab", "mpc", "realtime", "sim_plant"}
        top = {name.partition(".")[0] for name in self.modules if not name.startswith("_")}
        return top - sys.stdlib_module_names - own


def footprint(folder: Path, *words: object, **environment: str) -> Footprint:
    """Run ``gridlab WORDS``; a file of the measurement is written to ``folder``."""
    report = folder / "footprint.json"
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "FOOTPRINT": str(report), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    told = json.loads(report.read_text(encoding="utf-8"))
    return Footprint(done.returncode, done.stdout, frozenset(told["modules"]), told["memory_mib"])
