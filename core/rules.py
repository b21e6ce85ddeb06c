"""What a rule of a configuration says when it does not hold, and the tests for keys that it needs."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from core.config_fields import Section

FileExists = Callable[[Path], bool]


class BrokenRule(NamedTuple):
    """A rule that does not hold: the key, the value found, and what is allowed."""

    key: str
    got: str
    allowed: str


def known(section: Section, *names: str) -> bool:
    """Whether none of these keys is faulty."""
    return all(hasattr(section, name) for name in names)
