"""Faults of a network in its own words, one line for each kind."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from core.errors import Fault

PLACE = re.compile(r"\[[^\]]*\]")
"""What stands in brackets in a key: an index or a name."""


def one_per_kind(faults: Iterable[Fault]) -> Iterator[Fault]:
    """The first of the faults that differ in what stands in brackets alone, with the places of the others."""
    alike: dict[tuple[str, str], list[Fault]] = defaultdict(list)
    for fault in faults:
        alike[PLACE.sub("", fault.key), fault.allowed].append(fault)
    for first, *others in alike.values():
        more = f" (and {len(others)} more like it: {some(fault.key for fault in others)})" if others else ""
        yield replace(first, value=first.value + more)


def some(names: Iterable[str], most: int = 12, separator: str = ", ") -> str:
    """The first names of many, and how many there are more."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return separator.join(listed[:most]) + more
