"""The guardian as a process of its own: in real time on a plant of another process, and led by a clock master."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from controller.guardian.trail import TRAIL
from controller.process.clocks import WallClock
from controller.process.heartbeat import Heartbeat, boot_id, read_takeover
from controller.process.modes import Mode
from controller.process.talk import FollowerError, running_module
from controller.record.audit_lines import AuditWrite, read_audit
from core.devices import Outcome, Setpoint
from core.load import load_config
from drivers.factory import DriverSettings, connect
from sim_plant.converter import ControlState
from sim_plant.plant import Plant, open_plant
from sim_plant.reports import address
from sim_plant.settings import plant_config
from tests.support.asynchronous import run
from tests.support.laboratory import Laboratory, laboratory, wait_for
from tests.support.paths import CONFIG, ROOT

GUARDIAN = (sys.executable, "-m", "controller.guardian")
START = datetime(2018, 6, 21, tzinfo=UTC)
HEAVY = {"pandas", "scipy", "cvxpy", "matplotlib", "piqp", "clarabel", "apscheduler", "uvicorn", "typer", "rich", "mpc"}


@contextmanager
def guarding(config: Path, state: Path) -> Iterator[subprocess.Popen[str]]:
    """The guardian, once it says that it guards."""
    words = (*GUARDIAN, str(config), "--state", str(state))
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stderr
        try:
            assert "guarding the service" in process.stderr.readline()
            yield process
        finally:
            process.kill()


def write_to_all(lab: Laboratory, epoch: int) -> set[Outcome]:
    async def write() -> set[Outcome]:
        devices = load_config(lab.config).converters
        async with connect(devices.values(), DriverSettings(lab.config.parent, 400.0, WallClock()), epoch) as found:
            return {await converter.write(Setpoint(0.1, 0.0, 75.0)) for converter in found.converters.values()}

    return run(write())


def modes(lab: Laboratory) -> set[str]:
    return {converter["mode"] for converter in lab.ask(ask="truth")["converters"].values()}


def beat(state: Path, epoch: int, ago_s: float = 0.0) -> None:
    Heartbeat(epoch, Mode.ACTIVE, datetime.now(UTC), time.monotonic() - ago_s, boot_id()).write(state)


def test_a_service_that_was_killed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with laboratory(tmp_path, realtime_s=30.0) as lab:
        assert write_to_all(lab, epoch=5) == {Outcome.VERIFIED}
        with guarding(lab.config, state) as guardian:
            beat(state, 5, ago_s=55.0)
            assert modes(lab) == {"remote"}
            wait_for(lambda: modes(lab) == {"safe"}, 9)
            assert write_to_all(lab, epoch=5) == {Outcome.REJECTED}
            takeover = read_takeover(state)
            assert takeover
            beat(state, takeover.epoch + 1)
            assert write_to_all(lab, epoch=takeover.epoch + 1) == {Outcome.VERIFIED}
            time.sleep(1.5)
            assert modes(lab) == {"remote"}
            guardian.send_signal(signal.SIGTERM)
            assert guardian.wait(10) == 0
        outcomes = [line.outcome for line in read_audit(state / TRAIL) if isinstance(line, AuditWrite)]
        assert sorted(outcomes) == ["attempted"] * 5 + ["verified"] * 5


def test_one_guardian_and_bad_input(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with guarding(CONFIG, state):
        words = [*GUARDIAN, str(CONFIG), "--state", str(state)]
        second = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
        assert (second.returncode, second.stderr.count("Traceback")) == (2, 0)
        assert "allowed: a folder that no running guardian uses" in second.stderr
    missing = subprocess.run([*GUARDIAN, "no.yaml"], capture_output=True, text=True, cwd=ROOT, check=False)
    assert missing.returncode == 2
    assert missing.stderr.startswith("no.yaml: ")


def test_it_is_small() -> None:
    program = (
        "import sys, controller.guardian.__main__, controller.guardian.follow;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = set(done.stdout.split())
    assert "drivers" in loaded
    assert not loaded & HEAVY


def plant_modes(plant: Plant) -> set[ControlState]:
    return {converter.state.mode for converter in plant.laboratory.converters.values()}


async def test_led_by_a_clock_master(tmp_path: Path) -> None:
    config = load_config(CONFIG)
    async with (
        open_plant(replace(plant_config(config, CONFIG, START), free_ports=True)) as plant,
        running_module("controller.guardian.follow", (), tmp_path / "guardian.log") as guardian,
    ):
        addresses = {device.name: dict(address(device)) for device in plant.devices}
        opening = {"config": str(CONFIG), "state": str(tmp_path), "start": START.isoformat()}
        assert await guardian.ask({"open": {**opening, "addresses": addresses}}) == {"guarding": 5}
        assert await guardian.ask({"tick": 0}) == {"took_over": False, "outcomes": {}}
        Heartbeat(5, Mode.ACTIVE, START, 0.0, None).write(tmp_path)
        for t_s in (30, 59.5):
            await plant.advance(t_s)
            assert not (await guardian.ask({"tick": t_s}))["took_over"]
        await plant.advance(60.0)
        answer = await guardian.ask({"tick": 60})
        assert answer == {"took_over": True, "outcomes": dict.fromkeys(plant.laboratory.converters, "verified")}
        assert plant_modes(plant) == {ControlState.SAFE}
        Heartbeat(7, Mode.ACTIVE, START, 61.0, None).write(tmp_path)
        assert await guardian.ask({"tick": 61}) == {"took_over": False, "outcomes": {}}
        began_s = asyncio.get_running_loop().time()
        for t_s in range(62, 112):
            await guardian.ask({"tick": t_s})
        assert asyncio.get_running_loop().time() - began_s < 5.0


async def test_what_a_clock_master_cannot_ask(tmp_path: Path) -> None:
    async def ask(request: dict[str, object]) -> str:
        try:
            async with running_module("controller.guardian.follow", (), tmp_path / "guardian.log") as guardian:
                await guardian.ask(request)
        except FollowerError as error:
            return str(error)
        return ""

    assert "allowed open, then tick" in (await ask({"tick": 1}))
