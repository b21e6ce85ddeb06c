"""``gridlab stop`` on real processes: everything is read back as safe within 10 s of Enter, whatever is wrong."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from controller.chaos.raw_http import still_open
from controller.guardian.trail import DIRECT_TRAIL, STOP_TRAIL
from controller.process import commanded
from controller.process.modes import Mode
from controller.record.audit_lines import AuditNote, AuditWrite, read_audit
from tests.support.commands import GRIDLAB
from tests.support.laboratory import Laboratory, laboratory, wait_for

WITHIN_S = 10.0
ASKED = 5
"""How often the status is asked for during a flood: a service that refuses some connections may answer once by luck."""
SHIM = Path(__file__).parents[1] / "support" / "slow_disk.c"


@dataclass(frozen=True)
class Site:
    """A plant with a state folder; ``service`` is the last one started."""

    lab: Laboratory
    state: Path
    out: Path
    stack: ExitStack

    @property
    def modes(self) -> set[str]:
        return {converter["mode"] for converter in self.lab.ask(ask="truth")["converters"].values()}

    def gridlab(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*GRIDLAB, *words, "--state", str(self.state)]
        return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)

    def start(self, **environment: str) -> subprocess.Popen[str]:
        """Start the service, without waiting for it."""
        words = ("serve", str(self.lab.config), "--out", str(self.out), "--state", str(self.state), "--live-port", "0")
        log = self.stack.enter_context(self.state.with_suffix(".log").open("a"))
        pipe, env = subprocess.PIPE, {**os.environ, **environment}
        service = subprocess.Popen([*GRIDLAB, *words], stdout=pipe, stderr=log, text=True, env=env)
        self.stack.callback(partial(end, service))
        return service

    def active(self, *, guarded: bool = False, **environment: str) -> subprocess.Popen[str]:
        """Start the service, and wait until converters follow it; after that no guardian lives unless ``guarded``."""
        guardian = self.guard()
        service = self.start(**environment)
        assert service.stdout
        assert "serving" in service.stdout.readline()
        self.activate()
        if not guarded:
            guardian.kill()
            guardian.wait()
        return service

    def activate(self) -> None:
        assert self.gridlab("mode", "active", "--yes").returncode == 0
        wait_for(lambda: self.modes == {"remote"}, 60)

    def guard(self) -> subprocess.Popen[str]:
        """Start the guardian."""
        words = [*GRIDLAB, "guardian", str(self.lab.config), "--state", str(self.state)]
        guardian = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        self.stack.callback(partial(end, guardian))
        assert guardian.stderr
        assert "guarding" in guardian.stderr.readline()
        return guardian

    def stop(self) -> str:
        """Stop; what was printed. Everything is safe in time, and the next mode is MONITOR."""
        begun_s = time.monotonic()
        done = self.gridlab("stop")
        took_s = time.monotonic() - begun_s
        sys.stderr.write(f"stopped in {took_s:.1f} s\n{done.stdout}{done.stderr}")
        assert self.modes == {"safe"}
        assert (done.returncode, done.stdout.count("safe, read back")) == (0, 5)
        assert took_s <= WITHIN_S
        wait_for(lambda: self.commanded is Mode.MONITOR, 20)
        return done.stdout

    def answers(self) -> None:
        """Every request for the status is answered."""
        for number in range(ASKED):
            done = self.gridlab("status")
            assert done.returncode == 0, f"request {number + 1} of {ASKED}: {done.stdout}{done.stderr}"

    @property
    def commanded(self) -> Mode | None:
        known = commanded.read(self.state)
        return known.mode if isinstance(known, commanded.Commanded) else None

    def notes(self, trail: str) -> list[str]:
        return [line.detail for line in read_audit(self.state / trail) if isinstance(line, AuditNote)]


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with laboratory(tmp_path, realtime_s=5.0) as lab, ExitStack() as stack:
        yield Site(lab, tmp_path / "state", tmp_path / "run", stack)


@contextmanager
def connections(site: Site, count: int) -> Iterator[None]:
    """Hold this many silent connections to the service, and open each again as soon as it is closed."""
    port, over = json.loads((site.state / "api.json").read_text())["port"], threading.Event()

    def hold(share: int) -> None:
        held: list[socket.socket] = []
        while not over.is_set():
            held = [one for one in held if still_open(one)]
            while len(held) < share and not over.is_set():
                with suppress(OSError):
                    held.append(socket.create_connection(("127.0.0.1", port), 0.2))
            time.sleep(0.02)
        for one in held:
            one.close()

    threads = [threading.Thread(target=hold, args=(count // 4,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_during_a_hundred_idle_connections_reopened_without_end(site: Site) -> None:
    site.active()
    with connections(site, 100):
        time.sleep(3)
        site.answers()
        site.stop()


def test_during_4000_connections_under_a_limit_of_1024_descriptors(site: Site) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        service = site.active()
        resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (1024, hard))
        with connections(site, 4000):
            time.sleep(5)
            site.answers()
            site.stop()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def slow_disk(tmp_path: Path) -> Mapping[str, str]:
    """Environment of a service whose disk is slow once the file ``slow`` is there."""
    library = tmp_path / "slow_disk.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", str(library), str(SHIM), "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SLOW_WHILE": str(tmp_path / "slow")}


def test_with_three_seconds_per_fsync(site: Site, slow_disk: Mapping[str, str]) -> None:
    site.active(**slow_disk)
    Path(slow_disk["SLOW_WHILE"]).touch()
    time.sleep(2)
    site.stop()
    Path(slow_disk["SLOW_WHILE"]).unlink()
    wait_for(lambda: "mode monitor" in site.gridlab("mode").stdout, 60)
    time.sleep(6)
    assert site.modes == {"safe"}


@pytest.mark.parametrize("after_s", [0.3, 1.5, 3.0])
def test_while_the_service_starts_and_leases_live(site: Site, after_s: float) -> None:
    site.active().kill()
    service = site.start()
    wait_for(lambda: (site.state / "stop.sock").exists(), 30)
    time.sleep(after_s)
    assert site.modes == {"remote"}
    site.stop()
    assert service.stdout
    assert "serving in MONITOR" in service.stdout.readline()
    time.sleep(6)
    assert site.modes == {"safe"}


@pytest.mark.parametrize("guarded", [False, True])
def test_after_the_service_was_killed(site: Site, guarded: bool) -> None:
    service = site.active(guarded=guarded)
    service.kill()
    service.wait()
    assert site.modes == {"remote"}
    said = site.stop()
    assert ("the guardian does not run" in said, "asking gridlab stop itself" in said) == (not guarded, not guarded)
    after = site.start()
    assert after.stdout
    assert "serving in MONITOR" in after.stdout.readline()
    assert site.modes == {"safe"}


@pytest.mark.parametrize("guarded", [False, True])
def test_while_the_service_is_suspended(site: Site, guarded: bool) -> None:
    service = site.active(guarded=guarded)
    service.send_signal(signal.SIGSTOP)
    site.stop()
    if not guarded:
        assert any("a living process holds the lock" in note for note in site.notes(DIRECT_TRAIL))
        writes = [line for line in read_audit(site.state / DIRECT_TRAIL) if isinstance(line, AuditWrite)]
        assert [write.outcome for write in writes].count("verified") == 5
    service.send_signal(signal.SIGCONT)
    wait_for(lambda: "mode monitor" in site.gridlab("mode").stdout, 60)
    assert site.modes == {"safe"}
    wait_for(lambda: len(site.notes(STOP_TRAIL)) > 0, 20)


def test_where_nothing_was_ever_commanded(tmp_path: Path) -> None:
    command = [*GRIDLAB, "stop", "--state", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "or --config" in done.stderr


def test_a_folder_without_names_of_converters(site: Site) -> None:
    """The configuration names them, and a converter that cannot be reached is named."""
    site.active().kill()
    (site.state / "converters.json").unlink()
    done = site.gridlab("stop")
    assert done.returncode == 2
    site.lab.ask(fault="down", device="n5_converter", on=True)
    done = site.gridlab("stop", "--config", str(site.lab.config))
    assert done.returncode == 1
    assert done.stdout.count("safe, read back") == 4
    assert done.stderr == "not known to be safe, their leases end within 75 s: n5_converter\n"
