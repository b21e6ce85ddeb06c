"""One process of a kind per state folder, whatever happens to the lock file."""

from pathlib import Path

import pytest

from controller.process.lock import FolderLock, HeldElsewhereError, exclusive_lock, is_held
from core.errors import InputError
from tests.support.disks import child

HOLDER = """
import sys, pathlib
from controller.process.lock import exclusive_lock
with exclusive_lock(pathlib.Path(sys.argv[1]), "lock", "service"):
    print("held", flush=True)
    sys.stdin.read()
"""
OLDER = """
import sys, fcntl
with open(sys.argv[1], "w") as file:
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("held", flush=True)
    sys.stdin.read()
"""


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def refused(state: Path, lock: str = "lock") -> bool:
    """Whether a second service is refused."""
    try:
        with exclusive_lock(state, lock, "service"):
            return False
    except InputError:
        return True


@pytest.mark.parametrize("gone", ["kept", "removed", "replaced", "renamed"])
def test_a_second_process_is_refused_whatever_happened_to_the_lock_file(tmp_path: Path, gone: str) -> None:
    state, lock = tmp_path / "state", tmp_path / "state" / "lock"
    (tmp_path / "link").symlink_to(state)
    with child(HOLDER, state) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        if gone in ("removed", "replaced"):
            lock.unlink()
        if gone == "replaced":
            lock.touch()
        if gone == "renamed":
            lock.rename(state / "lock.1")
        for path in (state, tmp_path / "link", tmp_path / "state" / ".." / "state"):
            assert refused(path)
            assert is_held(path, "lock")
        assert not is_held(state, "guardian.lock")
        assert not refused(state, "guardian.lock"), "a guardian may run beside a service"
    process.wait()
    assert not is_held(state, "lock")
    assert not refused(state), "the claim ends with the process"


def test_a_folder_that_was_moved_stays_claimed_and_the_new_one_is_free(tmp_path: Path) -> None:
    with child(HOLDER, tmp_path / "state") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        (tmp_path / "state").rename(tmp_path / "moved")
        assert refused(tmp_path / "moved")
        assert not is_held(tmp_path / "state", "lock")


def test_a_service_of_an_older_version_is_seen(tmp_path: Path) -> None:
    with child(OLDER, tmp_path / "lock") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert is_held(tmp_path, "lock")
        assert refused(tmp_path)


def test_what_was_removed_is_locked_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with exclusive_lock(state, "lock", "service") as held:
        assert held.renew() is None
        (state / "lock").unlink()
        assert "lock was removed or replaced" in (held.renew() or "")
        assert (state / "lock").exists()
        assert held.renew() is None
        assert refused(state)
        state.rename(tmp_path / "moved")
        assert "state was removed or replaced" in (held.renew() or "")
        assert refused(state)
        assert not refused(tmp_path / "moved")
    assert not refused(state)


def test_a_folder_that_another_process_has_claimed_meanwhile_stays_its(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with exclusive_lock(state, "lock", "service") as held:
        state.rename(tmp_path / "moved")
        with exclusive_lock(state, "lock", "service"):
            for _ in range(2):
                with pytest.raises(HeldElsewhereError):
                    held.renew()
            assert refused(tmp_path / "moved"), "the first keeps its own"
        assert held.renew()
        assert refused(state)


def test_no_file_stays_open(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path, "lock", "service") as held:
        before = open_files()
        for _ in range(3):
            (tmp_path / "lock").unlink()
            held.renew()
            assert refused(tmp_path)
        assert open_files() == before
    with pytest.raises(HeldElsewhereError), FolderLock(tmp_path, "lock"), FolderLock(tmp_path, "lock"):
        pass
    assert open_files() == before - 2
