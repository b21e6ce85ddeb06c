from dataclasses import replace

import pytest

from controller.live.site import COLOURS, PageSite
from controller.record.records import CycleRecord, DeviceRecord, Severity
from controller.report.primitives import style
from controller.service.alarms import AlarmLog
from core.config import Config
from core.devices import Quality
from tests.support.cycle_records import cycle, mpc, prosumer


@pytest.fixture(scope="module")
def site(gridlab9_config: Config) -> PageSite:
    site = PageSite.of(gridlab9_config)
    lines = tuple(replace(line, i_max_a=100.0) for line in site.lines)
    return replace(site, lines=lines)


def shown(site: PageSite, record: CycleRecord, run=None) -> list[tuple[Severity, str, str]]:
    book = AlarmLog(site)
    book.after(record, run)
    standing, _ = book.after(record, run)
    return [(alarm.severity, alarm.place, alarm.text) for alarm in standing]


def test_no_run_for_twelve_minutes_is_one_also_where_there_never_was_one(site: PageSite):
    for run, since_k in ((None, 0), (mpc(1), 20)):
        book = AlarmLog(site)
        overdue = [bool(book.after(cycle(k), run)[0]) for k in range(since_k, since_k + 26)]
        assert overdue == [False] * 25 + [True]


def test_a_good_cycle_raises_none(site: PageSite):
    assert shown(site, cycle(0), mpc(0)) == []


@pytest.mark.parametrize(
    ("change", "place", "text"),
    [
        ({"nodes": {"N4": 1.0603}}, "N4", "1.0603 p.u., allowed 0.95 … 1.05 p.u."),
        ({"nodes": {"N4": 0.9}}, "N4", "0.9000 p.u., allowed 0.95 … 1.05 p.u."),
        ({"nodes": {"N4": float("nan")}}, "N4", "nan p.u., allowed 0.95 … 1.05 p.u."),
        ({"lines": {"N2-N6": 101.0}}, "N2-N6", "101.0 A, allowed ≤ 100 A"),
        ({"slack_p_kw": -25.0}, "N1", "|P| 25.00 kW, allowed ≤ 24.75 kW"),
        ({"slack_q_kvar": 4.0}, "N1", "|Q| 4.00 kvar, allowed ≤ 3.53 kvar"),
        ({"devices": {"m": DeviceRecord(None, Quality.STALE, 31.0)}}, "m", "stale, last good reading 31 s old"),
        ({"devices": {"m": DeviceRecord(None, Quality.INVALID, None)}}, "m", "invalid, never read"),
        (
            {"prosumers": {"N5": replace(prosumer(1), rung="safe", reasons=("data_lost", "ramp"))}},
            "N5",
            "safe: data lost, ramp",
        ),
    ],
)
def test_what_is_an_alarm(site: PageSite, change: dict, place: str, text: str):
    assert shown(site, replace(cycle(0), **change)) == [(Severity.ALARM, place, text)]


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": {"N4": 1.0501, "N1": 1.2}},
        {"lines": {"N2-N6": 100.1}},
        {"slack_q_kvar": 3.55},
        {"nodes": {"N4": None}, "lines": {"N2-N6": None}, "slack_p_kw": None, "slack_q_kvar": None},
        {"nodes": {}, "lines": {}, "prosumers": {}, "devices": {}},
    ],
)
def test_tolerances_the_slack_and_the_unknown_are_none(site: PageSite, change: dict):
    assert shown(site, replace(cycle(0), **change)) == []


def test_warnings_come_after_alarms(site: PageSite):
    record = replace(
        cycle(0),
        prosumers={"N5": replace(prosumer(0), rung="hold", reasons=("data_held",))},
        devices={"m": DeviceRecord(1.0, Quality.GOOD, 13.0)},
        nodes={"N9": 1.06},
    )
    run = replace(mpc(0), status="budget", adopted=False)
    assert [(severity, place) for severity, place, _ in shown(site, record, run)] == [
        (Severity.ALARM, "N9"),
        (Severity.WARNING, "N5"),
        (Severity.WARNING, "m"),
        (Severity.WARNING, "MPC"),
    ]


def test_plans_that_stopped_coming_are_an_alarm(site: PageSite):
    assert shown(site, cycle(24), mpc(0)) == []
    assert shown(site, cycle(26), mpc(0)) == [(Severity.ALARM, "MPC", "no run for 13 min")]


def test_an_alarm_keeps_its_beginning_and_gets_an_end(site: PageSite):
    book = AlarmLog(site)
    voltages = [1.0, 1.06, 1.0, 1.06, 1.065, 1.07, 1.0]
    seen = [book.after(replace(cycle(k), nodes={"N9": v_pu}), None) for k, v_pu in enumerate(voltages)]
    assert [len(standing) for standing, _ in seen] == [0, 0, 0, 0, 1, 1, 0]
    assert [len(ended) for _, ended in seen] == [0, 0, 0, 0, 0, 0, 1]
    (alarm,) = seen[5][0]
    assert (alarm.since, alarm.until, alarm.text[:6]) == (cycle(4).time, None, "1.0700")
    (over,) = seen[6][1]
    assert over == replace(alarm, until=cycle(6).time)


def test_prosumers_have_the_colours_of_the_report(site: PageSite):
    assert COLOURS == style.COLOURS
    looks = style.looks([p.name for p in site.prosumers])
    assert {p.name: p.colour for p in site.prosumers} == {name: look.color for name, look in looks.items()}
