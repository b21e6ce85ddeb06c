"""How long ago something happened in an earlier process, told by a clock that cannot be fooled.

| between then and now | age |
|---|---|
| the same boot | the difference of the clock since the boot, which nobody can set |
| another boot, and both wall clocks were synchronised | the difference of the wall clocks |
| another boot else, as of a computer that loses its time without power | unknown, at least the time since this boot |
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import inf
from pathlib import Path

from core.time import Clock

_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd creates it when it has set the clock for the first time since the boot."""
_TIMEX_BYTES, _TIME_ERROR = 512, 5
"""More than the structure of adjtimex(2); its result if the clock is not synchronised."""


@dataclass(frozen=True)
class Stamp:
    """An instant, for later processes.

    Attributes:
        monotonic_s: on the clock of ``boot``, see :class:`controller.process.clocks.WallClock`.
        boot: see :func:`controller.process.heartbeat.boot_id`; None in virtual time, which is one boot.
        synchronised: whether ``at`` could be trusted.
    """

    at: datetime
    monotonic_s: float
    boot: str | None
    synchronised: bool


@dataclass(frozen=True)
class Age:
    """Bounds of an age, s; ``at_most_s`` is infinite if it is unknown."""

    at_least_s: float
    at_most_s: float


@dataclass(frozen=True)
class BootClock:
    """Stamps instants of ``clock``, and tells their age.

    Attributes:
        boot: identifies the boot; None in virtual time.
        synchronised: whether the wall clock can be trusted now.
    """

    clock: Clock
    boot: str | None
    synchronised: Callable[[], bool]

    def stamp(self) -> Stamp:
        """The present instant."""
        return Stamp(self.clock.now(), self.clock.monotonic_s(), self.boot, self.synchronised())

    def age(self, then: Stamp) -> Age:
        """The age of an instant that was stamped by this or an earlier process."""
        now = self.stamp()
        if then.boot == now.boot and then.monotonic_s <= now.monotonic_s:
            return Age(now.monotonic_s - then.monotonic_s, now.monotonic_s - then.monotonic_s)
        between_s = (now.at - then.at).total_seconds()
        if then.boot != now.boot and then.synchronised and now.synchronised and between_s >= now.monotonic_s:
            return Age(between_s, between_s)
        return Age(now.monotonic_s if then.boot != now.boot else 0.0, inf)


def clock_synchronised() -> bool:
    """Whether the kernel or systemd-timesyncd says that the wall clock was set by a reference since this boot."""
    if _SYNCHRONISED.exists():
        return True
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)  # all zero: nothing is changed
    with suppress(OSError, AttributeError):
        return ctypes.CDLL(None).adjtimex(timex) not in (-1, _TIME_ERROR)
    return False
