"""Fencing epochs: numbers of the writers of a device, which cannot be used up.

They are 1 … 65535 and form a ring, as serial numbers do (RFC 1982): 1 follows 65535, and of two different epochs one is
always later, at most half of the ring ahead. 0 means that nobody has written since the device was switched on; every
epoch is later than 0. A larger number, which only a wider register can hold, stands for the epoch that is congruent.
"""

from collections.abc import Iterable

LAST = 2**16 - 1
NOBODY = 0
NEAR = 2**14
"""A quarter of the ring: what is at most this far ahead is followed without a doubt about which of two is the later."""


def successor(epoch: int) -> int:
    """The next epoch."""
    return 1 + epoch % LAST


def later(epoch: int, than: int) -> bool:
    """Whether the writer of ``epoch`` came after the one of ``than``."""
    if NOBODY in (epoch, than):
        return epoch != NOBODY and than == NOBODY
    return 0 < (epoch - than) % LAST <= LAST // 2


def latest(epoch: int, others: Iterable[int]) -> int:
    """The latest of ``epoch`` and of ``others`` that are near ahead of it.

    One that is far ahead, such as one that an intruder chose, does not count: at most its own device is concerned.
    """
    written = [other for other in others if other != NOBODY]
    base = epoch or next(iter(written), NOBODY)
    return max((base, *written), key=lambda other: ahead if (ahead := (other - base) % LAST) <= NEAR else 0)
