"""Token buckets."""

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from controller.api.rates import Bucket, Gate, Rate, Rates
from controller.api.tokens import Role
from controller.process.clocks import SteppedClock

START = datetime(2018, 6, 21, tzinfo=ZoneInfo("UTC"))


@given(
    per_s=st.floats(0.1, 100),
    burst=st.integers(1, 50),
    pauses_s=st.lists(st.one_of(st.just(0.0), st.floats(0, 10)), max_size=200),
)
def test_never_more_than_burst_and_rate(per_s: float, burst: int, pauses_s: list[float]) -> None:
    clock = SteppedClock(START)
    bucket = Bucket(Rate(per_s, burst), clock)
    admitted = 0
    for pause_s in pauses_s:
        clock.advance_to(clock.monotonic_s() + pause_s)
        admitted += bucket.admits()
        assert admitted <= burst + per_s * clock.monotonic_s() + 1e-6
    assert admitted >= min(burst, len(pauses_s))


def test_nobody_uses_up_what_others_may() -> None:
    gate = Gate(Rates(), SteppedClock(START))
    assert sum(gate.admits(None, stop=False) for _ in range(1000)) == Rates().nobody.burst
    assert sum(gate.admits(None, stop=True) for _ in range(1000)) == 0
    assert sum(gate.admits(Role.VIEWER, stop=True) for _ in range(1000)) == Rates().viewer.burst
    assert sum(gate.admits(Role.OPERATOR, stop=False) for _ in range(1000)) == Rates().operator.burst
    assert gate.admits(Role.OPERATOR, stop=True)
