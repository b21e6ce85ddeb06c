"""The wall clock as far as it can be believed: a jump counts only after it has lasted."""

from datetime import datetime, timedelta

from core.time import Clock

BELIEVED = timedelta(minutes=5)
"""Two clocks may differ so much between two looks; more is a jump."""
LASTS_S = 600.0
"""A jump that has lasted so long is believed: somebody has set the clock right."""


class SteadyTime:
    """The time of ``clock``; during a jump, the time that it would show without.

    So a clock that is wrong by days for a moment neither turns the day nor ends the plans.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._at, self._s = clock.now(), clock.monotonic_s()
        self._jumped_s: float | None = None

    def now(self) -> datetime:
        """The time to plan by; to be asked at least every few minutes."""
        at, now_s = self._clock.now(), self._clock.monotonic_s()
        expected = self._at + timedelta(seconds=now_s - self._s)
        if abs(at - expected) > BELIEVED:
            self._jumped_s = now_s if self._jumped_s is None else self._jumped_s
            if now_s - self._jumped_s < LASTS_S:
                return expected
        self._at, self._s, self._jumped_s = at, now_s, None
        return at
