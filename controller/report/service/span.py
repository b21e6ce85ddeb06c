"""The span of time that a report of a service is about."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from core.errors import Fault, InputError

MOMENT = timedelta(microseconds=1)
"""The end that is asked for belongs to what follows."""
LONGEST_UNASKED = timedelta(hours=25)
"""Without options a longer telemetry is reported from its last local midnight on."""
ALLOWED = "a local date 2026-11-30 or time 2026-11-30T14:30"


@dataclass(frozen=True)
class AskedSpan:
    """The options ``--from`` and ``--to``: local dates or times, or offsets from UTC; None is not asked."""

    begin: str | None = None
    end: str | None = None

    @property
    def given(self) -> bool:
        """Whether any part of a run is asked for."""
        return self.begin is not None or self.end is not None

    def within(self, first: datetime, last: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """Begin and end (UTC), where the telemetry reaches from ``first`` to ``last``.

        Without options: all of it, or of more than a day what lies after the last local midnight. A date alone is that
        day. The cycle at an end that is asked for belongs to the next span.

        Raises:
            InputError: an option is no time, or there is no telemetry between them.
        """
        midnight = datetime.combine(last.astimezone(zone), time(), zone)
        begin = first if self.given or last - first <= LONGEST_UNASKED else midnight
        end = last
        if self.begin is not None:
            begin = _instant("--from", self.begin, zone, timedelta())
            if self.end is None and _is_date(self.begin):
                end = min(last, _instant("--from", self.begin, zone, timedelta(days=1)) - MOMENT)
        if self.end is not None:
            end = _instant("--to", self.end, zone, timedelta(days=1)) - MOMENT
        if end < first or begin > last or begin >= end:
            reaches = " to ".join(each.astimezone(zone).isoformat(timespec="seconds") for each in (first, last))
            option, text = ("--from", self.begin) if self.begin else ("--to", self.end)
            raise InputError([Fault(option, "", str(text), f"a span within the telemetry, {reaches}")])
        return max(begin, first).astimezone(UTC), min(end, last).astimezone(UTC)


def _instant(option: str, text: str, zone: ZoneInfo, after_date: timedelta) -> datetime:
    """A time; of a date alone its first midnight, or its last one if ``after_date`` is a day."""
    try:
        if _is_date(text):
            return datetime.combine(date.fromisoformat(text) + after_date, time(), zone)
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError([Fault(option, "", text, ALLOWED)]) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=zone)


def _is_date(text: str) -> bool:
    return "T" not in text and ":" not in text
