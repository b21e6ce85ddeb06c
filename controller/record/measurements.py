"""The measurements of the telemetry as data: tag and fields, the same names in SQLite, InfluxDB and dashboards."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from controller.record.records import CycleRecord, MpcRecord

TEXT = ("quality", "status", "mode")
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
_ALL = (
    Measurement("prosumer", "prosumer", _PROSUMER),
    Measurement("node", "node", ("v_pu",)),
    Measurement("line", "line", ("i_a",)),
    Measurement("price", "prosumer", ("price_chf_per_kwh", "tariff_chf_per_kwh", "compensation_chf")),
    Measurement("mpc", None, ("iterations", "wall_ms", "primal", "dual", "gap_rel", "violation_pu", "status")),
    Measurement("device", "device", ("latency_ms", "quality", "age_s")),
    Measurement("service", None, ("mode", "cycle_ms", "missed", "backlog", "slack_p_kw", "slack_q_kvar")),
)
MEASUREMENTS = {measurement.name: measurement for measurement in _ALL}


@dataclass(frozen=True)
class Point:
    """One point; ``values`` in the order of the measurement's fields, None where unknown."""

    measurement: str
    tag: str | None
    values: tuple[float | str | None, ...]


def points(record: CycleRecord | MpcRecord) -> Iterator[Point]:
    """The points of a record; all are of its time."""
    if isinstance(record, MpcRecord):
        yield _point("mpc", None, record)
        return
    for name, prosumer in record.prosumers.items():
        yield _point("prosumer", name, prosumer)
        yield _point("price", name, prosumer)
    for node, v_pu in record.nodes.items():
        yield Point("node", node, (v_pu,))
    for line, i_a in record.lines.items():
        yield Point("line", line, (i_a,))
    for name, device in record.devices.items():
        yield _point("device", name, device)
    yield _point("service", None, record)


def _point(measurement: str, tag: str | None, record: object) -> Point:
    return Point(measurement, tag, tuple(getattr(record, field) for field in MEASUREMENTS[measurement].fields))


def columns(measurement: Measurement) -> Mapping[str, str]:
    """Column → SQL type, besides the time; the tag first."""
    tag = {} if measurement.tag is None else {measurement.tag: "TEXT"}
    return {**tag, **{field: "TEXT" if field in TEXT else "REAL" for field in measurement.fields}}
