"""An audit trail whose file somebody removes, replaces, shortens or writes while it is open."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.process.failures import RecordError
from controller.record.audit import Attempt, AuditTrail
from controller.record.audit_check import KnownHeads, check_trail
from controller.record.audit_lines import AuditNote, read_audit
from core.devices import Outcome

AT = datetime(2018, 6, 21, 10, tzinfo=UTC)
N4 = Attempt("n4_converter", 1.25, -0.5, "use intraday", "p-7")


def _removed(path: Path) -> None:
    path.unlink()


def _rotated(path: Path) -> None:
    path.rename(path.with_name("audit.jsonl.1"))
    path.touch()


def _replaced(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content.replace(b"1.25", b"1.26"))


def _linked(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("elsewhere"))


def _folder_gone(path: Path) -> None:
    shutil.rmtree(path.parent)


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _written(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"hello\n")


def _overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b'{"seq": 7')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "run").mkdir()
    return tmp_path / "run" / "audit.jsonl"


@pytest.mark.parametrize("touch", [_removed, _rotated, _replaced, _linked, _folder_gone])
def test_what_was_removed_or_replaced_is_written_again_and_nothing_is_lost(
    path: Path, touch: Callable[[Path], None]
) -> None:
    with AuditTrail(path) as trail:
        (number,) = trail.begin(AT, [N4])
        touch(path)
        trail.complete(AT, {number: Outcome.VERIFIED})
        (said,) = trail.noticed()
        assert said.startswith("audit.jsonl was re")
        assert trail.noticed() == ()
        trail.check(AT)
        assert trail.noticed() == ()
        head = trail.head
    records = list(read_audit(path))
    assert [record.seq for record in records] == [1, 2, 1]
    assert [record.detail for record in records if isinstance(record, AuditNote)] == [said]
    assert check_trail(path, KnownHeads(head, (), "the journal")).whole


@pytest.mark.parametrize(
    ("touch", "said", "broken"),
    [
        (_emptied, "audit.jsonl was shortened from 280 to 0 bytes", "line 1 is missing"),
        (_cut, "audit.jsonl was shortened from 280 to 240 bytes", "line 1 is torn"),
        (_written, "audit.jsonl was written by somebody else", None),
        (_overwritten, "audit.jsonl was written by somebody else", "line 1 was changed"),
    ],
)
def test_what_was_done_inside_the_file_is_noticed_and_said(
    path: Path, touch: Callable[[Path], None], said: str, broken: str | None
) -> None:
    with AuditTrail(path) as trail:
        (number,) = trail.begin(AT, [N4])
        touch(path)
        trail.check(AT)
        assert trail.noticed() == (said,)
        trail.complete(AT, {number: Outcome.VERIFIED})
        assert trail.noticed() == ()
        head = trail.head
    assert (head.line, head.seq) == (3, 2)
    check = check_trail(path, KnownHeads(head, (), "the journal"))
    assert check.whole is (broken is None)
    assert broken is None or check.text == broken


def test_nothing_is_written_to_a_file_that_nobody_can_find(path: Path) -> None:
    """The folder cannot be made again: nothing may be written to a device."""
    with AuditTrail(path) as trail:
        trail.begin(AT, [N4])
        shutil.rmtree(path.parent)
        path.parent.touch()
        with pytest.raises(RecordError):
            trail.begin(AT, [N4])
        path.parent.unlink()
        assert trail.begin(AT, [N4]) == (3,)
        assert len(trail.noticed()) == 1
    assert [record.seq for record in read_audit(path)] == [1, 2, 3]
