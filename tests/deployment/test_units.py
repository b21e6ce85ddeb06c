"""The systemd units: what the system's own tools say of them, and what the design asks."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from controller.service.service import STOP_S
from realtime.timing import CYCLE_DEADLINE_S, CYCLE_S, LEASE_S
from tests.support.paths import CONFIGS
from tests.support.requirements import tool

SYSTEMD = CONFIGS / "systemd"
PLANNER, SERVICE, GUARDIAN = UNITS = "gridlab-planner.service", "gridlab.service", "gridlab-guardian.service"
ON_THE_DEVICES_NETWORK = SERVICE, GUARDIAN
PROGRAM = "/opt/gridlab/venv/bin/gridlab"
MOST_EXPOSED = 1.5
"""Of ``systemd-analyze security``, from 0 to 10."""
STOP_WITHIN_S = 25.0

Settings = dict[str, list[str]]


@pytest.fixture(scope="module")
def settings() -> dict[str, Settings]:
    """Of each unit: every value that a key is given, of all its sections."""
    return {unit: read(SYSTEMD / unit) for unit in UNITS}


def read(path: Path) -> Settings:
    found: Settings = {}
    for line in path.read_text().splitlines():
        if line and line[0] not in "#[":
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


@pytest.fixture(scope="module")
def analyze() -> str:
    return tool("systemd-analyze", "systemd")


@pytest.fixture(scope="module")
def laboratory(analyze: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a machine on which the units are installed as docs/how-to/deployment.md says."""
    root = tmp_path_factory.mktemp("laboratory")
    shutil.copytree("/usr/lib/systemd/system", root / "usr/lib/systemd/system", symlinks=True)
    folder, program = root / "etc/systemd/system", root / PROGRAM.lstrip("/")
    for unit in UNITS:
        (folder / f"{unit}.d").mkdir(parents=True)
        shutil.copy(SYSTEMD / unit, folder)
    for unit in ON_THE_DEVICES_NETWORK:
        shutil.copy(SYSTEMD / "devices.conf", folder / f"{unit}.d")
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return root


def test_the_units_are_sound(analyze: str, laboratory: Path) -> None:
    command = (analyze, "verify", "--man=no", f"--root={laboratory}", *UNITS)
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_exposes_little(unit: str, analyze: str, laboratory: Path) -> None:
    assert exposure(unit, analyze, laboratory) <= MOST_EXPOSED


def test_a_unit_without_protection_is_said_from_them(analyze: str, laboratory: Path) -> None:
    (laboratory / "etc/systemd/system/bare.service").write_text(f"[Service]\nExecStart={PROGRAM}\n")
    assert exposure("bare.service", analyze, laboratory) > 9


def exposure(unit: str, analyze: str, root: Path) -> float:
    command = (analyze, "security", "--no-pager", "--offline=true", f"--root={root}", unit)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout
    return float(found[1])


def test_the_planner_has_no_network(settings: dict[str, Settings]) -> None:
    planner = settings[PLANNER]
    assert planner["PrivateNetwork"] == ["true"]
    assert planner["IPAddressDeny"] == ["any"]
    assert planner["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert "IPAddressAllow" not in planner


@pytest.mark.parametrize("unit", ON_THE_DEVICES_NETWORK)
def test_only_a_drop_in_opens_the_way_to_devices(unit: str, settings: dict[str, Settings]) -> None:
    assert (settings[unit]["IPAddressDeny"], settings[unit]["IPAddressAllow"]) == (["any"], ["localhost"])
    assert read(SYSTEMD / "devices.conf").keys() == {"IPAddressAllow"}


def test_a_silent_service_is_restarted_after_its_leases_but_a_slow_cycle_is_no_silence(
    settings: dict[str, Settings],
) -> None:
    (watchdog_s,) = map(float, settings[SERVICE]["WatchdogSec"])
    assert watchdog_s >= 2 * CYCLE_S + CYCLE_DEADLINE_S
    assert watchdog_s >= LEASE_S
    assert settings[SERVICE]["Type"] == ["notify"]


def test_a_stop_has_time_to_bring_the_converters_to_their_safe_state(settings: dict[str, Settings]) -> None:
    service = settings[SERVICE]
    (stop_s,) = map(float, service["TimeoutStopSec"])
    assert stop_s >= STOP_WITHIN_S >= STOP_S
    assert service["KillMode"] == ["mixed"], "the planner's child must not be killed before it"


def test_the_guardian_outlives_the_service(settings: dict[str, Settings]) -> None:
    assert not {"Requires", "Requisite", "BindsTo", "PartOf"} & settings[GUARDIAN].keys()
    assert not any(SERVICE in value for value in settings[GUARDIAN].get("After", []))
    assert GUARDIAN in settings[SERVICE]["After"][0].split(), "on shutdown the service stops first"
    assert settings[GUARDIAN]["StartLimitIntervalSec"] == ["0"], "it is started again for ever"


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_runs_unprivileged_and_comes_back(unit: str, settings: dict[str, Settings]) -> None:
    found = settings[unit]
    assert found["User"][0].startswith("gridlab")
    assert found["ProtectSystem"] == ["strict"]
    assert found["Restart"] == ["always"]
    assert not {"Environment", "EnvironmentFile", "SetCredential"} & found.keys(), "secrets come from files"


def test_the_planners_socket_is_where_the_service_looks_for_it(settings: dict[str, Settings]) -> None:
    asks, listens = settings[SERVICE]["ExecStart"][0].split(), settings[PLANNER]["ExecStart"][0].split()
    path = listens[listens.index("--socket") + 1]
    assert asks[asks.index("--planner") + 1] == path
    assert Path(path).parent == Path("/run") / settings[PLANNER]["RuntimeDirectory"][0]
    assert settings[PLANNER]["Group"] == settings[SERVICE]["Group"]


def test_guardian_and_service_share_a_state_folder(settings: dict[str, Settings]) -> None:
    folders = set()
    for unit in ON_THE_DEVICES_NETWORK:
        command = settings[unit]["ExecStart"][0].split()
        folders.add((command[2], command[command.index("--state") + 1], settings[unit]["User"][0]))
    assert len(folders) == 1
