"""The systemd units: what the system's own tools say of them, and what the design asks."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from controller.api.tokens import Tokens
from controller.process.lock import SERVICE_LOCK, exclusive_lock
from controller.record.journal import Journal
from controller.service.service import STOP_S
from realtime.timing import CYCLE_DEADLINE_S, CYCLE_S, LEASE_S
from tests.support.paths import CONFIGS
from tests.support.requirements import tool

SYSTEMD = CONFIGS / "systemd"
PLANNER, SERVICE, GUARDIAN = UNITS = "gridlab-planner.service", "gridlab.service", "gridlab-guardian.service"
ON_THE_DEVICES_NETWORK = SERVICE, GUARDIAN
ALERT = "gridlab-alert@.service"
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
    shutil.copy(SYSTEMD / ALERT, folder)
    for unit in ON_THE_DEVICES_NETWORK:
        shutil.copy(SYSTEMD / "devices.conf", folder / f"{unit}.d")
    for name in ("usr/bin/systemd-cat", "usr/bin/wall", "bin/echo", "etc/gridlab/alert"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("#!/bin/sh\n")
        (root / name).chmod(0o755)
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return root


def test_the_units_are_sound(analyze: str, laboratory: Path) -> None:
    command = (analyze, "verify", "--man=no", f"--root={laboratory}", *UNITS, ALERT.replace("@", "@gridlab"))
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
    assert settings[PLANNER]["Group"][0] in settings[SERVICE]["SupplementaryGroups"][0].split()


def test_guardian_and_service_share_a_state_folder(settings: dict[str, Settings]) -> None:
    folders = set()
    for unit in ON_THE_DEVICES_NETWORK:
        command = settings[unit]["ExecStart"][0].split()
        folders.add((command[2], command[command.index("--state") + 1], settings[unit]["User"][0]))
    assert len(folders) == 1


@pytest.mark.parametrize("unit", UNITS)
def test_people_hear_of_a_unit_that_failed(unit: str, settings: dict[str, Settings]) -> None:
    assert settings[unit]["OnFailure"] == ["gridlab-alert@%n.service"]
    commands = read(SYSTEMD / ALERT)["ExecStart"]
    assert "--priority=alert" in commands[0]
    assert all("%i" in command for command in commands)
    assert commands[-1] == "-/etc/gridlab/alert %i", "the program of the site, which may be missing"


@pytest.mark.parametrize("unit", UNITS)
def test_memory_and_descriptors_are_limited(unit: str, settings: dict[str, Settings]) -> None:
    (high,), (most,) = settings[unit]["MemoryHigh"], settings[unit]["MemoryMax"]
    assert 0.5 * size(most) <= size(high) < size(most)
    assert 1024 <= int(settings[unit]["LimitNOFILE"][0]) <= 16384


def size(text: str) -> int:
    return int(text[:-1]) * {"M": 2**20, "G": 2**30}[text[-1]]


def test_the_planner_is_the_first_to_go_and_the_guardian_the_last(settings: dict[str, Settings]) -> None:
    scores = [int(settings[unit]["OOMScoreAdjust"][0]) for unit in (GUARDIAN, SERVICE, PLANNER)]
    assert scores == sorted(scores)
    assert scores[0] < scores[1] < 0 < scores[2]
    assert settings[PLANNER]["OOMPolicy"] == ["continue"], "it loses its child, and answers that there is no plan"


KEYS, STATE, TOKENS, SOCKET = "keys/plant.pem", "state/journal.sqlite", "state/tokens/operator", "planner.sock"
USERS = {"gridlab": 10001, "gridlab-planner": 10002}
"""Of users, and of the groups of the same name."""


@pytest.fixture
def machine(settings: dict[str, Settings], tmp_path: Path) -> Path:
    """The files of a lab PC as the guide, the units and the program make them; owners only where the test is root."""
    (tmp_path / "keys").mkdir()
    (tmp_path / KEYS).write_text("key")
    (tmp_path / "keys").chmod(0o750)
    (tmp_path / KEYS).chmod(0o640)
    state = tmp_path / "state"
    umask = os.umask(int(settings[SERVICE]["UMask"][0], 8))
    try:
        with exclusive_lock(state, SERVICE_LOCK, "service"), Journal(tmp_path / STATE):
            Tokens.of(state)
    finally:
        os.umask(umask)
    with socket.socket(socket.AF_UNIX) as planner:
        planner.bind(str(tmp_path / SOCKET))
    (tmp_path / SOCKET).chmod(0o660)
    return tmp_path


def owners(machine: Path, settings: dict[str, Settings]) -> dict[str, tuple[int, int]]:
    """User and group of each file that one of the units or the guide gives it."""
    service, planner = (USERS[settings[unit]["User"][0]] for unit in (SERVICE, PLANNER))
    planners = USERS[settings[PLANNER]["Group"][0]]
    of_service = {str(path.relative_to(machine)): (service, service) for path in (machine / "state").rglob("*")}
    return {
        "keys": (0, service),
        KEYS: (0, service),
        "state": (service, service),
        SOCKET: (planner, planners),
    } | of_service


def groups(unit: Settings) -> set[int]:
    return {USERS[name] for name in (*unit["Group"], *" ".join(unit.get("SupplementaryGroups", [])).split())}


def may(unit: Settings, machine: Path, name: str, settings: dict[str, Settings], bit: int = 4) -> bool:
    """Whether the modes let the unit's user at a file, through all folders above it; ``bit`` as in a mode."""
    owned, user = owners(machine, settings), USERS[unit["User"][0]]
    steps = [*Path(name).parents][:-1][::-1]
    for path, needed in (*((str(step), 1) for step in steps), (name, bit)):
        mode, (owner, group) = (machine / path).stat().st_mode, owned[path]
        shift = 6 if user == owner else 3 if group in groups(unit) else 0
        if not mode >> shift & needed:
            return False
    return True


