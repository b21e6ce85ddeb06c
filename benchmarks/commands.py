"""How soon the program answers: ``--help``, and an operator's commands up to the audit trail of a running service."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.cases import ROOT
from benchmarks.tables import ResultTable, Targets, milliseconds
from controller.process.modes import Mode
from tests.support.api import ServiceUnderTest, running
from tests.support.footprint import footprint

REPEATS = 7
HELP_S, STOP_S, IMPORT_S, MEMORY_MIB = 0.5, 1.0, 0.2, 64.0
GIVE_UP_S = 60.0


def run() -> Iterator[ResultTable]:
    """Yield the table of wall times and memory, then the targets."""
    times = ResultTable("Wall time from Enter, ms, and peak memory, MiB", ["", "median", "worst", "memory"])
    targets = Targets()
    with TemporaryDirectory() as folder, running(Path(folder)) as api:
        seconds = {
            "python -c pass": _repeated(lambda: _wall_s("-c", "pass")),
            "import gridlab": _repeated(lambda: _wall_s("-c", "import gridlab")),
            "gridlab --help": _repeated(lambda: _wall_s("-m", "controller.cli", "--help")),
            "gridlab status": _repeated(lambda: _wall_s("-m", "controller.cli", "status", "--state", folder)),
            "gridlab stop, to the audit trail": _repeated(lambda: _stop_s(api)),
        }
        commands = {"gridlab --help": ("--help",), "gridlab status": ("status",), "gridlab stop": ("stop",)}
        memory = {
            name: footprint(Path(folder), *each, *(() if each == ("--help",) else ("--state", folder))).memory_mib
            for name, each in commands.items()
        }
    for name, each in seconds.items():
        mib = memory.get(name.partition(",")[0])
        times.add(name, milliseconds(median(each)), milliseconds(max(each)), "–" if mib is None else f"{mib:.0f}")
    yield times
    for asked, name, limit_s in (
        ("import gridlab", "import gridlab", IMPORT_S),
        ("help", "gridlab --help", HELP_S),
        ("stop reaches the audit trail", "gridlab stop, to the audit trail", STOP_S),
    ):
        took_s = median(seconds[name])
        targets.check(f"{asked} ≤ {limit_s:g} s", f"{took_s:.2f} s", took_s <= limit_s)
    most = max(memory["gridlab status"], memory["gridlab stop"])
    targets.check(f"an operator's commands ≤ {MEMORY_MIB:g} MiB", f"{most:.0f} MiB", most <= MEMORY_MIB)
    yield targets


def _repeated(job: Callable[[], float]) -> list[float]:
    return [job() for _ in range(REPEATS)]


def _wall_s(*arguments: str) -> float:
    began_s = time.perf_counter()
    subprocess.run([sys.executable, *arguments], cwd=ROOT, env=os.environ, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began_s


def _stop_s(api: ServiceUnderTest) -> float:
    """Wall time from the start of the program to the line in the audit trail; the service runs in this process."""
    api.set_mode(Mode.ACTIVE)
    api.cycle()
    command = [sys.executable, "-m", "controller.cli", "stop", "--quiet", "--state", str(api.folder)]
    with (api.folder / "audit.jsonl").open("rb") as trail:
        trail.seek(0, os.SEEK_END)
        began_s = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT):
            while b'"emergency stop"' not in trail.read():
                if time.perf_counter() - began_s > GIVE_UP_S:
                    raise TimeoutError("no emergency stop in the audit trail")
                time.sleep(0.005)
            return time.perf_counter() - began_s
