"""The words for what a run cost, the same on the page and on the terminal."""

from typing import NamedTuple


class AccountWords(NamedTuple):
    """Words for the cost of the own optimum in hindsight, for the measured cost, and for their difference."""

    own: str
    measured: str
    difference: str


def account_words(*, coordinated: bool) -> AccountWords:
    """A run that nobody coordinates has no compensation."""
    if coordinated:
        return AccountWords("without coordination", "with coordination", "compensation")
    return AccountWords("own optimum", "as measured", "difference")
