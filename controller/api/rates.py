"""Rate limits by token buckets. A flood without a token does not reduce the limits of those who have one."""

from dataclasses import dataclass, field

from controller.api.tokens import Role
from core.time import Clock


@dataclass(frozen=True)
class Rate:
    """Sustained requests per second, and how many at once after a pause."""

    per_s: float
    burst: int


@dataclass(frozen=True)
class Rates:
    """Limits without a token; of viewers; of operators; of emergency stops, which no other request can use up."""

    nobody: Rate = Rate(10.0, 20)
    viewer: Rate = Rate(20.0, 40)
    operator: Rate = Rate(5.0, 20)
    stop: Rate = Rate(5.0, 20)


class Bucket:
    """A token bucket, by a monotonic clock."""

    def __init__(self, rate: Rate, clock: Clock) -> None:
        self._rate, self._clock = rate, clock
        self._left, self._updated_s = float(rate.burst), clock.monotonic_s()

    def admits(self) -> bool:
        """Whether one more request may pass now; if so it is counted."""
        now_s = self._clock.monotonic_s()
        self._left = min(self._left + self._rate.per_s * (now_s - self._updated_s), self._rate.burst)
        self._updated_s = now_s
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True


@dataclass(frozen=True)
class Gate:
    """One bucket per role, shared by all clients of that role."""

    rates: Rates
    clock: Clock
    _buckets: dict[str, Bucket] = field(default_factory=dict)

    def admits(self, role: Role | None, *, stop: bool) -> bool:
        """Whether a request of that role may pass; ``stop``: it is an emergency stop."""
        kind = "stop" if stop and role is Role.OPERATOR else role or "nobody"
        if kind not in self._buckets:
            self._buckets[kind] = Bucket(getattr(self.rates, kind), self.clock)
        return self._buckets[kind].admits()
