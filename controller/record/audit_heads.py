"""Heads of audit trails, kept apart from them: in the journal of a service, in a file of a guardian.

A head is kept after the lines that it stands for. A death in between leaves it some lines behind, so what it shows is
that everything up to its line is there; lines after it are held together by the chain alone.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from controller.process.failures import recording
from controller.process.files import replace_file
from controller.record.audit_chain import AuditHead
from controller.record.journal import Journal, read_records
from core.codec import CodecError, decode, encode

_PREFIX = "audit "


class JournalHead:
    """The head of one trail in a journal, named by the trail's path."""

    def __init__(self, journal: Journal, trail: Path) -> None:
        self._journal, self._key = journal, f"{_PREFIX}{trail.resolve()}"
        self._kept: AuditHead | None = None

    def load(self) -> AuditHead | None:
        """The head as an earlier service left it; None if there is none."""
        return self._journal.load(self._key, AuditHead)

    def keep(self, head: AuditHead) -> None:
        """Keep a head; it survives a power loss together with the next durable record.

        Raises:
            RecordError: the journal cannot be written.
        """
        if head != self._kept and head.line:
            self._journal.put({self._key: head}, durable=False)
            self._kept = head


def heads_of(journal: Path) -> Mapping[str, AuditHead]:
    """All heads in a journal, by path of the trail; the journal may be in use.

    Raises:
        InputError: it cannot be read.
    """
    found = {}
    for key, value in read_records(journal).items():
        if key.startswith(_PREFIX):
            found[key.removeprefix(_PREFIX)] = decode(AuditHead, value)
    return found


def head_file(trail: Path) -> Path:
    """The file that holds the head of a trail that has no journal."""
    return trail.with_suffix(".head.json")


def read_head(trail: Path) -> AuditHead | None:
    """The head of a trail without journal; None if there is no valid one."""
    try:
        return decode(AuditHead, json.loads(head_file(trail).read_text(encoding="ascii")))
    except (OSError, CodecError, ValueError):
        return None


def write_head(trail: Path, head: AuditHead) -> None:
    """Replace the head of a trail without journal.

    Raises:
        RecordError: the file cannot be written.
    """
    path = head_file(trail)
    with recording(path):
        replace_file(path, json.dumps(encode(head)).encode(), durable=True)
