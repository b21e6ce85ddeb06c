"""A CSV file as rows of cells: encoding, separator, comment lines, and the line of column names.

The dialect is read from the content. Cells with times decide, since no separator is part of a time: the separator is
the one that leaves them whole, and column names stand in the line above the first one. Lines above, and lines that
begin with ``#``, are comments.
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import suppress
from io import StringIO
from itertools import islice
from typing import NamedTuple

from core.csv_times import looks_like_instant, looks_like_time

SEPARATORS = (",", ";", "\t", "|")
TIME = "time"
_TIME_NAMES = {TIME, "timestamp", "datetime", "date time", "date", "utc time", "zeit", "zeitstempel", "datum"}
_SAMPLE_LINES = 200
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class CsvRow(NamedTuple):
    """Cells of a row without spaces around them, and its line in the file; ``comment``: the line begins with #."""

    line: int
    cells: list[str]
    comment: bool


class CsvRows(NamedTuple):
    """Column names with their line, and the rows below; ``separator`` is what was found between cells."""

    header: CsvRow
    body: list[CsvRow]
    separator: str


def decoded(content: bytes, *, any_letters: bool = False) -> str | None:
    """Text of a file in UTF-8 or UTF-16; None if it is neither.

    Args:
        any_letters: read what is no UTF-8 as Windows-1252. Digits and separators are the same in both.
    """
    encoding = "utf-16" if content[:2] in _UTF16 else "utf-8-sig"
    if encoding == "utf-8-sig" and b"\0" in content[:2]:
        encoding = "utf-16-le" if content[:2].endswith(b"\0") else "utf-16-be"
    for name in (encoding, "cp1252") if any_letters and encoding == "utf-8-sig" else (encoding,):
        try:
            text = content.decode(name)
        except UnicodeDecodeError:
            continue
        return None if "\0" in text else text
    return None


def csv_rows(text: str) -> CsvRows | str | None:
    """The rows of a text; its first one if no line of column names is found, None if it has no rows.

    Raises:
        csv.Error: a quote is open at the end.
    """
    separator = _separator(text)
    rows = [row for row in _split(text, separator) if any(row.cells)]
    place = _header_place(rows)
    if place is None:
        return separator.join(rows[0].cells) if rows else None
    header = rows[place]
    names = [header.cells[0].lstrip("# "), *header.cells[1:]] if header.comment else header.cells
    body = [row for row in rows[place + 1 :] if not row.comment]
    return CsvRows(header._replace(cells=_without_empty_end(names)), body, separator)


def _split(text: str, separator: str) -> Iterator[CsvRow]:
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            yield CsvRow(reader.line_num, cells, bool(cells) and cells[0].startswith("#"))
    except csv.Error as error:
        raise csv.Error(reader.line_num, str(error)) from error


def _separator(text: str) -> str:
    """The separator that leaves most lines with a time and another cell; without times, one that all lines have."""
    sample = "".join(islice(StringIO(text, newline=""), _SAMPLE_LINES))

    def fit(separator: str) -> tuple[int, int]:
        rows: list[list[str]] = []
        with suppress(csv.Error):
            rows.extend(row.cells for row in _split(sample, separator) if any(row.cells) and not row.comment)
        timed = sum(len(cells) > 1 and any(map(looks_like_time, cells)) for cells in rows)
        widths = set(map(len, rows))
        return timed, widths.pop() if len(widths) == 1 else 1

    return max(SEPARATORS, key=fit)


def _header_place(rows: Sequence[CsvRow]) -> int | None:
    """Index of the row of column names: the first one with a name of times, else the one above the first time."""
    first = next((k for k, row in enumerate(rows) if not row.comment and any(map(looks_like_instant, row.cells))), None)
    above = range(len(rows) if first is None else first)
    for k in above:
        if not rows[k].comment and not _TIME_NAMES.isdisjoint(cell.lower() for cell in rows[k].cells):
            return k
    plain = [k for k in above if not rows[k].comment]
    if first is not None and plain:
        return plain[-1]
    return first - 1 if first else None


def _without_empty_end(names: list[str]) -> list[str]:
    """Names without the empty ones behind the last separator."""
    end = len(names)
    while end and not names[end - 1]:
        end -= 1
    return names[:end]
