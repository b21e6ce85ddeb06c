"""The measurements of the telemetry as data: tag and fields, with the same names in SQLite, InfluxDB and dashboards."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.record.records import CycleRecord, DevicesRecord, MpcRecord, Severity

Record = CycleRecord | DevicesRecord | MpcRecord
TEXT = ("quality", "status", "mode", "rung", "state", "outcome", "severity", "text")
"""Text fields; all others are floats."""


@dataclass(frozen=True)
class MeasurementSchema:
    """A series of points; those of one instant differ by ``tag`` (None: there is one point)."""

    name: str
    tag: str | None
    fields: tuple[str, ...]


_PROSUMER = (
    *("p_target_kw", "q_target_kvar", "p_setpoint_kw", "q_setpoint_kvar", "p_measured_kw", "q_measured_kvar"),
    *("load_kw", "pv_kw", "battery_kw", "soc", "v_measured_pu"),
)
_DEVICE = (
    *("latency_ms", "quality", "age_s", "state", "outcome", "lease_s"),
    *("p_kw", "q_kvar", "p_setpoint_kw", "q_setpoint_kvar"),
)
_LIMITS = ("v_min_pu", "v_max_pu", "slack_p_max_kw", "slack_q_max_kvar")
_COUNTS = ("missed", "backlog", "dropped", "dead_letters")
_MPC = ("iterations", "wall_ms", "budget_ms", "primal", "dual", "gap_rel", "violation_pu", "status")
_SERVICE = (
    *("mode", "cycle_ms", *_COUNTS, "plan_age_s"),
    *("slack_p_kw", "slack_q_kvar", "violation_pu", "alarms", "warnings"),
)
_ALL = (
    MeasurementSchema("prosumer", "prosumer", (*_PROSUMER, "rung", "pv_kvar")),
    MeasurementSchema("node", "node", ("v_pu",)),
    MeasurementSchema("line", "line", ("i_a", "i_max_a")),
    MeasurementSchema("price", "prosumer", ("price_chf_per_kwh", "tariff_chf_per_kwh", "compensation_chf", "cost_chf")),
    MeasurementSchema("limits", None, _LIMITS),
    MeasurementSchema("mpc", None, _MPC),
    MeasurementSchema("device", "device", _DEVICE),
    MeasurementSchema("alarm", "alarm", ("standing", "severity", "text")),
    MeasurementSchema("service", None, _SERVICE),
)
MEASUREMENTS = {measurement.name: measurement for measurement in _ALL}


@dataclass(frozen=True)
class TelemetryPoint:
    """One point; ``values`` in the order of the measurement's fields, None where unknown."""

    measurement: str
    tag: str | None
    values: tuple[float | str | None, ...]


def points(record: Record) -> Iterator[TelemetryPoint]:
    """The points of a record; all have its time."""
    if isinstance(record, MpcRecord):
        yield _point("mpc", None, record)
        return
    for name, device in record.devices.items():
        yield _point("device", name, device)
    if isinstance(record, CycleRecord):
        yield from _cycle_points(record)


def _cycle_points(record: CycleRecord) -> Iterator[TelemetryPoint]:
    for name, prosumer in record.prosumers.items():
        yield _point("prosumer", name, prosumer)
        yield _point("price", name, prosumer)
    for node, v_pu in record.nodes.items():
        yield TelemetryPoint("node", node, (v_pu,))
    for line, i_a in record.lines.items():
        yield TelemetryPoint("line", line, (i_a, record.limits.i_max_a.get(line)))
    yield _point("limits", None, record.limits)
    for alarm in (*record.ended, *record.alarms):
        values = (float(alarm.until is None), alarm.severity, alarm.text)
        yield TelemetryPoint("alarm", f"{alarm.place} {alarm.kind}", values)
    severities = Counter(alarm.severity for alarm in record.alarms)
    yield _point("service", None, record, alarms=severities[Severity.ALARM], warnings=severities[Severity.WARNING])


def _point(measurement: str, tag: str | None, record: object, **extra: float) -> TelemetryPoint:
    fields = MEASUREMENTS[measurement].fields
    return TelemetryPoint(measurement, tag, tuple(extra[f] if f in extra else getattr(record, f) for f in fields))


def columns(measurement: MeasurementSchema) -> Mapping[str, str]:
    """Column → SQL type, without the time; the tag comes first."""
    tag = {} if measurement.tag is None else {measurement.tag: "TEXT"}
    return {**tag, **{field: "TEXT" if field in TEXT else "REAL" for field in measurement.fields}}
