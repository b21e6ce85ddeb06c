"""A service in real time whose disk is slow, whose port is flooded, or whose port another program uses."""

import json
import os
import resource
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from controller.process.heartbeat import HEARTBEAT
from tests.support.commands import GRIDLAB
from tests.support.guardians import guardian_process
from tests.support.idle_flood import idle_flood
from tests.support.laboratory import Laboratory, laboratory, wait_for
from tests.support.slow_fsync import slow_fsync

CYCLE_S = 10.0
HEARTBEAT_S = CYCLE_S + 10.0
"""Oldest heartbeat: 40 s with cycles of 30 s."""
STOP_S = 10.0
OBSERVED_S = 40.0
DESCRIPTORS, MANY = 1024, 4000
CONVERTERS = 5


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    with laboratory(tmp_path, realtime_s=CYCLE_S) as running:
        yield running


@contextmanager
def serving(
    lab: Laboratory, state: Path, environment: Mapping[str, str] | None = None, port: int = 0
) -> Iterator[subprocess.Popen[str]]:
    words = ("serve", str(lab.config), "--out", str(state / "run"), "--state", str(state), "--live-port", str(port))
    limits = (DESCRIPTORS, DESCRIPTORS)
    with (
        guardian_process(lab.config, state),
        state.with_suffix(".log").open("a") as log,
        subprocess.Popen(
            [*GRIDLAB, *words], stdout=subprocess.PIPE, stderr=log, text=True, env=environment,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits),
        ) as service,
    ):  # fmt: skip
        assert service.stdout
        try:
            assert "serving in MONITOR" in service.stdout.readline()
            yield service
        finally:
            service.kill()


def gridlab(state: Path, *words: str) -> str:
    command = [*GRIDLAB, *words, "--state", str(state)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout


def modes(lab: Laboratory) -> set[str]:
    return {converter["mode"] for converter in lab.ask(ask="truth")["converters"].values()}


def port_of(state: Path) -> int:
    return int(json.loads((state / "api.json").read_text())["port"])


def oldest_heartbeat_s(state: Path, seconds: float, between: Callable[[], object]) -> float:
    """The greatest age of the heartbeat within that time."""
    ends_s, oldest_s = time.monotonic() + seconds, 0.0
    while time.monotonic() < ends_s:
        between()
        oldest_s = max(oldest_s, time.time() - (state / HEARTBEAT).stat().st_mtime)
        time.sleep(0.25)
    return oldest_s


@pytest.mark.parametrize("attack", ["slow disk", "100 idle connections", f"{MANY} idle connections"])
def test_cycles_go_on_requests_are_answered_and_the_stop_gets_through(
    lab: Laboratory, tmp_path: Path, attack: str
) -> None:
    if "idle" in attack and resource.getrlimit(resource.RLIMIT_NOFILE)[1] < MANY + 200:
        pytest.skip(f"this machine allows fewer than {MANY} descriptors")
    state, (environment, slow) = tmp_path / "state", slow_fsync(tmp_path)
    state.mkdir()
    with serving(lab, state, environment if attack == "slow disk" else None) as service:
        gridlab(state, "mode", "active", "--yes")
        wait_for(lambda: modes(lab) == {"remote"}, 60)
        number = int(attack.split()[0]) if "idle" in attack else 0
        with idle_flood(port_of(state), number) if number else nullcontext():
            if not number:
                slow.touch()
            oldest_s = oldest_heartbeat_s(state, OBSERVED_S, lambda: gridlab(state, "status"))
            assert oldest_s <= HEARTBEAT_S, f"a heartbeat was {oldest_s:.1f} s old"
            assert modes(lab) == {"remote"}, "leases were not renewed"
            assert len(os.listdir(f"/proc/{service.pid}/fd")) < DESCRIPTORS - 100  # noqa: PTH208
            began_s = time.monotonic()
            assert gridlab(state, "stop").count("safe, read back") == CONVERTERS
            took_s = time.monotonic() - began_s
            assert took_s <= STOP_S, f"stopped in {took_s:.1f} s"
    assert modes(lab) == {"safe"}
    assert lab.ask(ask="referee")["violations"] == 0
    assert "Too many open files" not in state.with_suffix(".log").read_text()


def test_a_port_in_use_keeps_nothing_from_running(lab: Laboratory, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        asked = other.getsockname()[1]
        with serving(lab, state, port=asked):
            assert port_of(state) != asked
            gridlab(state, "mode", "active", "--yes")
            wait_for(lambda: f"port {asked} is used by another program" in gridlab(state, "status"), 60)
            assert modes(lab) == {"remote"}
            other.close()
            wait_for(lambda: port_of(state) == asked, 40)
            assert "mode active" in gridlab(state, "status")
