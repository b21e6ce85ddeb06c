"""Comparison of a device's clock with ours, which reveals late answers and flipped bits.

A clock that jumps is rejected until three readings in a row agree on its new course: then it was set, or the device was
restarted. A clock that stands still is accepted; the age of its readings is for the controller to judge. Both clocks
are in seconds; drift below the tolerance, from one reading to the next, is ignored.
"""

from dataclasses import dataclass

TOLERANCE_S = 60.0
READINGS = 3


@dataclass(frozen=True)
class _ClockPair:
    """Device clock and our clock at the same moment, s."""

    device_s: float
    ours_s: float

    def follows(self, earlier: "_ClockPair") -> bool:
        """Whether the device clock advanced as far as ours, within the tolerance, or not at all; never backward."""
        went_s, ours_s = self.device_s - earlier.device_s, self.ours_s - earlier.ours_s
        return went_s == 0 or (went_s > 0 and abs(went_s - ours_s) <= TOLERANCE_S)


class DeviceClock:
    """Remembers the last accepted pair, and how many rejected ones since then agree with each other."""

    def __init__(self) -> None:
        self._accepted: _ClockPair | None = None
        self._candidate: _ClockPair | None = None
        self._agreeing = 0

    def jump(self, device_s: float, ours_s: float) -> str:
        """Description of the clock's jump in a new reading; empty if the clock is accepted."""
        pair, before = _ClockPair(device_s, ours_s), self._accepted
        if before is None or pair.follows(before) or self._confirmed(pair):
            if before is None or device_s != before.device_s:
                self._accepted = pair
            self._candidate, self._agreeing = None, 0
            return ""
        went_s, elapsed_s = device_s - before.device_s, ours_s - before.ours_s
        return f"went on by {went_s:.0f} s in {elapsed_s:.0f} s, tolerated ±{TOLERANCE_S:g} s and never backward"

    def _confirmed(self, pair: _ClockPair) -> bool:
        agrees = self._candidate is not None and pair.follows(self._candidate)
        self._candidate, self._agreeing = pair, self._agreeing + 1 if agrees else 1
        return self._agreeing >= READINGS
