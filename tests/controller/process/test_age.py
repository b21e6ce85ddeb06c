"""The age of an instant that an earlier process has stamped, on a computer whose clock may be wrong."""

from datetime import UTC, datetime, timedelta
from math import inf

import pytest

from controller.process.age import Age, BootClock, Stamp

NOON = datetime(2018, 6, 21, 12, tzinfo=UTC)


class BootedClock:
    """A computer's clocks: ``shift_s`` is the error of the wall clock."""

    def __init__(self, at: datetime, since_boot_s: float, shift_s: float = 0.0) -> None:
        self._at, self._since_boot_s = at + timedelta(seconds=shift_s), since_boot_s

    def now(self) -> datetime:
        return self._at

    def monotonic_s(self) -> float:
        return self._since_boot_s


def stamped(*, synchronised: bool) -> Stamp:
    return BootClock(BootedClock(NOON, 5000.0), "first", lambda: synchronised).stamp()


def age(boot: str, since_boot_s: float, minutes: float, then: bool, now: bool, shift_s: float = 0.0) -> Age:
    clock = BootedClock(NOON + timedelta(minutes=minutes), since_boot_s, shift_s)
    return BootClock(clock, boot, lambda: now).age(stamped(synchronised=then))


@pytest.mark.parametrize("shift_s", [0.0, -3600.0, 86400.0 * 100])
def test_in_the_same_boot_the_wall_clock_does_not_matter(shift_s: float) -> None:
    assert age("first", 5000.0 + 840.0, 14, then=False, now=False, shift_s=shift_s) == Age(840.0, 840.0)


def test_across_boots_only_synchronised_clocks_are_believed() -> None:
    assert age("second", 60.0, 14, then=True, now=True) == Age(840.0, 840.0)
    for then, now in ((True, False), (False, True), (False, False)):
        assert age("second", 60.0, 14, then=then, now=now) == Age(60.0, inf)


def test_less_than_the_time_since_the_boot_is_impossible() -> None:
    assert age("second", 900.0, 14, then=True, now=True) == Age(900.0, inf)
    assert age("second", 60.0, 14, then=True, now=True, shift_s=-3600.0) == Age(60.0, inf)


def test_a_clock_of_the_boot_that_went_back_tells_nothing() -> None:
    assert age("first", 100.0, 14, then=True, now=True) == Age(0.0, inf)
