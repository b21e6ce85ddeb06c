"""Damaged journals and audit trails: a record is read back as written, or not at all; never damaged."""

import json
import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from pathlib import Path

import numpy as np

from controller.process.failures import DamagedError
from controller.record.audit import Attempt, AuditTrail
from controller.record.audit_lines import ATTEMPTED, AuditNote, AuditWrite, read_audit, unfinished
from controller.record.journal import Journal
from core.codec import CodecError, decode, encode
from core.devices import Measurement, Outcome, Quality
from mpc.margin import Margin
from realtime.emulation import BatteryState
from realtime.node import NodeState
from tests.support.fuzz.findings import Findings
from tests.support.fuzz.mutants import altered
from tests.support.fuzz.sense import differences

AT = datetime(2018, 6, 21, 10, tzinfo=UTC)
ROUNDS = 6
_PAGE = 4096
_RECORDS: tuple[tuple[type, object], ...] = (
    (NodeState, NodeState(BatteryState(0.5))),
    (Margin, Margin(np.array([[0.001, 0.002], [0.003, 0.004]]), np.array([0.1, 0.2]))),
    (AuditWrite, AuditWrite(1, AT, "n3", 1.5, None, "use", "p-1", ATTEMPTED)),
    (Measurement, Measurement("m", 1.5, -0.5, 1.0, None, AT, 3.5, Quality.GOOD)),
)
Value = object
"""JSON."""


@dataclass(frozen=True)
class Kept:
    """The files of a journal, and the values written under each key, oldest first."""

    files: dict[str, bytes]
    history: dict[str, list[Value]]

    @property
    def newest(self) -> dict[str, Value]:
        return {key: values[-1] for key, values in self.history.items()}


def written_journal(folder: Path, *, in_log: bool) -> Kept:
    """Write a journal as the service does; ``in_log``: the last rounds are still in the write-ahead log."""
    path, history = folder / "journal.sqlite", dict[str, list[Value]]()
    with Journal(path) as journal:
        for k in range(ROUNDS):
            states = {f"N{n}": NodeState(BatteryState(0.1 * n + 0.01 * k)) for n in (3, 4, 5, 7, 9)}
            journal.put({"mode": ("off", "monitor", "active")[k % 3], "epoch": k, "nodes": states})
            journal.put({"plan": {"p_kw": [k + 0.001 * n for n in range(1500)]}})
            for key in ("mode", "epoch", "nodes", "plan"):
                history.setdefault(key, []).append(journal.get(key))
        if in_log:
            return Kept({name: path.with_name(name).read_bytes() for name in (path.name, f"{path.name}-wal")}, history)
    return Kept({path.name: path.read_bytes()}, history)


def fuzz_journals(rng: random.Random, mutants: int, folder: Path) -> Findings:
    """Damage one of four: bytes of the database, bytes of the log, rows, a record of an older generation."""
    found = Findings()
    closed = written_journal(_new(folder, "closed"), in_log=False)
    crashed = written_journal(_new(folder, "crashed"), in_log=True)
    for k in range(mutants):
        place = _new(folder, str(k))
        kind = rng.randrange(4)
        kept = crashed if kind == 1 else closed
        for name, content in kept.files.items():
            (place / name).write_bytes(content)
        path = place / "journal.sqlite"
        if kind <= 1:
            _spoil(rng, place / list(kept.files)[-1])
        commanded = kind in (0, 2)
        what = _tampered(rng, path) if kind >= 2 else list(kept.files)[-1]
        _judge_journal(path, kept, found, what, commanded=commanded and what != "lost")
        for file in place.iterdir():
            file.unlink()
        place.rmdir()
    return found


