"""Reasons to doubt a converter. They are judged elsewhere; their consequences are decided in a cycle."""

from dataclasses import dataclass
from enum import StrEnum


class DoubtKind(StrEnum):
    """Kinds of doubt.

    OVERTAKEN: the converter reports a writer with a higher fencing epoch than ours; then nothing is written to any
    device.
    FOREIGN: it holds a setpoint that we have not sent. CONTRADICTED: its power is not that of the meter at its node.
    A converter of the last two kinds is released, and not written while the doubt lasts.
    """

    OVERTAKEN = "overtaken"
    FOREIGN = "foreign"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class Doubt:
    """A doubt; ``text`` has the numbers that caused it."""

    kind: DoubtKind
    text: str
