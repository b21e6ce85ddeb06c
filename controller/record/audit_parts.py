"""The files of an audit trail: older parts ``audit-0001.jsonl``, ``audit-0002.jsonl``, …, and ``audit.jsonl``."""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path


def trail_parts(path: Path) -> tuple[Path, ...]:
    """The files of the trail ``path`` in order, those that are there."""
    there = (part for part in path.parent.glob(f"{path.stem}-*{path.suffix}") if part_number(part, path) is not None)
    older = sorted(there, key=lambda part: part_number(part, path) or 0)
    parts = (*older, *((path,) if path.exists() else ()))
    doubled = {one for one, next_one in pairwise(parts) if one.samefile(next_one)}  # by a death while a part is closed
    return tuple(part for part in parts if part not in doubled)


def part_number(part: Path, path: Path) -> int | None:
    """The number of an older part of the trail ``path``; None if it is none."""
    digits = part.name.removeprefix(f"{path.stem}-").removesuffix(path.suffix)
    return int(digits) if digits.isdecimal() else None


def part_after(path: Path) -> Path:
    """The name that the file ``path`` gets when it is closed."""
    older = [part_number(part, path) or 0 for part in path.parent.glob(f"{path.stem}-*{path.suffix}")]
    return path.with_name(f"{path.stem}-{max(older, default=0) + 1:04}{path.suffix}")


def lines_of(paths: Iterable[Path]) -> Iterator[bytes]:
    """The lines of several files, one after the other.

    Raises:
        OSError: one cannot be read, or is no file but, say, a pipe.
    """
    for path in paths:
        with path.open("rb") as file:
            file.seek(0)
            yield from file
