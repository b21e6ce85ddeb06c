"""Clocks: that of real life, and one that a clock master sets."""

import time
from datetime import UTC, datetime, timedelta


class WallClock:
    """See :class:`core.time.Clock`."""

    def now(self) -> datetime:
        """UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds since some moment before the program began."""
        return time.monotonic()


class SteppedClock:
    """See :class:`core.time.Clock`: ``start`` plus the seconds that the master has let pass."""

    def __init__(self, start: datetime) -> None:
        self._start, self._passed_s, self._wrong_s = start, 0.0, 0.0

    def now(self) -> datetime:
        """Virtual, in the zone of the start."""
        return self._start + timedelta(seconds=self._passed_s + self._wrong_s)

    def monotonic_s(self) -> float:
        """Virtual seconds since the start."""
        return self._passed_s

    def jump(self, seconds: float) -> None:
        """Let the wall clock go wrong by so much more; monotonic time goes on as if nothing had happened."""
        self._wrong_s += seconds

    def advance_to(self, passed_s: float) -> None:
        """Set it, never back.

        Raises:
            ValueError: that time is past.
        """
        if not passed_s >= self._passed_s:
            raise ValueError(f"clock: asked {passed_s} s, allowed from {self._passed_s} s on")
        self._passed_s = passed_s
