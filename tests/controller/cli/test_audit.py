"""`gridlab audit`: one line for each trail, and the exit code."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.guardian.trail import TRAIL
from controller.record.audit import AuditTrail
from controller.record.audit_heads import JournalHead, write_head
from controller.record.journal import Journal
from tests.support.commands import gridlab

Audited = Callable[..., tuple[int, str, str]]
AT = datetime(2018, 6, 21, 10, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A run of 4 lines in ``run`` and the state folder of its service, with a guardian's trail of 2 lines."""
    run, state = tmp_path / "run", tmp_path / "state"
    run.mkdir()
    state.mkdir()
    with Journal(state / "journal.sqlite") as journal, AuditTrail(run / "audit.jsonl") as trail:
        for k in range(4):
            trail.note(AT, "mode", str(k))
        JournalHead(journal, run / "audit.jsonl").keep(trail.head)
    with AuditTrail(state / TRAIL) as trail:
        trail.note(AT, "takeover", "")
        trail.note(AT, "stepped back", "")
        write_head(state / TRAIL, trail.head)
    return state


@pytest.fixture
def audited(state: Path, capsys: pytest.CaptureFixture[str]) -> Audited:
    def run(*options: object) -> tuple[int, str, str]:
        done = gridlab(capsys, "audit", state.parent / "run", *options)
        return done.code, done.out, done.err

    return run


def test_a_whole_run_is_said_to_be_whole_and_how_far_that_is_proven(state: Path, audited: Audited) -> None:
    code, out, err = audited("--state", state)
    assert (code, out.splitlines(), err) == (
        0,
        [
            "audit.jsonl: whole, lines 1 to 4; the journal knows the last one",
            "guardian.jsonl: whole, lines 1 to 2; its head file knows the last one",
        ],
        "",
    )
    assert audited("--state", state, "--quiet") == (0, "", "")
    assert "there is no journal, so lines may be missing at the end" in audited()[1]


def test_a_changed_line_is_named_and_the_exit_code_is_1(state: Path, audited: Audited) -> None:
    for path, old in ((state.parent / "run" / "audit.jsonl", b'"2"'), (state / TRAIL, b"stepped")):
        path.write_bytes(path.read_bytes().replace(old, old[:-1] + b"#"))
    code, out, err = audited("--state", state)
    assert (code, out, err) == (1, "", "audit.jsonl: line 3 was changed\nguardian.jsonl: line 2 was changed\n")


def test_a_trail_that_proves_nothing_is_bad_input(state: Path, audited: Audited) -> None:
    trail = state.parent / "run" / "audit.jsonl"
    trail.write_text('{"seq": 1, "time": "2018-06-21T10:00:00+00:00", "event": "a", "detail": ""}\n')
    code, out, err = audited()
    assert (code, out) == (2, "")
    assert "1 lines of a version without hashes: whether they were changed cannot be told" in err
    trail.unlink()
    code, _, err = audited()
    assert (code, len(err.splitlines())) == (2, 1)
    assert "audit.jsonl" in err
