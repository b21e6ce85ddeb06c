"""The measurements of the telemetry as data: tag and fields, the same names in SQLite, InfluxDB and dashboards."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.record.records import CycleRecord, DevicesRecord, MpcRecord, Severity

Record = CycleRecord | DevicesRecord | MpcRecord
TEXT = ("quality", "status", "mode", "rung", "state", "outcome", "severity", "text")
"""Fields that are text; all others are floats."""


@dataclass(frozen=True)
class Measurement:
    """A series of points; those of one instant differ by ``tag`` (None: there is one point)."""

    name: str
    tag: str | None
    fields: tuple[str, ...]


_PROSUMER = (
    *("p_target_kw", "q_target_kvar", "p_setpoint_kw", "q_setpoint_kvar", "p_measured_kw", "q_measured_kvar"),
    *("load_kw", "pv_kw", "battery_kw", "soc", "v_measured_pu"),
)
_LIMITS = ("v_min_pu", "v_max_pu", "slack_p_max_kw", "slack_q_max_kvar")
_COUNTS = ("missed", "backlog", "dropped", "dead_letters")
_MPC = ("iterations", "wall_ms", "budget_ms", "primal", "dual", "gap_rel", "violation_pu", "status")
_SERVICE = (
    *("mode", "cycle_ms", *_COUNTS, "plan_age_s"),
    *("slack_p_kw", "slack_q_kvar", "violation_pu", "alarms", "warnings"),
)
_ALL = (
    Measurement("prosumer", "prosumer", (*_PROSUMER, "rung")),
    Measurement("node", "node", ("v_pu",)),
    Measurement("line", "line", ("i_a", "i_max_a")),
    Measurement("price", "prosumer", ("price_chf_per_kwh", "tariff_chf_per_kwh", "compensation_chf", "cost_chf")),
    Measurement("limits", None, _LIMITS),
    Measurement("mpc", None, _MPC),
    Measurement("device", "device", ("latency_ms", "quality", "age_s", "state", "outcome", "lease_s")),
    Measurement("alarm", "alarm", ("standing", "severity", "text")),
    Measurement("service", None, _SERVICE),
)
MEASUREMENTS = {measurement.name: measurement for measurement in _ALL}


@dataclass(frozen=True)
class Point:
    """One point; ``values`` in the order of the measurement's fields, None where unknown."""

    measurement: str
    tag: str | None
    values: tuple[float | str | None, ...]


def points(record: Record) -> Iterator[Point]:
    """The points of a record; all are of its time."""
    if isinstance(record, MpcRecord):
        yield _point("mpc", None, record)
        return
    for name, device in record.devices.items():
        yield _point("device", name, device)
    if isinstance(record, CycleRecord):
        yield from _of_cycle(record)


def _of_cycle(record: CycleRecord) -> Iterator[Point]:
    for name, prosumer in record.prosumers.items():
        yield _point("prosumer", name, prosumer)
        yield _point("price", name, prosumer)
    for node, v_pu in record.nodes.items():
        yield Point("node", node, (v_pu,))
    for line, i_a in record.lines.items():
        yield Point("line", line, (i_a, record.limits.i_max_a.get(line)))
    yield _point("limits", None, record.limits)
    for alarm in (*record.ended, *record.alarms):
        yield Point("alarm", f"{alarm.place} {alarm.kind}", (float(alarm.until is None), alarm.severity, alarm.text))
    severities = Counter(alarm.severity for alarm in record.alarms)
    yield _point("service", None, record, alarms=severities[Severity.ALARM], warnings=severities[Severity.WARNING])


def _point(measurement: str, tag: str | None, record: object, **counted: float) -> Point:
    fields = MEASUREMENTS[measurement].fields
    return Point(measurement, tag, tuple(counted[f] if f in counted else getattr(record, f) for f in fields))


def columns(measurement: Measurement) -> Mapping[str, str]:
    """Column → SQL type, besides the time; the tag first."""
    tag = {} if measurement.tag is None else {measurement.tag: "TEXT"}
    return {**tag, **{field: "TEXT" if field in TEXT else "REAL" for field in measurement.fields}}
