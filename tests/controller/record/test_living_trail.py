"""A trail that is verified again and again while its service writes, and closes part after part."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from controller.record.audit import AuditTrail
from controller.record.audit_check import KnownHeads, check_trail
from controller.record.audit_parts import trail_parts

AT = datetime(2018, 6, 21, 10, tzinfo=UTC)
PARTS = 6


def test_a_living_trail_is_whole_at_any_moment(tmp_path: Path) -> None:
    path, enough = tmp_path / "audit.jsonl", Event()

    def write(trail: AuditTrail) -> None:
        while not enough.is_set():
            trail.note(AT, "mode", "")

    with AuditTrail(path, part_bytes=3000) as trail, ThreadPoolExecutor(1) as pool:
        trail.note(AT, "mode", "")
        writing = pool.submit(write, trail)
        try:
            while len(trail_parts(path)) < PARTS:
                check = check_trail(path, KnownHeads(trail.head, (), "the journal"))
                assert check.whole, check.text
        finally:
            enough.set()
        writing.result()
        assert trail.noticed() == ()
