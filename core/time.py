"""The time axis of a horizon, and the clock interface.

Instants are aware datetimes. The axis counts real elapsed time in UTC, so that days of 23 and 25 hours have 23·60 and
25·60 minutes; local time is used only for input and output.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    """Source of time, passed in: the wall clock in the service, a virtual one in simulation and tests."""

    def now(self) -> datetime:
        """Current instant, aware, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds from an arbitrary origin; never jumps. Budgets, deadlines and ages use only this."""
        ...


@dataclass(frozen=True)
class TimeAxis:
    """``n_steps`` equal steps of ``step_min`` minutes from ``start`` (aware, UTC); ``timezone`` is that of local
    times.
    """

    start: datetime
    step_min: int
    n_steps: int
    timezone: str

    @classmethod
    def day(cls, day: date, timezone: str, step_min: int) -> "TimeAxis":
        """The local calendar day: 24 hours, or 23 and 25 when daylight saving begins and ends.

        Raises:
            ValueError: the step does not divide the day.
        """
        zone = ZoneInfo(timezone)
        start, end = (datetime.combine(d, time(), zone).astimezone(UTC) for d in (day, day + timedelta(days=1)))
        n_steps, rest = divmod((end - start).total_seconds() / 60, step_min)
        if rest:
            raise ValueError(f"a step of {step_min} min does not divide the day {day} of {timezone}")
        return cls(start, step_min, int(n_steps), timezone)

    def after(self, steps: int) -> "TimeAxis":
        """The rest of the axis after ``steps`` steps."""
        start = self.start + timedelta(minutes=self.step_min * steps)
        return TimeAxis(start, self.step_min, self.n_steps - steps, self.timezone)

    @property
    def dt_h(self) -> float:
        """Length of a step in hours."""
        return self.step_min / 60

    @property
    def end(self) -> datetime:
        """End of the last step (aware, UTC)."""
        return self.start + timedelta(minutes=self.step_min * self.n_steps)

    @property
    def times(self) -> tuple[datetime, ...]:
        """Start of each step, aware, in local time."""
        zone = ZoneInfo(self.timezone)
        return tuple((self.start + timedelta(minutes=self.step_min * t)).astimezone(zone) for t in range(self.n_steps))
