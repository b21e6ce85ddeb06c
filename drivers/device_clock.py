"""Whether a device's clock goes on as ours does: late answers and flipped bits show in it.

A clock that leaves its course is not believed, until three readings in a row agree on a new one: then somebody has set
it, or the device was restarted. A clock that stands has not left its course; how old its readings are is for the
controller to judge. Both clocks are in seconds; drift below the tolerance, from one reading to the next, is no matter.
"""

from dataclasses import dataclass

TOLERANCE_S = 60.0
READINGS = 3


@dataclass(frozen=True)
class _Sight:
    """What the device's clock and ours showed at once."""

    device_s: float
    ours_s: float

    def follows(self, earlier: "_Sight") -> bool:
        """Never backward, and as far as ours went, or nowhere."""
        went_s, ours_s = self.device_s - earlier.device_s, self.ours_s - earlier.ours_s
        return went_s == 0 or (went_s > 0 and abs(went_s - ours_s) <= TOLERANCE_S)


class DeviceClock:
    """Remembers the last sight that was believed, and how many since agree with each other and not with it."""

    def __init__(self) -> None:
        self._believed: _Sight | None = None
        self._doubted: _Sight | None = None
        self._agreeing = 0

    def jump(self, device_s: float, ours_s: float) -> str:
        """What is wrong with the clock of a new reading; nothing where it is believed."""
        sight, before = _Sight(device_s, ours_s), self._believed
        if before is None or sight.follows(before) or self._confirmed(sight):
            if before is None or device_s != before.device_s:
                self._believed = sight
            self._doubted, self._agreeing = None, 0
            return ""
        went_s, elapsed_s = device_s - before.device_s, ours_s - before.ours_s
        return f"went on by {went_s:.0f} s in {elapsed_s:.0f} s, tolerated ±{TOLERANCE_S:g} s and never backward"

    def _confirmed(self, sight: _Sight) -> bool:
        agrees = self._doubted is not None and sight.follows(self._doubted)
        self._doubted, self._agreeing = sight, self._agreeing + 1 if agrees else 1
        return self._agreeing >= READINGS
