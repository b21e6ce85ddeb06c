"""The wall clock, and a clock that a clock master advances."""

import time
from datetime import UTC, datetime, timedelta

_SINCE_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class WallClock:
    """Real time, a :class:`core.time.Clock`."""

    def now(self) -> datetime:
        """The current time, UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds since the boot, also those in which the computer was suspended: leases end and data age in them.

        Where the system has no such clock: seconds since an arbitrary instant before the program began.
        """
        return time.monotonic() if _SINCE_BOOT is None else time.clock_gettime(_SINCE_BOOT)


class SteppedClock:
    """Virtual time, a :class:`core.time.Clock`: ``start`` plus the seconds that the clock master has advanced it by."""

    def __init__(self, start: datetime) -> None:
        self._start, self._elapsed_s, self._offset_s = start, 0.0, 0.0

    def now(self) -> datetime:
        """Virtual time, in the zone of ``start``."""
        return self._start + timedelta(seconds=self._elapsed_s + self._offset_s)

    def monotonic_s(self) -> float:
        """Virtual seconds since the start."""
        return self._elapsed_s

    def jump(self, seconds: float) -> None:
        """Shift the wall-clock time by ``seconds``, as a wrongly set clock does; monotonic time is not affected."""
        self._offset_s += seconds

    def advance_to(self, elapsed_s: float) -> None:
        """Advance to ``elapsed_s`` after the start.

        Raises:
            ValueError: that time is before the current one.
        """
        if not elapsed_s >= self._elapsed_s:
            raise ValueError(f"clock: asked {elapsed_s} s, allowed from {self._elapsed_s} s on")
        self._elapsed_s = elapsed_s
