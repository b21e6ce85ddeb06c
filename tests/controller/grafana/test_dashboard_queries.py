"""Every query of every dashboard and alert rule, sent to a real InfluxDB as Grafana would send it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from controller.record.measurements import MEASUREMENTS
from controller.record.records import CycleRecord
from controller.record.telemetry import nanoseconds
from tests.controller.grafana import histories, provisioned
from tests.controller.grafana.grafana_macros import Series, firing, seconds, substituted
from tests.controller.grafana.provisioned import Names, PanelQuery
from tests.support.cycle_records import PROSUMERS, START
from tests.support.time_series_servers import Influxd

SHOWN, BACK_S, MINUTE_NS = "shown", 900.0, 60 * 10**9
Change = Callable[[CycleRecord], CycleRecord]


@pytest.fixture(scope="module")
def influxd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influxd]:
    influxd = Influxd(tmp_path_factory.mktemp("influxd"))
    with influxd.running(), influxd.proxy():
        yield influxd


@pytest.fixture(scope="module")
def ask(influxd: Influxd, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Series]:
    """Sends a query about a quarter of an hour with an alarm, a rejected write, and a hole of three minutes."""
    records = [histories.troubled(k) for k in range(histories.CYCLES) if k not in histories.HOLE]
    end = histories.imported(influxd, SHOWN, records, tmp_path_factory.mktemp("shown"))

    def send(text: str, back: str | None = None, interval: str | None = None) -> Series:
        back_s = seconds(back) if back else BACK_S
        variables = {"prosumer": PROSUMERS[0]}
        return influxd.query(substituted(text, end, back_s, interval, variables), SHOWN)

    return send


@pytest.mark.parametrize("query", provisioned.panel_queries(), ids=str)
def test_a_panel_query_returns_its_columns_with_values(query: PanelQuery, ask: Callable[..., Series]) -> None:
    names = Names.of(query.text)
    series = ask(query.text, query.back, query.interval)
    assert series
    for one in series:
        assert one["name"] == names.measurement
        assert one["columns"] == ["time", *names.columns]
        if not query.table and query.alias and query.alias.startswith("$tag_"):
            assert list(one["tags"]) == [query.alias.removeprefix("$tag_")]
    for position, name in enumerate(names.columns, 1):
        assert any(row[position] is not None for one in series for row in one["values"]), name


@pytest.mark.parametrize("tag", ["prosumer", "node", "line"])
def test_every_name_has_its_series(tag: str, ask: Callable[..., Series]) -> None:
    whole = [q for q in provisioned.panel_queries() if q.alias == f"$tag_{tag}"]
    assert whole
    known = {row[1] for row in ask(f'SHOW TAG VALUES FROM "{tag}" WITH KEY = "{tag}"')[0]["values"]}
    for query in whole:
        assert {one["tags"][tag] for one in ask(query.text, query.back, query.interval)} == known, query


def test_a_hole_is_a_hole_in_every_curve(ask: Callable[..., Series]) -> None:
    curves = [q for q in provisioned.panel_queries() if "$__interval" in q.text and "count(" not in q.text]
    assert len(curves) > 20
    for query in curves:
        for one in ask(query.text, query.back, query.interval):
            known = {(row[0] - nanoseconds(START)) // MINUTE_NS: row[1] is not None for row in one["values"]}
            assert [known[minute] for minute in (4, 5, 6, 7, 8)] == [True, False, False, False, True], query


def test_the_variable_offers_the_prosumers(ask: Callable[..., Series]) -> None:
    ((board, variable),) = provisioned.variables()
    assert (board, variable["name"], variable["type"]) == ("prosumers", "prosumer", "query")
    (series,) = ask(variable["query"]["query"])
    assert series["values"] == [["prosumer", name] for name in PROSUMERS]
    used = [q for q in provisioned.panel_queries() if "$prosumer" in q.text]
    assert {q.board for q in used} == {"prosumers"}
    assert {Names.of(q.text).measurement for q in used} == {"prosumer", "price"}


def test_an_alarm_that_ended_does_not_stand(influxd: Influxd, tmp_path: Path) -> None:
    query = next(q for q in provisioned.panel_queries() if q.panel == "Alarms that stand")
    records = [histories.healthy(k) for k in range(4)]
    began = histories.alarm(records[1].time)
    records[1] = replace(records[1], alarms=(began,))
    records[2] = replace(records[2], ended=(replace(began, until=records[2].time),))
    end = histories.imported(influxd, "ended", records, tmp_path)
    assert influxd.query(substituted(query.text, end, BACK_S), "ended") == []
    (series,) = influxd.query(substituted(query.text, records[1].time, BACK_S), "ended")
    assert series["values"][0][1:] == ["N9 voltage", "alarm", began.text]


@dataclass(frozen=True)
class Unhealthy:
    """What is wrong in the last cycle, and the alerts that it raises: name of the rule → tags of its alerts."""

    change: Change
    alerts: dict[str, tuple[str, ...]]


def _with(**values: Any) -> Change:
    return lambda record: replace(record, **values)


def _stale(record: CycleRecord) -> CycleRecord:
    return replace(record, devices={**record.devices, "d3": replace(histories.CONVERTER, age_s=60.0)})


def _overloaded(record: CycleRecord) -> CycleRecord:
    return replace(record, lines={**record.lines, "N2-N3": 61.0})


def _alarm(record: CycleRecord) -> CycleRecord:
    return replace(record, alarms=(histories.alarm(record.time),))


NOW = ("",)
UNHEALTHY = {
    "voltage": Unhealthy(_with(violation_pu=0.01), {"voltage": NOW}),
    "current": Unhealthy(_overloaded, {"current": ("N2-N3",)}),
    "power fed in": Unhealthy(_with(slack_p_kw=-25.0), {"power": NOW}),
    "reactive power": Unhealthy(_with(slack_q_kvar=3.6), {"reactive": NOW}),
    "stale device": Unhealthy(_stale, {"stale": ("d3",)}),
    "missed cycle": Unhealthy(_with(missed=1), {"missed": NOW}),
    "old plan": Unhealthy(_with(plan_age_s=721.0), {"plan": NOW}),
    "alarm": Unhealthy(_alarm, {"standing": NOW}),
    "growing backlog": Unhealthy(_with(backlog=501), {"backlog-grows": NOW}),
    "large backlog": Unhealthy(_with(backlog=50_001), {"backlog-grows": NOW, "backlog-large": NOW}),
    "dead letters": Unhealthy(_with(dead_letters=1), {"dead-letters": NOW}),
    "dropped points": Unhealthy(_with(dropped=1), {"dropped": NOW}),
}


def alerts(influxd: Influxd, bucket: str, records: list[CycleRecord], folder: Path, later_s: float = 5.0) -> Any:
    """Name of each rule that fires → tags of its alerts, ``later_s`` after the last record."""
    end = histories.imported(influxd, bucket, records, folder) + timedelta(seconds=later_s)
    asked = partial(influxd.query, bucket=bucket)
    fired = {name: firing(rule, asked, end) for name, rule in provisioned.rules().items()}
    return {name: tags for name, tags in fired.items() if tags}


def test_a_healthy_quarter_of_an_hour_raises_no_alert(influxd: Influxd, tmp_path: Path) -> None:
    records = [histories.healthy(k) for k in range(histories.CYCLES)]
    assert alerts(influxd, "healthy", records, tmp_path) == {}
    end = records[-1].time + timedelta(seconds=5)
    for name, text in provisioned.rule_queries():
        series = influxd.query(substituted(text, end, BACK_S), "healthy")
        assert any(row[1] is not None for one in series for row in one["values"]), name


@pytest.mark.parametrize("name", UNHEALTHY)
def test_what_is_wrong_raises_its_alert_and_no_other(name: str, influxd: Influxd, tmp_path: Path) -> None:
    case = UNHEALTHY[name]
    records = [histories.healthy(k) for k in range(histories.CYCLES)]
    records[-1] = case.change(records[-1])
    assert alerts(influxd, name.replace(" ", "_"), records, tmp_path) == case.alerts


def test_silence_raises_one_alert(influxd: Influxd, tmp_path: Path) -> None:
    records = [histories.healthy(k) for k in range(histories.CYCLES)]
    assert alerts(influxd, "silent", records, tmp_path, later_s=301.0 + 30.0) == {"missed": ("no data",)}


def test_a_restart_is_no_missed_cycle(influxd: Influxd, tmp_path: Path) -> None:
    records = [replace(histories.healthy(k), missed=3 if k < 27 else 0) for k in range(histories.CYCLES)]
    assert alerts(influxd, "restart", records, tmp_path) == {}


def test_every_rule_was_seen_to_fire() -> None:
    assert {rule for case in UNHEALTHY.values() for rule in case.alerts} == set(provisioned.rules())


def test_every_measurement_is_asked() -> None:
    assert {Names.of(q.text).measurement for q in provisioned.panel_queries()} == set(MEASUREMENTS)
