"""Names of the algorithms, as configuration files, the command line and tables of results spell them.

An algorithm stands here once. The code that runs it is matched to its name once, in the folder of its shape.
"""

from enum import StrEnum


class SplittingName(StrEnum):
    """Splittings of the star; :func:`mpc.coordination.star.algorithms.splitting_named` has the code of each."""

    PROFILE = "profile"
    CONSTRAINT = "constraint"


def alternatives(names: type[StrEnum]) -> str:
    """All names as prose: ``a, b or c``."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else str(last)
