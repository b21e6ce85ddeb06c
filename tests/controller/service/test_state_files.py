"""Files of the state folder that somebody removes or replaces while a service runs."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.process.commanded import Commanded, lower, read
from controller.process.heartbeat import HEARTBEAT, Heartbeat, read_heartbeat
from controller.process.lock import FolderLock, exclusive_lock
from controller.process.modes import Mode
from controller.service.state_files import StateFiles

AT = datetime(2018, 6, 21, 10, tzinfo=UTC)
BEAT = Heartbeat(1, Mode.ACTIVE, AT, 30.0, None)
ADDRESS = "api.json"


@pytest.fixture
def lock(tmp_path: Path) -> Iterator[FolderLock]:
    with exclusive_lock(tmp_path, "lock", "service") as lock:
        yield lock


@pytest.fixture
def files(tmp_path: Path, lock: FolderLock) -> StateFiles:
    """A service that has written all its files."""
    files = StateFiles(tmp_path, lock)
    (tmp_path / ADDRESS).write_text("{}")
    files.keep(ADDRESS)
    files.beat(BEAT)
    lower(tmp_path, Mode.ACTIVE, "an operator")
    assert files.check(Mode.ACTIVE) == ()
    return files


def _removed(path: Path) -> None:
    path.unlink()


def _replaced(path: Path) -> None:
    path.rename(path.with_suffix(".old"))
    path.write_text("[]")


@pytest.mark.parametrize("touch", [_removed, _replaced])
def test_what_was_removed_or_replaced_is_said_once_and_put_back(
    tmp_path: Path, files: StateFiles, touch: Callable[[Path], None]
) -> None:
    for name in (ADDRESS, HEARTBEAT, "lock"):
        touch(tmp_path / name)
        (said,) = files.check(Mode.ACTIVE)
        assert name in said
        assert touch.__name__.strip("_") in said
        files.beat(BEAT)
        assert files.check(Mode.ACTIVE) == ()
    assert (tmp_path / ADDRESS).read_text() == "{}"
    assert read_heartbeat(tmp_path) == BEAT


@pytest.mark.parametrize(("mode", "expected"), [(Mode.ACTIVE, Mode.ACTIVE), (Mode.MONITOR, Mode.MONITOR)])
def test_a_commanded_mode_that_was_removed_is_no_more_than_that_in_force(
    tmp_path: Path, files: StateFiles, mode: Mode, expected: Mode
) -> None:
    (tmp_path / "commanded").unlink()
    assert files.check(mode) == (f"commanded mode was missing; written again: {expected}",)
    found = read(tmp_path)
    assert isinstance(found, Commanded)
    assert found.mode is expected


def test_the_files_of_another_service_are_left_alone(tmp_path: Path, files: StateFiles) -> None:
    state, moved = tmp_path, tmp_path.with_name(f"{tmp_path.name}-moved")
    state.rename(moved)
    with exclusive_lock(state, "lock", "service"):
        for _ in range(2):
            (said,) = files.check(Mode.ACTIVE)
            assert "claimed by another process" in said
            assert not files.in_place
        assert [path.name for path in state.iterdir()] == ["lock"]


def test_a_state_folder_that_was_moved_is_begun_anew(tmp_path: Path, files: StateFiles) -> None:
    tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    said = files.check(Mode.ACTIVE)
    assert len(said) == 4
    assert files.in_place
    assert (tmp_path / ADDRESS).read_text() == "{}"
    files.beat(BEAT)
    assert files.check(Mode.ACTIVE) == ()
