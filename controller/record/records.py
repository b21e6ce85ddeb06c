"""The data that the control loop passes to its recorders: per 30 s cycle, per MPC run, and per change in between."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True)
class ProsumerRecord:
    """A prosumer in one cycle. Measurements are those that the decision is based on, from the end of the previous
    cycle.

    ``load_kw``, ``pv_kw``, ``pv_kvar``, ``battery_kw`` are what the node emulates from now on; ``soc`` in [0, 1] is the
    current value. ``price_chf_per_kwh`` is the marginal price of the current plan, ``compensation_chf`` what that plan
    promises for the rest of its horizon; ``cost_chf`` is the cost of the measured energy since local midnight. ``rung``
    and ``reasons`` are those of :mod:`realtime.fallback` and :mod:`realtime.reasons`.

    A passive house has no setpoint and no rung: its target is what the plan expects, ``load_kw`` its net demand,
    measured or assumed.
    """

    p_target_kw: float | None
    q_target_kvar: float | None
    p_setpoint_kw: float | None
    q_setpoint_kvar: float | None
    p_measured_kw: float | None
    q_measured_kvar: float | None
    load_kw: float | None
    pv_kw: float | None
    battery_kw: float | None
    soc: float | None
    v_measured_pu: float | None
    tariff_chf_per_kwh: float | None
    price_chf_per_kwh: float | None
    compensation_chf: float | None
    cost_chf: float | None
    rung: str | None
    reasons: tuple[str, ...]
    pv_kvar: float | None = None


@dataclass(frozen=True)
class DeviceRecord:
    """How a device answered: duration of the exchange, quality of its reading, age of the last good one.

    ``p_kw``, ``q_kvar``: as read in this cycle. For converters also: who commands it, the outcome of the write of this
    cycle, the rest of its setpoint's lease, and what it was sent in this cycle.
    """

    latency_ms: float | None
    quality: str
    age_s: float | None
    state: str | None = None
    outcome: str | None = None
    lease_s: float | None = None
    p_kw: float | None = None
    q_kvar: float | None = None
    p_setpoint_kw: float | None = None
    q_setpoint_kvar: float | None = None


class Severity(StrEnum):
    """ALARM: a limit is violated or control is lost. WARNING: control goes on with less than it should have."""

    ALARM = "alarm"
    WARNING = "warning"


@dataclass(frozen=True)
class Alarm:
    """An alarm, named by ``kind`` and ``place`` (a node, line, prosumer, device or ``MPC``). ``until`` None: still
    active.
    """

    kind: str
    severity: Severity
    place: str
    text: str
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True)
class LimitsRecord:
    """Limits as telemetry records them: voltages of all nodes but the slack (p.u.), slack power (kW, kvar), line
    currents (A).
    """

    v_min_pu: float
    v_max_pu: float
    slack_p_max_kw: float
    slack_q_max_kvar: float
    i_max_a: Mapping[str, float | None]


@dataclass(frozen=True)
class CycleRecord:
    """One 30 s cycle. ``nodes``: voltages (p.u.), ``lines``: currents at the from-end (A), by name; slack power is
    drawn from the upper grid.

    ``violation_pu``: excess of the worst voltage over its limit, 0 within. ``cycle_ms``: wall clock. ``missed``: cycles
    skipped so far. ``plan_age_s``: age of the current plan. ``backlog``: points that wait for the telemetry forwarder;
    ``dropped``, ``dead_letters``: points lost, or refused by the database, since the telemetry began. ``alarms`` are
    active, ``ended`` have just ended.
    """

    time: datetime
    prosumers: Mapping[str, ProsumerRecord]
    nodes: Mapping[str, float | None]
    lines: Mapping[str, float | None]
    slack_p_kw: float | None
    slack_q_kvar: float | None
    devices: Mapping[str, DeviceRecord]
    limits: LimitsRecord
    violation_pu: float | None
    mode: str
    cycle_ms: float
    missed: int
    plan_age_s: float | None
    backlog: int
    dropped: int
    dead_letters: int
    alarms: tuple[Alarm, ...] = ()
    ended: tuple[Alarm, ...] = ()


@dataclass(frozen=True)
class DevicesRecord:
    """A poll between two cycles: the devices whose quality has changed, by name."""

    time: datetime
    devices: Mapping[str, DeviceRecord]


@dataclass(frozen=True)
class MpcRecord:
    """One MPC run. ``time``: its start; ``adopted``: whether its plan replaced the current one; ``budget_ms``: allowed
    time.
    """

    time: datetime
    status: str
    iterations: int
    wall_ms: float
    gap_rel: float | None
    violation_pu: float | None
    primal: float | None
    dual: float | None
    budget_ms: float
    adopted: bool
