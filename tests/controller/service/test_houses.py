"""Passive houses in the service: what a cycle knows of them, and what is recorded."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from controller.live.site import PageSite
from controller.service.alarms import AlarmLog
from controller.service.cycle import ObservedHouse
from controller.service.days import Day, DayLoader
from controller.service.describe import house_record
from controller.service.houses import PassiveHouses
from controller.service.watch import Image
from core.config import Config
from core.devices import Measurement, Quality, Snapshot
from core.load import load_config
from realtime.houses import HouseDemand
from realtime.plane import Power
from realtime.tracker import Target
from tests.support.commands import scenario_file
from tests.support.cycle_records import cycle
from tests.support.service_bench import MIDSUMMER

NOON = timedelta(hours=12, seconds=10)
HOUSES = ("  - name: N4\n    node: N4\n    converter: n4_converter", "  - name: N4\n    node: N3")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """N4 is passive and stands at N3, where a converter and a meter are; N7 is passive at a node of its own."""
    here = scenario_file(tmp_path_factory.mktemp("houses"), HOUSES, ("    converter: n7_converter\n", ""))
    gone = ("name: n4_converter", "name: n7_converter", "name: n7_meter")
    lines = [line for line in here.read_text().splitlines() if not any(word in line for word in gone)]
    here.write_text("\n".join(lines))
    return here


@pytest.fixture(scope="module")
def config(path: Path) -> Config:
    return load_config(path)


@pytest.fixture(scope="module")
def day(config: Config, path: Path) -> Day:
    return DayLoader(config, path).load(MIDSUMMER).day


def image(day: Day, age_s: float = 0.0, **p_kw: float) -> Image:
    """Readings of devices by name, so old."""
    readings = {
        name: Measurement(name, p, 0.5 * p, 1.0, None, None, 1000.0 - age_s, Quality.GOOD) for name, p in p_kw.items()
    }
    at = day.forecast.axis.start + NOON
    return Image(Snapshot(at, 1000.0, readings), {}, dict.fromkeys(readings, Quality.GOOD), {})


def test_what_the_meter_leaves_over_is_the_houses(config: Config, day: Day) -> None:
    demands = PassiveHouses(config).seen(image(day, n3_meter=2.0, n3_converter=-1.0), day)
    assert demands["N4"] == HouseDemand(Power(3.0, 1.5), measured=True)
    assert not demands["N7"].measured
    assert set(demands) == {"N4", "N7"}


@pytest.mark.parametrize(
    "readings",
    [{"n3_meter": 2.0}, {"n3_converter": 1.0}, {}, {"n3_meter": 2.0, "n3_converter": 1.0, "age_s": 13.0}],
    ids=["converter unknown", "meter unknown", "nothing", "too old"],
)
def test_else_it_is_as_forecast(readings: dict[str, float], config: Config, day: Day) -> None:
    found = PassiveHouses(config).seen(image(day, **readings), day)
    site = next(site for site in day.forecast.sites if site.name == "N4")
    assert found["N4"] == HouseDemand(Power(site.outlook.load_kw[72], site.outlook.load_kvar[72]), measured=False)


def test_beyond_the_day_nothing_is_said(config: Config, day: Day) -> None:
    seen = image(day)
    late = Image(Snapshot(day.forecast.axis.end + timedelta(hours=1), 1000.0, {}), {}, {}, {})
    assert set(PassiveHouses(config).seen(seen, day)) == {"N4", "N7"}
    assert PassiveHouses(config).seen(late, day) == {}


@pytest.mark.parametrize("measured", [True, False])
def test_its_record_has_no_setpoint_and_no_rung(measured: bool) -> None:
    demand = HouseDemand(Power(1.5, 0.25), measured)
    record = house_record(ObservedHouse(demand, Target(1.0, 0.2, 1.0)), 1.01, None, 0.3)
    assert (record.p_target_kw, record.q_target_kvar, record.load_kw, record.v_measured_pu) == (1.0, 0.2, 1.5, 1.01)
    assert (record.p_measured_kw, record.q_measured_kvar) == ((1.5, 0.25) if measured else (None, None))
    assert record.reasons == (() if measured else ("assumed",))
    others = (record.p_setpoint_kw, record.q_setpoint_kvar, record.pv_kw, record.battery_kw, record.soc, record.rung)
    assert others == (None,) * 6
    assert house_record(ObservedHouse(demand, None), None, None, None).p_target_kw is None


def test_it_raises_no_alarm(config: Config) -> None:
    house = house_record(ObservedHouse(HouseDemand(Power(1.0, 0.0), measured=False), None), None, None, None)
    record = replace(cycle(0), prosumers={**cycle(0).prosumers, "N4": house})
    standing, _ = AlarmLog(PageSite.of(config)).after(record, None)
    assert standing == ()


def test_the_page_shows_no_battery_that_nobody_controls(config: Config) -> None:
    shown = {prosumer.name: prosumer for prosumer in PageSite.of(config).prosumers}
    assert (shown["N4"].battery_kwh, shown["N4"].pv_peak_kw) == (None, None)
    assert (shown["N3"].battery_kwh, shown["N3"].pv_peak_kw) == (2.5, 5.0)
