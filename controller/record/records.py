"""What the loop hands to its recorders: one record per 30 s cycle and one per MPC run. None is unknown."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ProsumerRecord:
    """A prosumer in one cycle. Measurements are those the decision was made on, i.e. of the end of the last cycle.

    ``load_kw``, ``pv_kw``, ``battery_kw`` are what the node emulates from now on; ``soc`` in [0, 1] is at this moment.
    ``price_chf_per_kwh`` is the marginal price of the plan in force, ``compensation_chf`` what that plan promises for
    the rest of its horizon. ``rung`` and ``reasons`` are those of :mod:`realtime.fallback` and :mod:`realtime.reasons`.
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
    rung: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class DeviceRecord:
    """How a device answered: time of the exchange, quality of its reading, age of the last good one."""

    latency_ms: float | None
    quality: str
    age_s: float | None


@dataclass(frozen=True)
class CycleRecord:
    """One 30 s cycle. ``nodes`` holds voltages (p.u.), ``lines`` currents at the from-end (A), by name; slack power is
    what is drawn from the upper grid.

    ``cycle_ms`` is wall clock, ``missed`` the cycles that were skipped so far, ``backlog`` the points
    that wait for a forwarder of telemetry (0 without one).
    """

    time: datetime
    prosumers: Mapping[str, ProsumerRecord]
    nodes: Mapping[str, float | None]
    lines: Mapping[str, float | None]
    slack_p_kw: float | None
    slack_q_kvar: float | None
    devices: Mapping[str, DeviceRecord]
    mode: str
    cycle_ms: float
    missed: int
    backlog: int


@dataclass(frozen=True)
class MpcRecord:
    """One MPC run. ``time`` is when it began; ``adopted``: whether its plan replaced the running one."""

    time: datetime
    status: str
    iterations: int
    wall_ms: float
    gap_rel: float | None
    violation_pu: float | None
    primal: float | None
    dual: float | None
    adopted: bool
