"""Numbers in a CSV file, with a decimal point or comma; which of the two is decided by the whole column."""

import re
from collections.abc import Iterable
from math import isfinite, nan

MAX_SIZE = 1e9
"""Larger numbers cannot be powers, voltages or prices."""
NUMBER = "a finite number"
_GROUPED = {mark: re.compile(rf"[-+]?[1-9]\d{{0,2}}({re.escape(mark)}\d{{3}})+") for mark in ".,"}
_SPACES = re.compile(r"(?<=\d)['’\u00a0\u202f ](?=\d{3}(?!\d))")


def decimal_mark(cells: Iterable[str]) -> str:
    """Decimal mark of a column: ``.``, ``,``, or empty if ``1,234`` may mean both 1.234 and 1234."""
    marked = [cell for cell in cells if "," in cell]
    if not marked:
        return "."
    both = [cell for cell in marked if "." in cell]
    if both:
        return max(".,", key=both[0].rfind)
    return "" if all(_GROUPED[","].fullmatch(cell) for cell in marked) else ","


def number(text: str, mark: str) -> float:
    """The number with the decimal mark of its column, or NaN if the text is no allowed number."""
    text = _SPACES.sub("", text)
    grouping = "," if mark == "." else "."
    if grouping in text:
        whole, point, fraction = text.partition(mark or ".")
        if not mark or not _GROUPED[grouping].fullmatch(whole):
            return nan
        text = f"{whole.replace(grouping, '')}{point}{fraction}"
    try:
        value = float(text.replace(mark, ".") if mark else text)
    except ValueError:
        return nan
    return value if isfinite(value) and abs(value) <= MAX_SIZE and "_" not in text else nan
