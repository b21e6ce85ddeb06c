"""Backup of a state folder, also while its service runs, and its restoration.

Copied are the journal (by SQLite's own backup, so that it is whole), the commanded mode, the operators' tokens and the
audit trails; not what belongs to living processes: locks, sockets, heartbeat, signs of life, addresses. A restored
folder commands MONITOR, or OFF where OFF was commanded, whatever the backup says: nobody has commanded ACTIVE since.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from controller.process.commanded import COMMANDED, lower
from controller.process.lock import GUARDIAN_LOCK, SERVICE_LOCK, is_held
from controller.process.modes import Mode
from controller.record.journal import Journal
from controller.record.reading import JOURNAL, reading
from controller.runs.directory import choose, run_folder
from core.codec import CodecError, decode, encode
from core.errors import Fault, InputError

MANIFEST = "backup.json"
PATTERNS = (f"{COMMANDED}*", "converters.json", "takeover.json", "*.head.json", "*.jsonl", "tokens/*")
"""Files of a state folder that a backup copies beside the journal."""
MOST_OPEN = 0o640
"""No file is restored with a more open mode."""
_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class SavedFile:
    """A file of a backup: its path in the folder, its mode, and the SHA-256 of its content."""

    name: str
    mode: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a backup holds, and when it was made."""

    made_at: datetime
    files: tuple[SavedFile, ...]
    schema_version: int = _SCHEMA_VERSION


def back_up(state: Path, out: Path, now: datetime) -> Manifest:
    """Copy a state folder to the new folder ``out``, which appears when it is complete.

    Raises:
        InputError: there is no journal that can be read, or ``out`` cannot be written.
    """
    with run_folder(choose(out, state.name, now)) as draft:
        _copy_journal(state / JOURNAL, draft / JOURNAL)
        for path in sorted(found for pattern in PATTERNS for found in state.glob(pattern) if _is_kept(found)):
            copy = draft / path.relative_to(state)
            copy.parent.mkdir(mode=path.parent.stat().st_mode & 0o777, exist_ok=True)
            shutil.copy(path, copy)
        manifest = Manifest(now, tuple(_saved(draft)))
        (draft / MANIFEST).write_text(json.dumps(encode(manifest), indent=1), encoding="utf-8")
    return manifest


def restore(backup: Path, state: Path) -> Manifest:
    """Make the state folder ``state``, which must not exist yet, from a backup.

    Raises:
        InputError: the backup is incomplete or altered, or ``state`` exists or is in use.
        RecordError: commanded mode or journal cannot be written.
    """
    manifest = _manifest(backup)
    if state.exists() and (any(state.iterdir()) or is_held(state, SERVICE_LOCK) or is_held(state, GUARDIAN_LOCK)):
        raise InputError([Fault("--state", "", str(state), "a folder that does not exist yet, or an empty one")])
    with run_folder(state) as draft:
        for file in manifest.files:
            copy = draft / file.name
            copy.parent.mkdir(mode=0o700, exist_ok=True)
            shutil.copyfile(backup / file.name, copy)
            copy.chmod(file.mode & MOST_OPEN)
        lower(draft, Mode.MONITOR, f"restored from a backup of {manifest.made_at:%Y-%m-%d %H:%M} UTC")
        with Journal(draft / JOURNAL) as journal:
            if journal.load("mode", str) == Mode.ACTIVE:
                journal.put({"mode": Mode.MONITOR.value})
    return manifest


def _copy_journal(source: Path, target: Path) -> None:
    """A whole copy, whatever the service writes meanwhile."""
    if not source.is_file():
        raise InputError(
            [Fault(str(source), "", "no readable journal (no such file)", "the state folder of a service")]
        )
    with reading(source) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
    target.chmod(source.stat().st_mode & MOST_OPEN)


def _is_kept(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and not path.name.endswith((".new", ".partial"))


def _saved(draft: Path) -> Iterator[SavedFile]:
    for path in sorted(found for found in draft.rglob("*") if found.is_file()):
        mode, content = path.stat().st_mode & MOST_OPEN, path.read_bytes()
        yield SavedFile(path.relative_to(draft).as_posix(), mode, sha256(content).hexdigest())


def _manifest(backup: Path) -> Manifest:
    """The manifest, once every file is found to be as it says.

    Raises:
        InputError: it is missing, of another version, or does not describe the files.
    """
    path = backup / MANIFEST
    try:
        manifest = decode(Manifest, json.loads(path.read_text(encoding="utf-8")))
        wrong = [file.name for file in manifest.files if _differs(backup, file)]
    except (OSError, CodecError, ValueError) as error:
        raise InputError([Fault(str(path), "", f"no readable backup ({error})", "one of `gridlab backup`")]) from error
    if wrong or manifest.schema_version != _SCHEMA_VERSION or JOURNAL not in {file.name for file in manifest.files}:
        text = f"altered: {', '.join(wrong)}" if wrong else f"version {manifest.schema_version}, or no journal"
        raise InputError([Fault(str(path), "", text, "a whole backup of this version")])
    return manifest


def _differs(backup: Path, file: SavedFile) -> bool:
    """Whether a file is not inside the backup, or not what was saved."""
    path = (backup / file.name).resolve()
    return not path.is_relative_to(backup.resolve()) or sha256(path.read_bytes()).hexdigest() != file.sha256
