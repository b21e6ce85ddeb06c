"""A clock for tests that advances when it is read."""

from datetime import UTC, datetime, timedelta


class VirtualClock:
    """A :class:`core.time.Clock` that advances by ``step_s`` at every reading; by default it stands still."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.step_s = step_s
        self._elapsed_s = 0.0

    def now(self) -> datetime:
        return datetime(2018, 6, 20, 23, tzinfo=UTC) + timedelta(seconds=self.monotonic_s())

    def monotonic_s(self) -> float:
        self._elapsed_s += self.step_s
        return self._elapsed_s