def _judge_journal(path: Path, kept: Kept, found: Findings, what: str, *, commanded: bool) -> None:
    """``commanded``: every value that is not the newest must be reported as damaged."""
    found.tried += 1
    try:
        with Journal(path) as journal:
            values = {key: journal.get(key) for key in kept.history}
            nodes = journal.load("nodes", dict[str, NodeState])
            damaged = journal.damaged
            journal.put({"mode": "monitor"})
            again = journal.get("mode")
    except Exception as error:
        found.crash(f"journal, {what}: {error!r}")
        return
    found.accepted += values == kept.newest
    for key, value in values.items():
        if value is not None and value not in kept.history[key]:
            found.wrong_value(f"journal, {what}: {key} = {str(value)[:200]}")
    if commanded and values != kept.newest and not damaged:
        found.wrong_value(
            f"journal, {what}: {[key for key in values if values[key] != kept.newest[key]]} lost in silence"
        )
    if again != "monitor" or (nodes is None) != (values["nodes"] is None):
        found.wrong_value(f"journal, {what}: does not go on")


def _spoil(rng: random.Random, path: Path) -> None:
    """Flip bits, cut the end, overwrite a block or exchange two pages."""
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data))
    match rng.randrange(6):
        case 0 | 1 | 2:
            for _ in range(rng.choice((1, 1, 3, 30))):
                data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        case 3:
            del data[at:]
        case 4:
            data[at : at + 512] = rng.choice((bytes(512), rng.randbytes(512), b"\xff" * 512))[: len(data) - at]
        case _:
            a, b = (_PAGE * rng.randrange(len(data) // _PAGE) for _ in range(2))
            data[a : a + _PAGE], data[b : b + _PAGE] = data[b : b + _PAGE], data[a : a + _PAGE]
    path.write_bytes(data)


_ONE, _ALL = "WHERE key = :a AND generation = :g", "WHERE key = :a"
_OTHER = "FROM record WHERE key = :b AND generation = :g"
_TAMPERINGS = (
    ("stale checksum", f"UPDATE record SET value = CAST(replace(value, '0', '1') AS BLOB) {_ONE}"),
    ("stale checksum", f"UPDATE record SET value = CAST(value || ' ' AS BLOB) {_ALL}"),
    ("values swapped", f"UPDATE record SET value = (SELECT value {_OTHER}) {_ALL}"),
    ("checksum swapped", f"UPDATE record SET sha256 = (SELECT sha256 {_OTHER}) {_ALL}"),
    ("renamed", f"UPDATE OR REPLACE record SET key = :b {_ONE}"),
    ("generation", f"UPDATE record SET generation = generation + 1000 {_ALL}"),
    ("generation as text", f"UPDATE record SET generation = CAST(generation AS TEXT) || 'x' {_ALL}"),
    ("value as text", f"UPDATE record SET value = CAST(value AS TEXT) {_ALL}"),
    ("no value", f"UPDATE record SET value = NULL {_ONE}"),
    ("no checksum", f"UPDATE record SET sha256 = NULL {_ALL}"),
    ("slots", f"UPDATE record SET slot = slot + 7 {_ALL}"),
    ("version", "UPDATE meta SET value = :g"),
    ("lost", f"DELETE FROM record {_ONE}"),
)


def _tampered(rng: random.Random, path: Path) -> str:
    """Damage rows; describes the damage."""
    a, b = rng.sample(("mode", "epoch", "nodes", "plan"), 2)
    name, statement = rng.choice(_TAMPERINGS)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, {"a": a, "b": b, "g": rng.choice((ROUNDS, ROUNDS - 1))})
    return name


def fuzz_codec(rng: random.Random, mutants: int) -> Findings:
    """JSON of records with changes of its structure: the same record results, or an error that names the place."""
    found = Findings()
    documents = [(kind, json.loads(json.dumps(encode(value)))) for kind, value in _RECORDS]
    for _ in range(mutants):
        kind, document = rng.choice(documents)
        data = json.loads(json.dumps(altered(rng, document)))
        found.tried += 1
        try:
            record: object = decode(kind, data)
        except CodecError as error:
            if "\n" in str(error) or "got" not in str(error):
                found.wrong_value(f"codec: {error}")
            continue
        except Exception as error:
            found.crash(f"codec: {error!r}: {data}")
            continue
        found.accepted += 1
        for difference in differences(kind.__name__, data, encode(record)):
            found.wrong_value(f"codec: {difference}: {data}")
    return found


def written_audit(path: Path) -> list[AuditWrite | AuditNote]:
    """Write an audit trail as the service does; returns its records."""
    with AuditTrail(path) as trail:
        for k in range(12):
            at = AT + timedelta(seconds=30 * k)
            attempts = [Attempt(f"n{n}_converter", 0.1 * n - k, 0.25 * k, "use intraday", f"p-{k}") for n in (3, 4, 5)]
            numbers = trail.begin(at, [*attempts, Attempt("n9_converter", None, None, "safe", "")])
            trail.note(at, "mode", "monitor → active")
            trail.complete(at, dict(zip(numbers, [Outcome.VERIFIED, Outcome.UNKNOWN, Outcome.REJECTED], strict=False)))
    return list(read_audit(path))


def fuzz_audits(rng: random.Random, mutants: int, folder: Path) -> Findings:
    """Lost, doubled, exchanged and cut lines: only written records are read. Flipped bytes: at least the form is
    right.
    """
    found, path = Findings(), folder / "audit.jsonl"
    written = written_audit(path)
    content = path.read_bytes()
    known = set(written)
    for _ in range(mutants):
        flipped = rng.random() < 0.5
        path.write_bytes(_flipped(rng, content) if flipped else _reordered(rng, content))
        found.tried += 1
        try:
            records = list(read_audit(path))
            unfinished(path)
        except DamagedError as error:
            if f"{path}: line " not in str(error) or "\n" in str(error):
                found.wrong_value(f"audit: {error}")
            continue
        except Exception as error:
            found.crash(f"audit: {error!r}")
            continue
        found.accepted += 1
        strange = [record for record in records if record not in known]
        if not flipped and strange:
            found.wrong_value(f"audit: {strange}")
        if any(not _well_formed(record) for record in strange):
            found.wrong_value(f"audit, of no form: {strange}")
        _judge_continuation(path, records, found)
    return found


def _judge_continuation(path: Path, records: list[AuditWrite | AuditNote], found: Findings) -> None:
    """Check that a service that continues this file uses no number twice."""
    with AuditTrail(path) as trail:
        trail.note(AT, "mode", "back")
    last = path.read_bytes().splitlines()[-1]
    if json.loads(last)["seq"] <= max((record.seq for record in records), default=0):
        found.wrong_value("audit: a number twice")


def _well_formed(record: AuditWrite | AuditNote) -> bool:
    plain = type(record.seq) is int and record.time.tzinfo is not None and record.schema_version == 1
    if isinstance(record, AuditNote):
        return plain and isinstance(record.event, str) and isinstance(record.detail, str)
    texts = (record.device, record.reason, record.plan_id)
    powers = [power for power in (record.p_kw, record.q_kvar) if power is not None]
    known = record.outcome in (ATTEMPTED, "verified", "rejected", "unknown")
    return plain and known and all(isinstance(x, str) for x in texts) and all(isfinite(x) for x in powers)


def _reordered(rng: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    for _ in range(rng.choice((1, 1, 3))):
        a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                lines[a], lines[b] = lines[b], lines[a]
            case 1:
                lines.insert(a, lines[b])
            case 2:
                del lines[a]
            case 3:
                lines[a] = lines[a][: rng.randrange(len(lines[a]))] + rng.choice((b"\n", b"", b"\0" * 40 + b"\n"))
            case _:
                del lines[a + 1 :]
                lines[a] = lines[a][: rng.randrange(1, len(lines[a]) + 1)]
    return b"".join(lines)


def _flipped(rng: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 5, 50))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _new(folder: Path, name: str) -> Path:
    place = folder / name
    place.mkdir()
    return place
