"""Reasons to doubt a converter. They are judged elsewhere; their consequences are decided in a cycle."""

from dataclasses import dataclass
from enum import StrEnum

HELD_TOLERANCE_KVA = 0.02
"""Difference between a written and a held setpoint that a coarse register map may cause."""


class DoubtKind(StrEnum):
    """Kinds of doubt.

    OVERTAKEN: the converter reports the fencing epoch of another writer. TWIN: another writer uses our epoch, and goes
    on writing. With either of them nothing is written to any device.
    FOREIGN: it holds a setpoint that we have not sent. CONTRADICTED: its power is not that of the meter at its node.
    A converter of the last two kinds is released, and not written while the doubt lasts.
    """

    OVERTAKEN = "overtaken"
    TWIN = "twin"
    FOREIGN = "foreign"
    CONTRADICTED = "contradicted"

    @property
    def yields(self) -> bool:
        """Whether all of the service gives way to the other writer."""
        return self in (DoubtKind.OVERTAKEN, DoubtKind.TWIN)


@dataclass(frozen=True)
class Doubt:
    """A doubt; ``text`` has the numbers that caused it."""

    kind: DoubtKind
    text: str
