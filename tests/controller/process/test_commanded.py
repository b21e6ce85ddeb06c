"""The commanded mode survives a full disk, torn writes, a rename and commands that cross a stop."""

import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from controller.process.commanded import COMMANDED, SLOT_BYTES, Commanded, NoCommand, command, lower, read
from controller.process.failures import RecordError
from controller.process.modes import Mode
from tests.support.disks import full_disk, on_a_full_disk

BEFORE = """
from pathlib import Path; from controller.process.commanded import *; from controller.process.modes import Mode
lower(Path(), Mode.MONITOR, "first start")
command(Path(), Mode.ACTIVE, "operator", read(Path()).lowering)
"""
THEN = """
from pathlib import Path; from controller.process.commanded import *; from controller.process.modes import Mode
try:
    Path("another").write_bytes(bytes(4096)); print("not full")
except OSError:
    print(read(Path()).mode); lower(Path(), Mode.MONITOR, "stop"); print(read(Path()).mode, read(Path()).whole)
"""


def mode(state: Path) -> Mode:
    found = read(state)
    assert isinstance(found, Commanded)
    return found.mode


def raised(state: Path, to: Mode = Mode.ACTIVE) -> None:
    """An operator's command, given now."""
    found = read(state)
    assert isinstance(found, Commanded)
    command(state, to, "operator", found.lowering)


@pytest.fixture
def active(tmp_path: Path) -> Path:
    """A folder whose operator has commanded ACTIVE."""
    lower(tmp_path, Mode.MONITOR, "first start")
    raised(tmp_path)
    assert mode(tmp_path) is Mode.ACTIVE
    return tmp_path


def test_what_was_commanded_is_read_again(tmp_path: Path) -> None:
    assert read(tmp_path) is NoCommand.MISSING
    lower(tmp_path, Mode.OFF, "an operator's «reason»\n" * 99)
    assert mode(tmp_path) is Mode.OFF
    raised(tmp_path, Mode.MONITOR)
    assert mode(tmp_path) is Mode.MONITOR
    raised(tmp_path)
    assert mode(tmp_path) is Mode.ACTIVE
    assert (tmp_path / COMMANDED).stat().st_size == 2 * SLOT_BYTES


def test_off_stays_off_whatever_is_stopped(active: Path) -> None:
    lower(active, Mode.OFF, "operator")
    lower(active, Mode.MONITOR, "SIGTERM")
    assert mode(active) is Mode.OFF


def test_a_command_that_a_stop_has_overtaken_is_void(active: Path) -> None:
    before = read(active)
    assert isinstance(before, Commanded)
    lower(active, Mode.MONITOR, "emergency stop")
    with pytest.raises(RecordError, match="asked mode active"):
        command(active, Mode.ACTIVE, "operator, before the stop", before.lowering)
    assert mode(active) is Mode.MONITOR


def test_of_a_stop_and_commands_at_the_same_time_the_stop_prevails(active: Path) -> None:
    for _ in range(50):
        raised(active)
        before = read(active)
        assert isinstance(before, Commanded)
        with ThreadPoolExecutor(4) as pool:
            commands = [pool.submit(command, active, Mode.ACTIVE, "operator", before.lowering) for _ in range(3)]
            pool.submit(lower, active, Mode.MONITOR, "emergency stop").result()
        assert mode(active) is Mode.MONITOR, [it.exception() for it in commands]


@pytest.mark.parametrize("size", [0, 1, 300, SLOT_BYTES, 700])
@pytest.mark.parametrize("to", [Mode.MONITOR, Mode.OFF])
def test_a_lowering_needs_no_room_on_the_disk(size: int, to: Mode, active: Path) -> None:
    with full_disk(size):
        lower(active, to, "stop")
        assert to.allows(mode(active))
        with pytest.raises(RecordError):
            raised(active)
        lower(active, to, "stop")
    assert to.allows(mode(active))
    lower(active, to, "the disk has room again")
    found = read(active)
    assert isinstance(found, Commanded)
    assert (found.why, found.whole) == ("the disk has room again", True)
    raised(active)
    assert mode(active) is Mode.ACTIVE


def test_a_lowering_needs_no_room_on_a_file_system_without_any(tmp_path: Path) -> None:
    (disk := tmp_path / "disk").mkdir()
    assert on_a_full_disk(BEFORE, THEN, disk).split() == ["active", "monitor", "True"]


def test_a_command_from_before_a_rename_is_void(active: Path) -> None:
    before = read(active)
    assert isinstance(before, Commanded)
    with full_disk(1):
        lower(active, Mode.MONITOR, "stop")
    with pytest.raises(RecordError):
        command(active, Mode.ACTIVE, "operator", before.lowering)
    lower(active, Mode.MONITOR, "again")
    with pytest.raises(RecordError):
        command(active, Mode.ACTIVE, "operator", before.lowering)
    assert mode(active) is Mode.MONITOR


@pytest.mark.parametrize("torn", range(0, 2 * SLOT_BYTES, 97))
def test_a_torn_slot_never_raises_the_mode(torn: int, active: Path) -> None:
    lower(active, Mode.MONITOR, "stop")
    path = active / COMMANDED
    content = bytearray(path.read_bytes())
    content[torn] ^= 1
    path.write_bytes(content)
    assert read(active) is NoCommand.DAMAGED or mode(active) is Mode.MONITOR
    path.write_bytes(content[:torn])
    assert read(active) is NoCommand.DAMAGED or mode(active) is Mode.MONITOR
    lower(active, Mode.OFF, "again")
    assert mode(active) is Mode.OFF


def test_a_folder_that_cannot_be_written_is_an_error(active: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "pwrite", refused)
    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(RecordError, match="Read-only"):
        lower(active, Mode.MONITOR, "stop")
    assert mode(active) is Mode.ACTIVE


def test_the_stop_channel_loads_nothing_heavy() -> None:
    program = "import sys, controller.process.commanded; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert not {"asyncio", "numpy", "cvxpy", "pymodbus", "pydantic"} & set(loaded)
