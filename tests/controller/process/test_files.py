"""Files are replaced at once, or overwritten in place."""

from pathlib import Path

import pytest

from controller.process.files import overwrite, replace_file
from tests.support.disks import full_disk


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_by_a_new_one_and_nothing_is_left_beside_it(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "small.json"
    replace_file(path, b"old", durable=durable)
    before = path.open("rb")
    with before:
        replace_file(path, b"new", durable=durable)
        assert before.read() == b"old", "who reads it has the old one whole"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_on_a_full_disk_the_old_file_stays_and_an_overwrite_in_place_succeeds(tmp_path: Path) -> None:
    path = tmp_path / "small.json"
    replace_file(path, b"old!", durable=True)
    with full_disk(4), pytest.raises(OSError, match="File too large"):
        replace_file(path, b"longer than before", durable=True)
    with full_disk(4):
        overwrite(path, b"new!", 0, durable=True)
    assert path.read_bytes() == b"new!"


@pytest.mark.parametrize("durable", [False, True])
def test_a_part_is_overwritten_in_place(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "slots"
    path.write_bytes(b"aaaabbbb")
    file = path.stat().st_ino
    overwrite(path, b"cccc", 4, durable=durable)
    assert (path.read_bytes(), path.stat().st_ino) == (b"aaaacccc", file)


def test_what_is_not_there_is_not_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        overwrite(tmp_path / "slots", b"cccc", 4, durable=True)
    assert list(tmp_path.iterdir()) == []
