"""The series of a local date: forecasts by step, and realised values at any instant of it.

A service that crosses midnight needs the next date's series, reads their files again at every day-ahead run, and must
not stop if a file is missing. Then every series without a ``date`` of its own is read at the last valid date, as if the
configuration said so: wall time stays wall time, also on days of 23 and 25 hours. If those files are missing as well,
the series of the last loaded day are used again from memory, provided the clock of both days runs alike.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np

from core.arrays import FloatArray
from core.config import Config
from core.config_fields import DayFile, Section
from core.errors import Caution, Fault, InputError
from core.load import load_scenario
from core.resources import Outlook
from core.scenario import Scenario
from core.series import wall_passes
from core.time import TimeAxis
from mpc.carrying import require_power_flow
from realtime.plane import Power
from realtime.plants import shares_of
from realtime.tracker import LoadAndPv

LocalDate = date
CYCLE_BEYOND_DAY = timedelta(seconds=45)
"""How far a cycle may lie beyond its day; older data are not used anywhere either."""
S = TypeVar("S", bound=Section)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Day:
    """A local date.

    Attributes:
        data_of: the date of the series that were read.
        forecast: with passive houses as loads.
        realised: what converters are to reproduce, means of the day's minutes, by prosumer; a passive house has none.
    """

    date: LocalDate
    data_of: LocalDate
    forecast: Scenario
    realised: Mapping[str, Outlook]

    def covers(self, instant: datetime) -> bool:
        """Whether the (aware) instant lies within the date; the end belongs to the next date."""
        return self.forecast.axis.start <= instant < self.forecast.axis.end

    def step_of(self, instant: datetime) -> int:
        """The step of ``forecast`` that contains the instant.

        Raises:
            ValueError: the day does not cover it.
        """
        axis = self.forecast.axis
        if not self.covers(instant):
            allowed = f"{axis.start.isoformat()} … {axis.end.isoformat()}"
            raise ValueError(f"day {self.date}: asked {instant.isoformat()}, allowed {allowed}")
        return (instant - axis.start) // timedelta(minutes=axis.step_min)

    def amounts(self, instant: datetime) -> Mapping[str, LoadAndPv]:
        """Realised load and PV of the prosumers with a converter: linear between the middles of minutes, then constant.

        So a cycle that midnight overtakes still has its amounts; further than :data:`CYCLE_BEYOND_DAY` there are none.
        """
        axis = self.forecast.axis
        if not axis.start - CYCLE_BEYOND_DAY <= instant <= axis.end + CYCLE_BEYOND_DAY:
            return {}
        minutes = (instant - axis.start) / timedelta(minutes=1)
        return {name: _at(minutes, outlook) for name, outlook in self.realised.items()}

    def forecast_of(self, names: Collection[str], instant: datetime) -> Mapping[str, Power]:
        """Forecast net demand of passive houses, by name; as far beyond the day as :meth:`amounts`, else empty."""
        axis = self.forecast.axis
        if not axis.start - CYCLE_BEYOND_DAY <= instant <= axis.end + CYCLE_BEYOND_DAY:
            return {}
        step = min(max((instant - axis.start) // timedelta(minutes=axis.step_min), 0), axis.n_steps - 1)
        loads = {site.name: site.outlook for site in self.forecast.sites if site.name in names}
        return {name: Power(float(load.load_kw[step]), float(load.load_kvar[step])) for name, load in loads.items()}


@dataclass(frozen=True)
class Loaded:
    """A loaded day, and one line for every date whose data could not be read."""

    day: Day
    alarms: tuple[str, ...]


class DayLoader:
    """Loads days; remembers the last valid date (at first that of the configuration) and the last loaded day."""

    def __init__(self, config: Config, path: Path) -> None:
        self._config, self._path = config, path
        self._valid: LocalDate = config.horizon.date
        self._kept: Day | None = None
        self._told: set[Caution] = set()

    def load(self, day: LocalDate) -> Loaded:
        """Load the series of a date; every call reads the files again, in about 0.2 s for the default scenario.

        Raises:
            InputError: the steps of the configuration do not divide the date, or there are no substitute data.
        """
        self._require_steps(day)
        try:
            loaded = Loaded(self._read(day, day), ())
            self._valid = day
        except InputError as error:
            loaded = self._substitute(day, error)
        self._kept = loaded.day
        return loaded

    def _require_steps(self, day: LocalDate) -> None:
        horizon = self._config.horizon
        minutes = TimeAxis.day(day, horizon.timezone, step_min=1).n_steps
        if not minutes or minutes % horizon.step_min:
            allowed = f"a divisor of {minutes}, the minutes of {day} in {horizon.timezone}"
            raise InputError([Fault(str(self._path), "horizon.step_min", f"{horizon.step_min}", allowed)])

    def _read(self, day: LocalDate, data_of: LocalDate) -> Day:
        config = self._config if data_of == day else _dated(self._config, data_of)
        passive = config.passive
        forecast = load_scenario(_on(config, day, config.horizon.step_min), self._path).with_passive(passive)
        require_power_flow(forecast, str(self._path))
        realised = load_scenario(_on(config, day, step_min=1), self._path, "realised")
        self._tell(forecast.cautions + realised.cautions)
        reproduced = {site.name: site.outlook for site in realised.sites if site.name not in passive}
        return Day(day, data_of, forecast, reproduced)

    def _tell(self, cautions: tuple[Caution, ...]) -> None:
        """Log what is new about the series."""
        for caution in cautions:
            if caution not in self._told:
                self._told.add(caution)
                _log.warning("%s", caution)

    def _substitute(self, day: LocalDate, error: InputError) -> Loaded:
        """Another day's data for ``day``, whose own data have the faults of ``error``."""
        faults = error.faults
        if self._valid != day:
            try:
                alarm = f"{day}: {faults[0]}; the data of {self._valid} serve"
                return Loaded(self._read(day, self._valid), (alarm,))
            except InputError as another:
                faults += another.faults
        if self._kept is None or (kept := _moved(self._kept, day)) is None:
            raise InputError(faults)
        alarm = f"{day}: {faults[0]}; the data of {kept.data_of} serve as last read, as their files fail too"
        return Loaded(kept, (alarm,))


