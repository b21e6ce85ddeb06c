"""Why a converter is not believed. Who judges that stands outside; what follows from it is decided in a cycle."""

from dataclasses import dataclass
from enum import StrEnum


class DoubtKind(StrEnum):
    """What speaks against a converter.

    OVERTAKEN: it reports a writer with a higher fencing epoch than ours; nothing is written any more, to anybody.
    FOREIGN: it holds a setpoint that we have not sent. CONTRADICTED: its power is not that of the meter at its node.
    The last two are released, and left alone for as long as the doubt stands.
    """

    OVERTAKEN = "overtaken"
    FOREIGN = "foreign"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True)
class Doubt:
    """A doubt, with the numbers that raised it as ``text``."""

    kind: DoubtKind
    text: str
