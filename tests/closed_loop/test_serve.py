"""The service in real time on the plant of another process, told by an operator and stopped by a signal."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from controller.record.audit_lines import AuditNote, AuditWrite, read_audit
from realtime.timing import POLL_S
from tests.support.commands import GRIDLAB
from tests.support.guardians import guardian_process
from tests.support.laboratory import Laboratory, laboratory, wait_for

CONVERTERS = {f"n{k}_converter" for k in (3, 4, 5, 7, 9)}


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Laboratory]:
    with laboratory(tmp_path, realtime_s=2.0) as running:
        yield running


@contextmanager
def serving(lab: Laboratory, state: Path, out: Path) -> Iterator[subprocess.Popen[str]]:
    """The service beside its guardian, once it says that it serves."""
    words = ("serve", str(lab.config), "--out", str(out), "--state", str(state))
    pipe = subprocess.PIPE
    log = state.with_suffix(".log").open("a")
    with (
        guardian_process(lab.config, state),
        log,
        subprocess.Popen([*GRIDLAB, *words], stdout=pipe, stderr=log, text=True, umask=0) as service,
    ):
        assert service.stdout
        try:
            service.said = service.stdout.readline()  # type: ignore[attr-defined]
            yield service
        finally:
            service.kill()


def gridlab(state: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [*GRIDLAB, *words, "--state", str(state)]
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def mode(state: Path, *words: str) -> str:
    done = gridlab(state, "mode", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def modes(lab: Laboratory) -> set[str]:
    return {converter["mode"] for converter in lab.ask(ask="truth")["converters"].values()}


def frames_of(lab: Laboratory, device: str) -> list[dict[str, object]]:
    return [f for f in map(json.loads, lab.frames.read_text().splitlines()) if f["device"] == device]


def test_monitor_active_stop(lab: Laboratory, tmp_path: Path) -> None:
    state, out = tmp_path / "state", tmp_path / "run"
    with serving(lab, state, out) as service:
        assert "serving in MONITOR" in service.said
        wait_for(lambda: "plan mpc" in mode(state) or "plan day-ahead" in mode(state), 20)
        wait_for(lambda: "grid model" in mode(state), 20)
        assert lab.ask(ask="referee")["frames"] == 0
        second = subprocess.run(
            [*GRIDLAB, "serve", str(lab.config), "--state", str(state), "--out", str(tmp_path / "other")],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert second.returncode == 2
        assert "allowed: a folder that no running service uses" in second.stderr
        unconfirmed = gridlab(state, "mode", "active")
        assert (unconfirmed.returncode, "allowed: --yes" in unconfirmed.stderr) == (2, True)
        assert "mode active" in mode(state, "active", "--yes")
        wait_for(lambda: modes(lab) == {"remote"}, 20)
        assert "mode monitor" in mode(state, "monitor")
        assert modes(lab) == {"safe"}
        mode(state, "active", "--yes")
        wait_for(lambda: modes(lab) == {"remote"}, 20)
        service.send_signal(signal.SIGTERM)
        said, _ = service.communicate(timeout=30)
        assert service.returncode == 0
    assert said.count("safe, read back") == 5
    assert modes(lab) == {"safe"}
    assert lab.ask(ask="referee")["violations"] == 0
    audit = list(read_audit(out / "audit.jsonl"))
    events = [line.detail for line in audit if isinstance(line, AuditNote) and line.event == "mode"]
    assert events == ["off → monitor", "monitor → active", "active → monitor", "monitor → active", "active → off"]
    assert {x.device for x in audit if isinstance(x, AuditWrite) and x.outcome == "verified"} == CONVERTERS


def test_a_killed_service_goes_on_where_it_was(lab: Laboratory, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serving(lab, state, tmp_path / "first"):
        mode(state, "active", "--yes")
        wait_for(lambda: modes(lab) == {"remote"}, 20)
        wait_for(lambda: len(frames_of(lab, "n3_converter")) >= 5, 30)
    before = frames_of(lab, "n3_converter")
    assert modes(lab) == {"remote"}
    with serving(lab, state, tmp_path / "second") as service:
        assert "serving in ACTIVE" in service.said
        wait_for(lambda: len(frames_of(lab, "n3_converter")) >= len(before) + 3, 20)
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=30)
        assert service.returncode == 0
    frames = frames_of(lab, "n3_converter")
    first = frames[len(before)]
    assert first["epoch"] == before[-1]["epoch"] + 1
    assert first["p_kw"] == pytest.approx(before[-1]["p_kw"], abs=2e-3)
    audit = list(read_audit(tmp_path / "second" / "audit.jsonl"))
    active = next(line for line in audit if isinstance(line, AuditNote) and line.event == "mode")
    renewed = next(line for line in audit if isinstance(line, AuditWrite))
    assert (renewed.time - active.time).total_seconds() < POLL_S / 2, "leases are renewed at once"
    assert lab.ask(ask="referee")["violations"] == 0


def test_a_signal_while_it_starts_releases_what_its_predecessor_left(lab: Laboratory, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serving(lab, state, tmp_path / "first"):
        mode(state, "active", "--yes")
        wait_for(lambda: modes(lab) == {"remote"}, 20)
    words = ("serve", str(lab.config), "--out", str(tmp_path / "second"), "--state", str(state))
    with (state.with_suffix(".log")).open("a") as log, subprocess.Popen([*GRIDLAB, *words], stderr=log) as starting:
        wait_for(lambda: (tmp_path / "second" / "audit.jsonl").exists(), 60)
        starting.send_signal(signal.SIGTERM)
        assert starting.wait(30) == 0
    assert modes(lab) == {"safe"}
    with serving(lab, state, tmp_path / "third") as service:
        assert "serving in MONITOR" in service.said
    assert lab.ask(ask="referee")["violations"] == 0


def test_an_operator_looks_overrides_and_stops(lab: Laboratory, tmp_path: Path) -> None:
    state, out = tmp_path / "state", tmp_path / "run"
    with serving(lab, state, out) as service:
        mode(state, "active", "--yes")
        wait_for(lambda: modes(lab) == {"remote"}, 20)
        wait_for(lambda: gridlab(state, "status").stdout.count("remote") == 5, 20)
        assert "mode active" in gridlab(state, "status").stdout
        assert open_to_others(state) == open_to_others(out) == {}, "with the files beside an open database"
        told = gridlab(state, "override", "n3_converter", "--p", "1.5", "--for", "10")
        assert "n3_converter: override 1.5 kW, 0 kvar" in told.stdout, told.stderr
        stopped = gridlab(state, "stop")
        assert stopped.returncode == 0
        assert stopped.stdout.count("safe, read back") == 5
        assert modes(lab) == {"safe"}
        assert set(listening(service.pid)) == {"127.0.0.1"}
        service.send_signal(signal.SIGTERM)
        service.communicate(timeout=30)
    assert not (state / "api.json").exists()
    tokens = [(state / "tokens" / role).read_text().strip() for role in ("viewer", "operator")]
    written = [*out.rglob("*"), state.with_suffix(".log")]
    assert not [p for p in written if p.is_file() and any(token.encode() in p.read_bytes() for token in tokens)]
    assert lab.ask(ask="referee")["violations"] == 0


def open_to_others(folder: Path) -> dict[str, str]:
    """Files and folders that others than user and group may use, or that the group may write, with their modes."""
    modes = {str(path): path.lstat().st_mode for path in (folder, *folder.rglob("*"))}
    return {name: f"{mode:o}" for name, mode in modes.items() if mode & 0o027}


def listening(pid: int) -> list[str]:
    """Where the service listens, and every process that it has started."""
    service = psutil.Process(pid)
    sockets = [c for p in (service, *service.children(recursive=True)) for c in p.net_connections()]
    return [c.laddr.ip for c in sockets if c.status == psutil.CONN_LISTEN]


def test_nobody_to_talk_to(tmp_path: Path) -> None:
    done = subprocess.run(
        [*GRIDLAB, "mode", "active", "--state", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "allowed: the state folder of a running `gridlab serve`" in done.stderr
