"""A whole day in closed loop as a user runs it, with its telemetry forwarded to a time series database."""

import json
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from controller.runs.directory import PARTIAL, Run
from core.config import InfluxConfig
from tests.support.commands import GRIDLAB, gridlab_process, scenario_file
from tests.support.laboratory import wait_for

Simulate = Callable[..., Run]
"""(words of the command, ``config``: the default scenario) → the run."""
DAY_S = 1200
"""The longest that a run may take, in real time; a whole day takes 80 s on a quiet machine."""


def json_lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a record, each a JSON object."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def scenario_with(folder: Path, influx: InfluxConfig) -> Path:
    """The default scenario, its telemetry forwarded to ``influx``."""
    path = scenario_file(folder)
    with path.open("a", encoding="utf-8") as file:
        yaml.safe_dump({"telemetry": {"influx": influx.model_dump(mode="json")}}, file)
    return path


def import_run(run: Run, scenario: Path) -> None:
    """Import the telemetry after a run: all points are sent, those already forwarded included."""
    ended = gridlab_process("import-influx", run.path, scenario, "--quiet")
    assert (ended.returncode, ended.stderr) == (0, "")


@dataclass(frozen=True)
class SimulatedDay:
    """A simulated day in progress."""

    process: subprocess.Popen[str]
    out: Path

    def until(self, time_ns: int) -> int:
        """Wait until the loop has reached a time; returns the time of its latest cycle, ns."""
        wait_for(lambda: self.process.poll() is not None or self._latest_ns() >= time_ns, DAY_S)
        assert self.process.poll() is None, self.process.communicate()
        return self._latest_ns()

    def ended(self) -> Run:
        """Wait for the end of the run."""
        said, _ = self.process.communicate(timeout=DAY_S)
        assert (self.process.returncode, said) == (0, "")
        return Run(self.out)

    def _latest_ns(self) -> int:
        """Time of the latest cycle, ns; 0 before the first cycle, and while the file is being created."""
        for draft in self.out.parent.glob(f".{self.out.name}.*{PARTIAL}/telemetry.sqlite"):
            address = f"{draft.as_uri()}?mode=ro"
            with suppress(sqlite3.OperationalError), closing(sqlite3.connect(address, uri=True)) as connection:
                return int(connection.execute("SELECT coalesce(max(time), 0) FROM service").fetchone()[0])
        return 0


@contextmanager
def simulating(scenario: Path, out: Path, *words: str) -> Iterator[SimulatedDay]:
    """``gridlab simulate`` of a whole day, unless ``words`` say otherwise."""
    command = [*GRIDLAB, "simulate", str(scenario), "--out", str(out), "--quiet", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield SimulatedDay(process, out)
        finally:
            process.terminate()
