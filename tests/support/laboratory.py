"""A plant in real time and a configuration with its ports, as in two terminals of a user."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from sim_plant.reports import Answer
from tests.support.paths import CONFIG


@dataclass(frozen=True)
class Laboratory:
    """A running plant: its configuration with the real ports, the control socket, and the referee's file."""

    config: Path
    control: int
    frames: Path

    def ask(self, **request: object) -> Answer:
        """Ask the plant."""
        with socket.create_connection(("127.0.0.1", self.control)) as connection, connection.makefile("rw") as file:
            file.write(json.dumps(request) + "\n")
            file.flush()
            return dict(json.loads(file.readline()))


@contextmanager
def laboratory(folder: Path, realtime_s: float) -> Iterator[Laboratory]:
    """The default plant in real time on free ports."""
    frames = folder / "frames.jsonl"
    command = [sys.executable, "-m", "sim_plant", str(CONFIG), "--free-ports", "--frames", str(frames)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as plant:
        assert plant.stdout
        try:
            ready = json.loads(plant.stdout.readline())
            path = folder / "laboratory.yaml"
            path.write_text(_at_ports(ready["devices"], realtime_s))
            yield Laboratory(path, ready["control"], frames)
        finally:
            plant.terminate()
            plant.wait(20)


def wait_for(what: Callable[[], bool], seconds: float) -> None:
    """Wait until the condition holds.

    Raises:
        AssertionError: it does not hold in time.
    """
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.2)


def _at_ports(devices: dict[str, dict[str, object]], realtime_s: float) -> str:
    data = yaml.safe_load(CONFIG.read_text())
    for device in data["devices"]:
        device.update(devices[device["name"]])
    data["schedule"] = {"realtime_s": realtime_s}
    text = yaml.safe_dump(data, sort_keys=False, default_flow_style=False)
    for name in ("profiles", "registers"):
        text = text.replace(f": {name}/", f": {CONFIG.parent}/{name}/")
    return text
