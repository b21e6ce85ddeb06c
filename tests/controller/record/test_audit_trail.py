"""The audit trail: durable before, complete after, whole lines whatever happens."""

import errno
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from controller.process.failures import DamagedError, RecordError
from controller.record.audit import Attempt, AuditTrail
from controller.record.audit_lines import AuditNote, AuditWrite, read_audit, unfinished
from core.devices import Outcome
from tests.support.disks import child, full_disk

AT = datetime(2018, 6, 21, 10, tzinfo=UTC)
LATER = AT + timedelta(seconds=3)
N4 = Attempt("n4_converter", 1.25, -0.5, "use intraday", "p-7")
N5 = Attempt("n5_converter", None, None, "safe none stopped", "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


def seqs(path: Path) -> list[int]:
    return [record.seq for record in read_audit(path)]


def test_an_attempt_is_said_before_and_after_under_one_number(path: Path) -> None:
    with AuditTrail(path) as trail:
        numbers = trail.begin(AT, [N4, N5])
        before = [json.loads(line) for line in path.read_text().splitlines()]
        trail.complete(LATER, dict(zip(numbers, (Outcome.VERIFIED, Outcome.UNKNOWN), strict=True)))
    columns = ["seq", "time", "device", "p_kw", "q_kvar", "reason", "plan_id", "outcome", "schema_version"]
    assert [list(line) for line in before] == [[*columns, "line", "hash"]] * 2
    assert before[0]["time"] == "2018-06-21T10:00:00+00:00"
    assert [line["outcome"] for line in before] == ["attempted", "attempted"]
    assert [(r.seq, r.time, r.device, r.p_kw, r.outcome) for r in read_audit(path) if isinstance(r, AuditWrite)] == [
        (1, AT, "n4_converter", 1.25, "attempted"),
        (2, AT, "n5_converter", None, "attempted"),
        (1, LATER, "n4_converter", 1.25, "verified"),
        (2, LATER, "n5_converter", None, "unknown"),
    ]
    assert unfinished(path) == ()


def test_one_fsync_serves_all_attempts_of_a_cycle(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, synced = os.fsync, list[int]()

    def counted(descriptor: int) -> None:
        sync(descriptor)
        synced.append(len(path.read_bytes().splitlines()))

    with AuditTrail(path) as trail:
        monkeypatch.setattr(os, "fsync", counted)
        numbers = trail.begin(AT, [N4] * 5)
        assert synced == [5]
        trail.complete(LATER, dict.fromkeys(numbers, Outcome.VERIFIED))
        assert synced == [5, 10]
        assert trail.begin(AT, []) == ()
        assert synced == [5, 10]


def test_numbers_go_on_after_a_restart(path: Path) -> None:
    with AuditTrail(path) as trail:
        numbers = trail.begin(AT, [N4, N5])
        trail.note(AT, "mode", "monitor → active")
        trail.complete(LATER, dict.fromkeys(numbers, Outcome.VERIFIED))
    with AuditTrail(path) as trail:
        assert trail.begin(AT, [N4]) == (4,)


def test_numbers_go_on_in_a_long_file(path: Path) -> None:
    with AuditTrail(path) as trail:
        for _ in range(20):
            trail.begin(AT, [N4] * 500)
    assert path.stat().st_size > 1.5 * (1 << 20)
    with AuditTrail(path) as trail:
        assert trail.begin(AT, [N4]) == (10_001,)


def test_notes_are_records_of_their_own_kind(path: Path) -> None:
    with AuditTrail(path) as trail:
        trail.note(AT, "refused", 'mode "on"\nfrom a stranger')
    assert list(read_audit(path)) == [AuditNote(1, AT, "refused", 'mode "on"\nfrom a stranger')]
    assert unfinished(path) == ()


def test_a_file_torn_anywhere_loses_no_whole_line(path: Path) -> None:
    with AuditTrail(path) as trail:
        numbers = trail.begin(AT, [N4])
        trail.note(AT, "mode", "“é”")
        trail.complete(LATER, {numbers[0]: Outcome.REJECTED})
    whole = path.read_bytes()
    ends = [at for at in range(len(whole)) if b"\n" in whole[max(at - 2, 0) : at + 2]]
    for cut in sorted({*range(0, len(whole), 9), *ends, len(whole)}):
        path.write_bytes(whole[:cut])
        kept = seqs(path)
        assert len(kept) - whole[:cut].count(b"\n") in (0, 1)
        with AuditTrail(path) as trail:
            trail.note(LATER, "back", "")
        assert seqs(path) == [*kept, max(kept, default=0) + 1]


@pytest.mark.parametrize("size", [4096, 3 << 20])
def test_blocks_of_zeros_from_a_power_loss_are_passed_over(path: Path, size: int) -> None:
    with AuditTrail(path) as trail:
        trail.note(AT, "first", "")
    path.write_bytes(path.read_bytes() + b"\0" * size)
    with AuditTrail(path) as trail:
        trail.note(AT, "second", "")
    assert seqs(path) == [1, 2]


def test_garbage_of_any_length_inside_restarts_no_number(path: Path) -> None:
    with AuditTrail(path) as trail:
        trail.begin(AT, [N4] * 3)
        trail.complete(LATER, {1: Outcome.VERIFIED})
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join((*lines[:3], b"\0\xff" * (1 << 20), b"\n", lines[3])))
    with AuditTrail(path) as trail:
        assert trail.begin(AT, [N4]) == (4,)


def test_a_full_disk_is_an_error_and_its_half_line_stays_alone(path: Path) -> None:
    with AuditTrail(path) as trail:
        trail.begin(AT, [N4])
        with full_disk(path.stat().st_size + 400), pytest.raises(RecordError, match=r"audit\.jsonl"):
            trail.begin(AT, [N4, N5, N4])
        assert trail.begin(AT, [N5]) == (5,)
    assert seqs(path) == [1, 2, 5]
    assert sum(b"seq" in line for line in path.read_bytes().splitlines()) == 4


def test_outcomes_that_a_full_disk_refused_can_be_said_again(path: Path) -> None:
    with AuditTrail(path) as trail:
        numbers = trail.begin(AT, [N4])
        with full_disk(path.stat().st_size + 10), pytest.raises(RecordError):
            trail.complete(AT, {numbers[0]: Outcome.VERIFIED})
        assert [record.seq for record in unfinished(path)] == [1]
        trail.complete(LATER, {numbers[0]: Outcome.VERIFIED})
    assert unfinished(path) == ()


def test_a_folder_that_cannot_be_synchronised_leaves_no_file_open(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    before = len(list(Path("/proc/self/fd").iterdir()))
    trail = AuditTrail(path)
    with pytest.raises(RecordError), trail:
        pass
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_full_disk_delays_the_line_of_an_event_and_keeps_its_time(path: Path) -> None:
    with AuditTrail(path) as trail:
        trail.begin(AT, [N4])
        with full_disk(path.stat().st_size):
            for change in ("active → monitor", "monitor → off"):
                with pytest.raises(RecordError):
                    trail.tell(AT, "mode", change)
        trail.check(LATER)
        trail.note(LATER, "refused", "later")
    notes = [(record.time, record.detail) for record in read_audit(path) if isinstance(record, AuditNote)]
    assert notes == [(AT, "active → monitor"), (AT, "monitor → off"), (LATER, "later")]


@pytest.mark.parametrize("p_kw", [float("nan"), float("inf")])
def test_what_is_not_a_number_is_refused_with_all_beside_it(path: Path, p_kw: float) -> None:
    with AuditTrail(path) as trail:
        with pytest.raises(RecordError, match=f"n9: asked {p_kw} kW, 0.0 kvar, allowed finite numbers or none"):
            trail.begin(AT, [N4, Attempt("n9", p_kw, 0.0, "", "")])
        assert path.read_bytes() == b""


def test_a_time_without_zone_is_refused(path: Path) -> None:
    with AuditTrail(path) as trail:
        with pytest.raises(ValueError, match="a time with its zone"):
            trail.note(AT.replace(tzinfo=None), "mode", "")
        trail.note(AT, "mode", "")
    assert len(seqs(path)) == 1


def test_only_announced_attempts_can_be_completed_and_once(path: Path) -> None:
    with AuditTrail(path) as trail:
        (number,) = trail.begin(AT, [N4])
        trail.complete(AT, {number: Outcome.VERIFIED})
        for numbers in ([number], [number, 9]):
            with pytest.raises(ValueError, match="asked to complete"):
                trail.complete(AT, dict.fromkeys(numbers, Outcome.VERIFIED))
    assert len(seqs(path)) == 2


def test_a_foreign_line_is_named_but_does_not_stop_the_service(path: Path) -> None:
    path.write_text('{"seq": 7, "time": "2018-06-21T10:00:00+00:00", "colour": "red"}\n')
    with AuditTrail(path) as trail:
        trail.note(AT, "mode", "")
    with pytest.raises(DamagedError, match="line 1"):
        list(read_audit(path))
    assert json.loads(path.read_text().splitlines()[1])["seq"] == 8


def test_without_a_file_there_is_nothing_to_read(path: Path) -> None:
    assert list(read_audit(path)) == []
    assert unfinished(path) == ()


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="No such file"), AuditTrail(tmp_path / "nowhere" / "audit.jsonl"):
        pass


def test_threads_share_a_trail(path: Path) -> None:
    def worker(attempts: Sequence[Attempt]) -> None:
        for _ in range(20):
            numbers = trail.begin(AT, attempts)
            trail.note(AT, "between", "")
            trail.complete(AT, dict.fromkeys(numbers, Outcome.VERIFIED))

    with AuditTrail(path) as trail, ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, [[N4, N5]] * 4))
    assert len(path.read_bytes().splitlines()) == len(seqs(path)) == 4 * 20 * 5
    assert len(set(seqs(path))) == 4 * 20 * 3
    assert unfinished(path) == ()


KILLED = """
import sys, pathlib, datetime
from controller.record.audit import Attempt, AuditTrail
from core.devices import Outcome
at = datetime.datetime.now(datetime.UTC)
with AuditTrail(pathlib.Path(sys.argv[1])) as trail:
    done = trail.begin(at, [Attempt("n3", 1.0, 0.0, "", "")])
    trail.complete(at, {done[0]: Outcome.VERIFIED})
    trail.begin(at, [Attempt("n4", 1.0, 0.0, "", ""), Attempt("n5", None, None, "", "")])
    print("begun", flush=True)
    sys.stdin.read()
"""


def test_attempts_of_a_process_that_was_killed_are_found(path: Path) -> None:
    with child(KILLED, path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
    assert [(record.seq, record.device) for record in unfinished(path)] == [(2, "n4"), (3, "n5")]
