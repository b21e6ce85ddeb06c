"""Names of the algorithms, as spelled in configuration files, on the command line and in tables of results.

Each algorithm is listed here once; its folder in mpc maps the name to the code, once.
"""

from enum import StrEnum


class SplittingName(StrEnum):
    """Splittings of the star; :func:`mpc.coordination.star.algorithms.splitting_named` returns the code of each."""

    PROFILE = "profile"
    CONSTRAINT = "constraint"


class DispatchAlgorithm(StrEnum):
    """Algorithms of the kind ``dispatch``."""

    ADMM = "admm"


class TreeAlgorithm(StrEnum):
    """Algorithms of the kind ``tree``: the tree of aggregators, and the paper's own iteration with scaled limits, as it
    is and over-relaxed.
    """

    TREE = "tree"
    SHARING = "sharing"
    RELAXED_SHARING = "relaxed-sharing"


def alternatives(names: type[StrEnum]) -> str:
    """All names as text: ``a, b or c``."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else str(last)
