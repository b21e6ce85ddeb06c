"""Errors that a user can act on. A message names the object, the value found, and what is allowed, with its unit."""

import json
from collections.abc import Iterable
from dataclasses import dataclass


class GridlabError(Exception):
    """Root of all errors that gridlab raises on purpose."""


@dataclass(frozen=True)
class Fault:
    """One fault in the user's input, printed as one line.

    ``key`` is the path inside ``file`` (``prosumers[0].battery.soc_min``, or ``line 12, column p_kw`` of a CSV).
    """

    file: str
    key: str
    value: str
    allowed: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: got {self.value}; allowed: {self.allowed}"


@dataclass(frozen=True)
class Caution:
    """Something in the user's input that is allowed but unusual, printed as one line; ``advice`` says how it was read
    or what it may be.
    """

    file: str
    key: str
    value: str
    advice: str

    def __str__(self) -> str:
        where = f"{self.file}: {self.key}" if self.key else self.file
        return f"{where}: got {self.value}; {self.advice}"


def shown(value: object) -> str:
    """A value of the user's file as written there, shortened to one line of at most 60 characters."""
    match value:
        case None:
            return "nothing"
        case dict():
            return "a section"
        case list():
            return "a list"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


class InputError(GridlabError):
    """Faulty input: every fault found, one line each. The command line exits with code 2."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class SolverLicenceError(GridlabError):
    """A commercial solver refuses a problem of this size under the licence it found."""


class SolverError(GridlabError):
    """A solver ended without a usable solution."""


class CoordinationError(GridlabError):
    """A coordination ended without a plan, since some participants never answered."""
