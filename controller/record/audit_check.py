"""Verifies the audit trails of a run: what is proven, and the first line that was changed, removed or torn."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.process.failures import recording
from controller.record.audit_chain import AuditHead, ChainWalk, walk
from controller.record.audit_heads import heads_of, read_head
from controller.record.audit_parts import lines_of, trail_parts
from controller.record.reading import JOURNAL

AUDIT, OF_RELEASES = "audit.jsonl", ("guardian.jsonl", "stop.jsonl", "stop_direct.jsonl")


@dataclass(frozen=True)
class TrailCheck:
    """What was found about one trail.

    Attributes:
        whole: False if a line is missing or not as it was written; None if there is no chain to tell.
        text: one line.
    """

    name: str
    whole: bool | None
    text: str


@dataclass(frozen=True)
class KnownHeads:
    """Heads that are known from elsewhere, and where.

    Attributes:
        required: a head that this trail must contain; None if it is not known whether one belongs to it.
        heads: others, which may belong to it.
        where: in words; empty if there is no such place.
    """

    required: AuditHead | None
    heads: tuple[AuditHead, ...]
    where: str


def check_run(run: Path, state: Path) -> tuple[TrailCheck, ...]:
    """Verify the trail of a run, and those of guardian and stops that are there; the service may be running.

    Args:
        state: the state folder of the service; of a simulated run it is the run.

    Raises:
        InputError: the journal cannot be read.
        RecordError: a trail cannot be read.
    """
    checks = [check_trail(run / AUDIT, _heads_in_journal(run / AUDIT, state / JOURNAL))]
    for trail in (state / name for name in OF_RELEASES):
        head = read_head(trail)
        if head or trail_parts(trail):
            checks.append(check_trail(trail, KnownHeads(head, (), "its head file" if head else "")))
    return tuple(checks)


def check_trail(path: Path, known: KnownHeads) -> TrailCheck:
    """Verify one trail against heads that were read before.

    Raises:
        RecordError: it cannot be read.
    """
    required = (known.required,) if known.required else ()
    with recording(path):
        parts, before = trail_parts(path), None
        while parts != before:  # a living service may close a part meanwhile
            found = walk(lines_of(parts), (*required, *known.heads))
            parts, before = trail_parts(path), parts
    if fault := found.fault or _end_fault(found, known):
        return TrailCheck(path.name, False, fault if isinstance(fault, str) else fault.text)
    if found.first is None:
        lines = f"{found.unchained} lines of a version without hashes: " if found.unchained else "no lines: "
        return TrailCheck(path.name, None, f"{lines}whether they were changed cannot be told")
    return TrailCheck(path.name, True, f"{_extent(found, len(parts))}; {_proof(found, known)}")


def _end_fault(found: ChainWalk, known: KnownHeads) -> str | None:
    """What a head from elsewhere reveals that the chain itself does not."""
    head, last = known.required, found.head.line
    if head is None or found.met.get(head):
        return None
    if head.line > last:
        missing = f"lines {last + 1} to {head.line} are" if head.line > last + 1 else f"line {head.line} is"
        return f"{missing} missing at the end: {known.where} knows line {head.line}"
    return f"a line up to {head.line} was changed, and all after it were written anew: {known.where} has another hash"


def _extent(found: ChainWalk, parts: int) -> str:
    text = f"whole, lines {found.first} to {found.head.line}"
    text += f" in {parts} parts" if parts > 1 else ""
    if found.unchained:
        text += f", after {found.unchained} lines of a version without hashes, unchanged since line 1"
    if found.fragments:
        text += f", {found.fragments} incomplete {'lines' if found.fragments > 1 else 'line'} passed over"
    return text


def _proof(found: ChainWalk, known: KnownHeads) -> str:
    """How far the end is proven."""
    line = max((head.line for head, same in found.met.items() if same), default=None)
    if line is None:
        why = f"{known.where} knows no line of it" if known.where else "there is no journal"
        return f"{why}, so lines may be missing at the end"
    if line == found.head.line:
        return f"{known.where} knows the last one"
    return f"{known.where} knows line {line}, so lines may be missing only after it"


def _heads_in_journal(trail: Path, journal: Path) -> KnownHeads:
    """A head under the path of the trail must be in it; so must the only one of a journal that lies beside it."""
    if not journal.is_file():
        return KnownHeads(None, (), "")
    heads: Mapping[str, AuditHead] = heads_of(journal)
    required = heads.get(str(trail.resolve()))
    if required is None and journal.parent.resolve() == trail.parent.resolve() and len(heads) == 1:
        (required,) = heads.values()
    return KnownHeads(required, tuple(heads.values()), "the journal")
