"""Alert rules as Grafana's alert provisioning reads them: a query, the last value of each of its series, a threshold.

Each series is an alert of its own, with the tags of its points as labels. Grafana expands ``$`` in every value of such
a file but queries and expressions; so texts name labels ``.Labels.x`` rather than ``$labels.x``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from controller.grafana.board import TAG
from controller.grafana.influxql import SOURCE_UID, in_range, increase, last, points, rows_of, value
from controller.grafana.sdk import model
from controller.grafana.shared import PLAN_AGE_S
from controller.live.site import PageSite
from realtime.timing import HOLD_DATA_S

HEAD = "# Made by `make dashboards`; changes by hand are lost.\n"
EVERY, PENDING, AT_ONCE = "30s", "1m", "0s"
GROWTH_POINTS, LARGE_POINTS = 500, 50_000
"""Backlog: grown within a quarter of an hour, and waiting at all. A cycle of the nine-node grid is about 45 points."""
QUARTER_S, HOUR_S = 900, 3600
_EXPRESSION = "__expr__"
_VALUE = '{{ printf "%.4g" .Values.value.Value }}'


@dataclass(frozen=True)
class Rule:
    """Fires where a series of ``query`` ends above ``above``, or with ``limit`` where |it| does so as a share of that.

    Attributes:
        panel: dashboard and title of the panel that shows it.
        back_s: length of the range that is looked at.
        pending: for how long, before it fires.
        silent: what no data at all mean: ``OK``, or ``Alerting`` for the one rule that watches the service itself.
    """

    slug: str
    title: str
    says: str
    panel: tuple[str, str]
    query: str
    above: float
    limit: str | None = None
    back_s: int = 300
    severity: str = "alarm"
    pending: str = PENDING
    silent: str = "OK"


def rules(site: PageSite) -> tuple[Rule, ...]:
    """All rules; limits are left beyond the tolerances of the coordination, as in the report and on the live page."""
    return (*_limits(site), *_control(), *_backlog(), *_losses())


def provisioned(site: PageSite, boards: Mapping[str, model.Dashboard]) -> str:
    """The provisioning file; ``boards`` by slug."""
    made = [_rule(rule, _panel_id(boards[rule.panel[0]], rule.panel[1])) for rule in rules(site)]
    group = {"orgId": 1, "name": TAG, "folder": TAG, "interval": EVERY, "rules": made}
    text = yaml.safe_dump({"apiVersion": 1, "groups": [group]}, sort_keys=False, allow_unicode=True, width=120)
    return HEAD + text


def _limits(site: PageSite) -> tuple[Rule, ...]:
    def upper_grid(slug: str, kind: str, drawn: str, limit: str) -> Rule:
        panel = f"{kind} at the upper grid"
        return Rule(
            slug,
            f"{kind} beyond its limit",
            f"{panel}: {_VALUE} times its limit.",
            ("grid", panel),
            in_range("service", {"drawn": last(drawn)}),
            limit=in_range("limits", {"limit": last(limit)}),
            above=1 + site.rating_tol,
        )

    loading = rows_of(points("line", {"loading": f"{value('i_a')} / {value('i_max_a')}"}))
    return (
        Rule(
            "voltage",
            "Voltage beyond its limit",
            f"A node's voltage lies {_VALUE} p.u. beyond its limit.",
            ("grid", "Voltage beyond its limit"),
            in_range("service", {"beyond": last("violation_pu")}),
            above=site.v_tol_pu,
        ),
        Rule(
            "current",
            "Line overloaded",
            f"Line {{{{ .Labels.line }}}} carries {_VALUE} times its limit.",
            ("grid", "Loading of the lines"),
            in_range(loading, {"loading": last("loading")}, by="line"),
            above=1 + site.rating_tol,
        ),
        upper_grid("power", "Power", "slack_p_kw", "slack_p_max_kw"),
        upper_grid("reactive", "Reactive power", "slack_q_kvar", "slack_q_max_kvar"),
    )


def _control() -> tuple[Rule, ...]:
    return (
        Rule(
            "stale",
            "Device stale",
            f"The last good reading of {{{{ .Labels.device }}}} is {_VALUE} s old.",
            ("devices", "Age of the data"),
            in_range("device", {"age": last("age_s")}, by="device"),
            above=HOLD_DATA_S,
        ),
        Rule(
            "missed",
            "Cycle missed",
            "Cycles were skipped within five minutes, or nothing is recorded at all.",
            ("devices", "Missed cycles"),
            increase("service", "missed"),
            above=0,
            pending=AT_ONCE,
            silent="Alerting",
        ),
        Rule(
            "plan",
            "Plan old",
            f"The plan in force is {_VALUE} s old; a new one is due every ten minutes.",
            ("coordination", "Plan age over time"),
            in_range("service", {"age": last("plan_age_s")}),
            above=PLAN_AGE_S,
        ),
        Rule(
            "standing",
            "Alarm stands",
            f"{_VALUE} alarms stand; the dashboard names them.",
            ("overview", "Alarms that stand"),
            in_range("service", {"alarms": last("alarms")}),
            above=0,
        ),
    )


def _backlog() -> tuple[Rule, ...]:
    panel = "devices", "Backlog"
    return (
        Rule(
            "backlog-grows",
            "Backlog grows",
            f"{_VALUE} more points wait for the database than a quarter of an hour ago.",
            panel,
            in_range("service", {"growth": f'{last("backlog")} - first("backlog")'}),
            above=GROWTH_POINTS,
            back_s=QUARTER_S,
            severity="warning",
        ),
        Rule(
            "backlog-large",
            "Backlog large",
            f"{_VALUE} points wait for the database.",
            panel,
            in_range("service", {"backlog": last("backlog")}),
            above=LARGE_POINTS,
            severity="warning",
        ),
    )


def _losses() -> tuple[Rule, ...]:
    def lost(slug: str, title: str, says: str, counter: str) -> Rule:
        return Rule(
            slug,
            title,
            f"Within an hour {_VALUE} points {says}",
            ("devices", "Points lost"),
            increase("service", counter),
            above=0,
            back_s=HOUR_S,
            severity="warning",
            pending=AT_ONCE,
        )

    return (
        lost("dead-letters", "Dead letters", "were refused for good; dead_letters.jsonl has them.", "dead_letters"),
        lost("dropped", "Points dropped", "were deleted before they could be sent.", "dropped"),
    )


def _panel_id(board: model.Dashboard, title: str) -> int | None:
    return next(panel.id_val for panel in board.panels or () if panel.title == title)


def _rule(rule: Rule, panel_id: int | None) -> dict[str, object]:
    return {
        "uid": f"{TAG}-{rule.slug}",
        "title": rule.title,
        "condition": "alert",
        "data": [*_value(rule), _expression("alert", "threshold", "value", conditions=[_above(rule.above)])],
        "dashboardUid": f"{TAG}-{rule.panel[0]}",
        "panelId": panel_id,
        "noDataState": rule.silent,
        "execErrState": "Error",
        "for": rule.pending,
        "annotations": {"summary": rule.says},
        "labels": {"severity": rule.severity},
    }


def _value(rule: Rule) -> list[dict[str, object]]:
    """The last values under the name ``value``."""
    if rule.limit is None:
        return [_series("series", rule.query, rule.back_s), _last("value", "series")]
    return [
        _series("series", rule.query, rule.back_s),
        _last("last", "series"),
        _series("limits", rule.limit, rule.back_s),
        _last("limit", "limits"),
        _expression("value", "math", "abs($last) / $limit"),
    ]


def _series(ref: str, query: str, back_s: int) -> dict[str, object]:
    return {
        "refId": ref,
        "relativeTimeRange": {"from": back_s, "to": 0},
        "datasourceUid": SOURCE_UID,
        "model": {"refId": ref, "query": query, "rawQuery": True, "resultFormat": "time_series"},
    }


def _last(ref: str, series: str) -> dict[str, object]:
    return _expression(ref, "reduce", series, reducer="last", settings={"mode": "dropNN"})


def _above(bound: float) -> dict[str, object]:
    return {"evaluator": {"type": "gt", "params": [bound]}}


def _expression(ref: str, kind: str, expression: str, **also: object) -> dict[str, object]:
    source = {"type": _EXPRESSION, "uid": _EXPRESSION}
    described = {"refId": ref, "datasource": source, "type": kind, "expression": expression, **also}
    return {"refId": ref, "datasourceUid": _EXPRESSION, "model": described}
