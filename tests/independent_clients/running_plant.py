"""The plant as a process in real time: to its clients, addresses and nothing else."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.support.paths import CONFIG

LEASE_S, LAST_LEASE_S = 30, 1
"""Life of a setpoint while it is followed, and once it shall lapse; a step of 0.2 kW takes 1.4 s to three quarters."""
PATIENCE_S = 15.0
"""The longest that anything may take before a test fails."""
T = TypeVar("T")


@dataclass(frozen=True)
class RunningPlant:
    """A plant that listens; ``devices`` holds host, port and unit, or url, by name."""

    pid: int
    devices: dict[str, dict[str, Any]]

    def port(self, device: str) -> int:
        return int(self.devices[device]["port"])

    def url(self, device: str) -> str:
        return str(self.devices[device]["url"])


@contextmanager
def running_plant(config: Path, *options: str) -> Iterator[RunningPlant]:
    """Run it until the block ends."""
    command = [sys.executable, "-m", "sim_plant", str(config), "--free-ports", *options]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, cwd=CONFIG.parents[1]
    ) as process:
        try:
            assert process.stdout
            yield RunningPlant(process.pid, json.loads(process.stdout.readline())["devices"])
        finally:
            process.terminate()


def configured(path: Path, old: str, new: str) -> Path:
    """Write the default configuration to ``path`` with a change; its files stay where they are."""
    text = CONFIG.read_text()
    assert old in text
    for folder in ("profiles", "registers"):
        text = text.replace(f"{folder}/", f"{CONFIG.parent}/{folder}/")
    path.write_text(text.replace(old, new))
    return path


def eventually(read: Callable[[], T], holds: Callable[[T], bool]) -> T:
    """What is read once it holds."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not holds(value := read()):
        assert time.monotonic() < deadline_s, value
        time.sleep(0.05)
    return value
