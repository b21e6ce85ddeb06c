"""What the hash chain of an audit trail proves: the first line that was changed, removed, moved or torn is named."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from controller.process.failures import RecordError
from controller.record.audit import Attempt, AuditTrail
from controller.record.audit_chain import AuditHead
from controller.record.audit_check import KnownHeads, TrailCheck, check_run, check_trail
from controller.record.audit_heads import JournalHead
from controller.record.audit_lines import read_audit
from controller.record.journal import Journal
from core.devices import Outcome
from tests.support.disks import full_disk

AT = datetime(2018, 6, 21, 10, tzinfo=UTC)
N4 = Attempt("n4_converter", 1.25, -0.5, "use intraday", "p-7")
NOWHERE = KnownHeads(None, (), "")
LINES = 9


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def head(path: Path) -> AuditHead:
    """The head of a trail of nine lines."""
    with AuditTrail(path) as trail:
        for k in range(3):
            (number,) = trail.begin(AT, [N4])
            trail.complete(AT, {number: Outcome.VERIFIED})
            trail.note(AT, "mode", f"“é” {k}")
        return trail.head


def knowing(head: AuditHead) -> KnownHeads:
    return KnownHeads(head, (), "the journal")


def edited(path: Path, edit: Callable[[list[bytes]], object]) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    edit(lines)
    path.write_bytes(b"".join(lines))


def forged(lines: list[bytes], first: int) -> None:
    """Change a line and write all hashes after it anew, as somebody does who knows how."""
    previous = json.loads(lines[first - 1])["hash"]
    for k in range(first, len(lines)):
        values = json.loads(lines[k])
        del values["hash"]
        body = json.dumps({**values, "time": "2018-06-21T11:00:00+00:00"}, ensure_ascii=False).encode()
        previous = sha256(previous.encode() + body).hexdigest()
        lines[k] = body[:-1] + f', "hash": "{previous}"}}\n'.encode()


def replaced(line: int, old: bytes, new: bytes) -> Callable[[list[bytes]], object]:
    def edit(lines: list[bytes]) -> None:
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new)

    return edit


def test_what_nobody_touched_is_whole(path: Path, head: AuditHead) -> None:
    assert (head.line, head.seq) == (LINES, 6)
    assert check_trail(path, knowing(head)) == TrailCheck(
        path.name, True, "whole, lines 1 to 9; the journal knows the last one"
    )
    assert check_trail(path, NOWHERE).text.endswith("there is no journal, so lines may be missing at the end")


def test_a_head_that_is_behind_proves_what_is_before_it(path: Path) -> None:
    with AuditTrail(path) as trail:
        trail.begin(AT, [N4])
        behind = trail.head
        trail.begin(AT, [N4])
    assert check_trail(path, knowing(behind)).text == (
        "whole, lines 1 to 2; the journal knows line 1, so lines may be missing only after it"
    )


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (replaced(4, b"1.25", b"1.26"), "line 4 was changed"),
        (replaced(4, b'"seq": 3', b'"seq": 2'), "line 4 was changed"),
        (replaced(9, "é".encode(), b"e"), "line 9 was changed"),
        (replaced(1, b'"hash": "', b'"hash":  "'), "line 1 is missing"),
        (lambda lines: lines.pop(0), "line 1 is missing"),
        (lambda lines: lines.pop(4), "line 5 is missing"),
        (lambda lines: lines.__delitem__(slice(2, 5)), "lines 3 to 5 are missing"),
        (lambda lines: lines.insert(5, lines[2]), "line 3 stands again after line 5, or was moved"),
        (lambda lines: lines.insert(2, lines.pop(5)), "lines 3 to 5 are missing"),
        (lambda lines: lines.insert(3, b'{"seq": 99, "event": "mode"}\n'), "after line 3 stands a line without hash"),
        (lambda lines: lines.__setitem__(3, lines[3][:50] + b"\n"), "line 4 is torn"),
        (lambda lines: lines.__setitem__(3, b"\0" * 600), "lines 4 to 5 are torn or missing"),
        (lambda lines: forged(lines, 5), "a line up to 9 was changed, and all after it were written anew"),
        (lambda lines: lines.pop(), "line 9 is missing at the end: the journal knows line 9"),
        (lambda lines: lines.__delitem__(slice(5, None)), "lines 6 to 9 are missing at the end"),
        (lambda lines: lines.clear(), "lines 1 to 9 are missing at the end"),
        (lambda lines: lines.__setitem__(8, lines[8][:-2]), "line 9 is missing at the end"),
    ],
)
def test_the_first_line_that_is_not_as_it_was_written_is_named(
    path: Path, head: AuditHead, edit: Callable[[list[bytes]], object], found: str
) -> None:
    edited(path, edit)
    check = check_trail(path, knowing(head))
    assert (check.whole, check.text[: len(found)]) == (False, found)


def test_a_last_line_that_lacks_its_end_alone_goes_on(path: Path, head: AuditHead) -> None:
    edited(path, lambda lines: lines.__setitem__(8, lines[8][:-1]))
    assert check_trail(path, knowing(head)).whole
    with AuditTrail(path) as trail:
        trail.note(AT, "mode", "")
        assert trail.head.line == LINES + 1
    assert check_trail(path, knowing(head)).whole


def test_every_single_bit_counts(path: Path, head: AuditHead) -> None:
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        assert not check_trail(path, knowing(head)).whole, whole[at - 20 : at + 1]


def test_the_chain_goes_on_after_a_restart_and_after_damage(path: Path, head: AuditHead) -> None:
    edited(path, replaced(4, b"1.25", b"1.26"))
    with AuditTrail(path, known=lambda: head) as trail:
        assert trail.noticed() == ("audit.jsonl: line 4 was changed",)
        trail.note(AT, "mode", "")
        end = trail.head
    assert end.line == LINES + 1
    assert check_trail(path, knowing(end)).text == "line 4 was changed"
    edited(path, replaced(4, b"1.26", b"1.25"))
    assert check_trail(path, knowing(end)).whole


@pytest.mark.parametrize("kept", [0, 6])
def test_an_end_that_was_cut_off_while_nobody_wrote_is_said_in_the_trail(
    path: Path, head: AuditHead, kept: int
) -> None:
    edited(path, lambda lines: lines.__delitem__(slice(kept, None)))
    with AuditTrail(path, known=lambda: head) as trail:
        assert trail.begin(AT, [N4]) == (8,)
        assert trail.noticed() == (f"audit.jsonl: lines {kept + 1} to 9 are missing",)
    note = list(read_audit(path))[kept + 0]
    assert (note.seq, getattr(note, "detail", "")) == (7, f"lines {kept + 1} to 9 are missing")
    assert check_trail(path, knowing(head)).text == f"lines {kept + 1} to 9 are missing"


def test_a_fragment_that_a_full_disk_left_is_no_fault(path: Path) -> None:
    with AuditTrail(path) as trail:
        trail.begin(AT, [N4])
        with full_disk(path.stat().st_size + 400), pytest.raises(RecordError):
            trail.begin(AT, [N4, N4, N4])
        trail.begin(AT, [N4])
        end = trail.head
    assert end.line == 3
    assert check_trail(path, knowing(end)).text == (
        "whole, lines 1 to 3, 1 incomplete line passed over; the journal knows the last one"
    )


def test_lines_of_an_older_version_are_sealed_by_the_first_with_a_hash(path: Path) -> None:
    older = b'{"seq": 1, "time": "2018-06-21T10:00:00+00:00", "event": "mode", "detail": "off", "schema_version": 1}\n'
    path.write_bytes(older + older[:30])
    check = check_trail(path, NOWHERE)
    assert (check.whole, check.text[:30]) == (None, "1 lines of a version without hashes"[:30])
    with AuditTrail(path) as trail:
        trail.note(AT, "mode", "monitor")
        end = trail.head
    assert [record.seq for record in read_audit(path)] == [1, 2]
    assert check_trail(path, knowing(end)).whole
    path.write_bytes(path.read_bytes().replace(b'"off"', b'"mon"'))
    assert check_trail(path, knowing(end)).text == "line 1 was changed"


def stripped(line: bytes) -> bytes:
    values = json.loads(line)
    return json.dumps({key: value for key, value in values.items() if key not in ("line", "hash")}).encode() + b"\n"


def test_a_trail_without_its_hashes_does_not_pass_for_an_older_one(path: Path, head: AuditHead) -> None:
    edited(path, lambda lines: lines.__setitem__(slice(None), list(map(stripped, lines))))
    assert check_trail(path, knowing(head)).whole is False
    assert check_trail(path, NOWHERE).whole is None


def test_the_chain_goes_through_all_parts(path: Path) -> None:
    with AuditTrail(path, part_bytes=1500) as trail:
        for _ in range(30):
            (number,) = trail.begin(AT, [N4])
            trail.complete(AT, {number: Outcome.VERIFIED})
        end = trail.head
    parts = sorted(part.name for part in path.parent.iterdir())
    assert parts[:2] == ["audit-0001.jsonl", "audit-0002.jsonl"]
    assert len(parts) > 5
    assert all(part.stat().st_size < 2200 for part in path.parent.iterdir())
    records = list(read_audit(path))
    assert sum(getattr(record, "outcome", "") == "verified" for record in records) == 30
    check = check_trail(path, knowing(end))
    assert check.text.startswith(f"whole, lines 1 to {end.line} in {len(parts)} parts; the journal knows the last")
    with AuditTrail(path, part_bytes=1500) as trail:
        assert trail.head == end
        assert trail.begin(AT, [N4]) > (max(record.seq for record in records),)
    (path.parent / "audit-0002.jsonl").unlink()
    assert "are missing" in check_trail(path, knowing(end)).text


def test_a_death_between_two_parts_doubles_no_line(path: Path, head: AuditHead) -> None:
    (path.parent / "audit-0001.jsonl").hardlink_to(path)
    assert check_trail(path, knowing(head)).whole
    path.unlink()
    assert check_trail(path, knowing(head)).whole
    with AuditTrail(path) as trail:
        assert trail.head == head


def test_a_run_is_checked_against_the_journal_of_its_service(tmp_path: Path, path: Path, head: AuditHead) -> None:
    with Journal(tmp_path / "journal.sqlite") as journal:
        kept = JournalHead(journal, path)
        assert kept.load() is None
        kept.keep(head)
        assert kept.load() == head
        (check,) = check_run(tmp_path, tmp_path)
        assert check.text.endswith("the journal knows the last one"), "also while a service runs"
    edited(path, lambda lines: lines.pop())
    (check,) = check_run(tmp_path, tmp_path)
    assert check.text.startswith("line 9 is missing at the end")
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("audit.jsonl", "journal.sqlite"):
        (tmp_path / name).rename(moved / name)
    (check,) = check_run(moved, moved)
    assert check.text.startswith("line 9 is missing at the end"), "a run that was moved as a whole"