def test_the_planner_can_read_neither_keys_nor_tokens_nor_the_state(
    machine: Path, settings: dict[str, Settings]
) -> None:
    for name in owners(machine, settings):
        assert may(settings[PLANNER], machine, name, settings) is (name == SOCKET), name
    assert not groups(settings[PLANNER]) & {USERS["gridlab"]}


def test_the_service_can_read_all_of_it_and_speak_to_the_planner(machine: Path, settings: dict[str, Settings]) -> None:
    assert all(may(settings[SERVICE], machine, name, settings) for name in owners(machine, settings))
    assert may(settings[SERVICE], machine, SOCKET, settings, bit=2)
    assert may(settings[GUARDIAN], machine, KEYS, settings)
    assert may(settings[GUARDIAN], machine, STATE, settings)
    assert not may(settings[GUARDIAN], machine, SOCKET, settings, bit=2)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes other users")
def test_the_kernel_says_the_same(settings: dict[str, Settings]) -> None:
    """With real owners and real processes, in a folder that everybody may enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        machine = Path(folder)
        machine.chmod(0o711)
        (machine / "keys").mkdir(mode=0o750)
        (machine / KEYS).write_text("key")
        (machine / KEYS).chmod(0o640)
        for path in (machine / "keys", machine / KEYS):
            os.chown(path, 0, USERS["gridlab"])
        for unit, reads in ((SERVICE, True), (GUARDIAN, True), (PLANNER, False)):
            user, (group, *others) = USERS[settings[unit]["User"][0]], sorted(groups(settings[unit]))
            done = subprocess.run(
                ["cat", machine / KEYS], user=user, group=group, extra_groups=others, capture_output=True
            )
            assert (done.returncode == 0) is reads, unit


def test_what_units_make_is_for_user_and_group(settings: dict[str, Settings]) -> None:
    for unit in UNITS:
        assert settings[unit]["UMask"] == ["0027"]
    for unit in ON_THE_DEVICES_NETWORK:
        assert settings[unit]["StateDirectoryMode"] == ["0750"]
    assert settings[PLANNER]["RuntimeDirectoryMode"] == ["0750"]
