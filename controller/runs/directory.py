"""The directory of one run: it appears complete or not at all, and never replaces an older run."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pandas as pd

from core.errors import Fault, InputError

SCHEMA_VERSION = 1
DIGITS = "%.12g"
"""Format of the numbers in a table."""
PARTIAL = ".partial"
NAME_COLUMNS = ("prosumer", "node", "line", "resource", "sector", "branch", "row", "aggregator")
"""Columns of names, which may look like numbers."""


def choose(out: Path | None, name: str, now: datetime) -> Path:
    """The directory of a new run: ``out``, or runs/<UTC time>-<name>; its parent is created.

    Raises:
        InputError: ``out`` is not empty, or its parent cannot be created.
    """
    path = out or first_free(Path("runs") / f"{now:%Y%m%dT%H%M%SZ}-{name}")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError([Fault("--out", "", str(path), "a folder that does not exist yet, or an empty one")])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def first_free(path: Path) -> Path:
    """The path itself, or if it exists, the path with the first free number appended."""
    numbered = (path.with_name(f"{path.name}-{k}") for k in count(2))
    return next(p for p in chain([path], numbered) if not p.exists())


@contextmanager
def run_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to fill; it is renamed to ``path`` when the block ends, and deleted if the block fails.

    Raises:
        InputError: nothing can be written beside ``path``, or another run has been written to ``path`` in the meantime;
            in the second case the temporary folder stays.
    """
    try:
        draft = Path(mkdtemp(prefix=f".{path.name}.", suffix=PARTIAL, dir=path.parent))
    except OSError as error:
        raise _unwritable(path, error) from error
    draft.chmod(0o750)
    try:
        yield draft
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    publish(draft, path)


def publish(draft: Path, path: Path) -> None:
    """Rename a filled folder to its final path.

    Raises:
        InputError: another run is there.
    """
    try:
        if path.exists():
            path.rmdir()
        draft.rename(path)
    except OSError as error:
        allowed = f"a folder that no other run fills meanwhile; this one is in {draft}"
        raise InputError([Fault("--out", "", str(path), allowed)]) from error


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError([Fault("--out", "", str(path), f"a folder that can be made ({error.strerror})")])


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a CSV file; its last column is the schema version."""
    frame.assign(schema_version=SCHEMA_VERSION).to_csv(path, index=False, float_format=DIGITS)


def write_summary(path: Path, summary: Mapping[str, Any]) -> None:
    """Write summary.json into the run folder ``path``."""
    text = json.dumps({"schema_version": SCHEMA_VERSION, **summary}, indent=2, ensure_ascii=False, allow_nan=False)
    (path / "summary.json").write_text(text + "\n", encoding="utf-8")


class Run:
    """A run read back from disk.

    Raises:
        InputError: there is no readable run of a known schema version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not (path / "summary.json").exists() and (path / "audit.jsonl").exists():
            allowed = "a finished run; `gridlab export` reads the telemetry of a service"
            raise InputError([Fault(str(path), "summary.json", "none", allowed)])
        try:
            self.summary: dict[str, Any] = json.loads((path / "summary.json").read_text(encoding="utf-8"))
            version = self.summary["schema_version"]
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise InputError([Fault(str(path), "summary.json", "no readable summary", "a run directory")]) from error
        if version != SCHEMA_VERSION:
            raise InputError([Fault(str(path), "schema_version", str(version), str(SCHEMA_VERSION))])

    def table(self, name: str) -> pd.DataFrame:
        """A CSV file of the run by name, ``time`` as UTC.

        Raises:
            InputError: the file is missing or unreadable, or a row is incomplete or of another version.
        """
        names = dict.fromkeys(NAME_COLUMNS, str)
        try:
            frame = pd.read_csv(self.path / name, dtype=names, keep_default_na=False, na_values=[""])
            if "time" in frame:
                frame["time"] = pd.to_datetime(frame["time"], utc=True, format="ISO8601")
            complete = bool((frame["schema_version"] == SCHEMA_VERSION).all())
        except (OSError, ValueError, KeyError) as error:
            raise InputError([Fault(str(self.path), name, "no readable table", "a complete run")]) from error
        if not complete:
            allowed = f"rows that end with schema_version {SCHEMA_VERSION}"
            raise InputError([Fault(str(self.path), name, "an incomplete row, or one of another version", allowed)])
        return frame
