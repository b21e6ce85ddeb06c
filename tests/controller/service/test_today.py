"""The turn of the day: the planned day takes over at midnight, and missing series are asked for again."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from controller.service.days import Day, DayLoader, Loaded
from controller.service.plans import DatedPlan, Plans
from controller.service.today import RETRY, Today
from core.errors import Fault, InputError
from core.load import load_config
from mpc.intra_day import RunningPlan
from tests.support.coordination import uncoordinated
from tests.support.paths import CONFIG

CONFIGURED = load_config(CONFIG)
LOADER = DayLoader(CONFIGURED, CONFIG)
MIDSUMMER = LOADER.load(date(2018, 6, 21)).day
BEGINS, ENDS = MIDSUMMER.forecast.axis.start, MIDSUMMER.forecast.axis.end
PLANNED = DatedPlan(MIDSUMMER, RunningPlan.of(uncoordinated(MIDSUMMER.forecast, CONFIGURED.coordination)), 0.0, "today")


class UntilMidnight(DayLoader):
    """A loader whose files end with midsummer's day until ``there`` is set."""

    there = False

    def load(self, day: date) -> Loaded:
        if day > MIDSUMMER.date and not self.there:
            raise InputError([Fault("load.csv", "time", f"{day}", "midsummer")])
        return super().load(day)


@pytest.fixture
def loader() -> UntilMidnight:
    return UntilMidnight(CONFIGURED, CONFIG)


@pytest.fixture
def today(loader: UntilMidnight) -> Today:
    today = Today(loader, CONFIGURED.horizon.timezone)
    today.open(BEGINS)
    return today


def test_within_its_day_nothing_turns(today: Today) -> None:
    plans, day = Plans(None, PLANNED), today.day
    assert today.advance(plans, ENDS - timedelta(seconds=1)) is plans
    assert today.day is day


def test_data_of_another_day_are_an_alarm_until_that_day_has_passed(today: Today, loader: UntilMidnight) -> None:
    loader.there = True
    assert tuple(today.findings) == ()
    today.load(ENDS)
    (found,) = today.findings
    assert (found.kind, found.place) == ("series", "2018-06-22")
    assert found.text.endswith("the data of 2018-06-21 serve")
    today.advance(Plans(), ENDS)
    assert tuple(today.findings) == (found,)
    today.advance(Plans(), ENDS + timedelta(days=1))
    assert [finding.place for finding in today.findings] == ["2018-06-23"]


def test_at_midnight_the_day_of_tomorrows_plan_takes_over(today: Today, loader: UntilMidnight) -> None:
    """Its series are not read again: the plan was made with those."""
    tomorrow: Day = DayLoader(CONFIGURED, CONFIG).load(date(2018, 6, 22)).day
    plans = Plans(PLANNED, PLANNED, replace(PLANNED, day=tomorrow))
    assert today.advance(plans, ENDS) == Plans(None, plans.tomorrow)
    assert today.day is tomorrow


def test_without_series_there_is_no_plan_and_they_are_asked_for_again(today: Today, loader: UntilMidnight) -> None:
    assert today.advance(Plans(None, PLANNED), ENDS) == Plans()
    assert today.day.date == MIDSUMMER.date
    loader.there = True
    today.advance(Plans(), ENDS + RETRY - timedelta(seconds=1))
    assert today.day.date == MIDSUMMER.date
    today.advance(Plans(), ENDS + RETRY)
    assert today.day.date == date(2018, 6, 22)