def _on(config: Config, day: LocalDate, step_min: int) -> Config:
    horizon = config.horizon.model_copy(update={"date": day, "step_min": step_min})
    return config.model_copy(update={"horizon": horizon})


def _dated(section: S, day: LocalDate) -> S:
    """The section with ``date: day`` in every series that has none."""
    changes = {name: _dated_value(value, day) for name, value in section}
    if isinstance(section, DayFile) and section.date is None:
        changes["date"] = day
    return section.model_copy(update=changes)


def _dated_value(value: object, day: LocalDate) -> object:
    if isinstance(value, Section):
        return _dated(value, day)
    return tuple(_dated_value(item, day) for item in value) if isinstance(value, tuple) else value


def _moved(kept: Day, day: LocalDate) -> Day | None:
    """The same series on another date; None if the two dates differ in their hours or in the change of the clock."""
    old = kept.forecast.axis
    new = TimeAxis.day(day, old.timezone, old.step_min)
    if wall_passes(new) != wall_passes(old):
        return None
    return replace(kept, date=day, forecast=replace(kept.forecast, axis=new))


def _at(minutes: float, outlook: Outlook) -> LoadAndPv:
    middles = np.arange(len(outlook.load_kw)) + 0.5

    def value(series: FloatArray) -> float:
        return float(np.interp(minutes, middles, series))

    plants_kw = [value(series) for series in outlook.plants_kw]
    split = shares_of(plants_kw) if len(plants_kw) > 1 else ()
    return LoadAndPv(value(outlook.load_kw), value(outlook.load_kvar), value(outlook.pv_available_kw), split)
