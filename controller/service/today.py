"""The change of day: the current local date, its series, and the plans that are left after midnight."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from controller.process.memory import give_back
from controller.record.records import Severity
from controller.service.alarms import Finding
from controller.service.days import Day, DayLoader, LocalDate
from controller.service.plans import Plans
from core.errors import InputError

_log = logging.getLogger(__name__)

RETRY = timedelta(minutes=10)
"""Pause between two attempts to read the series of a day that cannot be read."""


class Today:
    """The day in progress. ``day`` is set by :meth:`open` and replaced by :meth:`advance`."""

    def __init__(self, loader: DayLoader, timezone: str) -> None:
        self.day: Day
        self._loader, self._zone = loader, ZoneInfo(timezone)
        self._retry_at: datetime | None = None
        self._substituted: dict[LocalDate, str] = {}

    @property
    def findings(self) -> Iterator[Finding]:
        """Whose data serve in place of missing ones, today and tomorrow."""
        for date, text in self._substituted.items():
            if date >= self.day.date:
                yield Finding("series", Severity.WARNING, date.isoformat(), text)

    def open(self, at: datetime) -> None:
        """Read the series of the local date of ``at``.

        Raises:
            InputError: they cannot be read.
        """
        self.day = self.load(at)

    def load(self, at: datetime) -> Day:
        """Read the series of the local date of ``at``; log which data replace missing ones.

        Raises:
            InputError: they cannot be read.
        """
        date = at.astimezone(self._zone).date()
        loaded = self._loader.load(date)
        give_back()
        self._substituted.pop(date, None)
        for alarm in loaded.alarms:
            _log.warning("%s", alarm)
            self._substituted[date] = alarm
        return loaded.day

    def advance(self, plans: Plans, at: datetime) -> Plans:
        """Move to the date of ``at`` if it has changed, and return the plans that are left then.

        If the series of the new date cannot be read, no plan reaches ``at`` and prosumers go to their safe state;
        reading is tried again after :data:`RETRY`.
        """
        if self.day.covers(at) or (self._retry_at is not None and at < self._retry_at):
            return plans
        plans = plans.advanced_to(at)
        planned = plans.day_ahead
        try:
            self.day = planned.day if planned and planned.day.covers(at) else self.load(at)
        except InputError as error:
            self._retry_at = at + RETRY
            _log.error("no series of today: %s", error)
        return plans
