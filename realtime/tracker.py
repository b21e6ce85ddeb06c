"""Following the plan between its updates: the projection of paper A, section 4.4, eq. (26).

Per prosumer, every 30 s, without knowledge of the grid:

    min  (p − p*)² + (q − q*)²                                                               (26)
    s.t. p = load_p − b − g,   q = load_q − β,   g = κ g_available
         |b|, |β| ≤ S/√2   or   b² + β² ≤ S²,    soc at the end of the step within its band

As p − p* = b* − b with b* = load_p − g − p*, and q − q* = β* − β with β* = load_q − q*, this is the projection of
(b*, β*) on the battery's limits: two clips for the box, :func:`realtime.plane.project` for the disc (the true one,
which contains the polygon that plans use, so every plan can be followed). No solver.

If the battery saturates and the export max(−p, 0) exceeds that of the target, PV is curtailed further:

    g ← max(g − max(min(p*, 0) − p, 0), 0)

| symbol | code | unit |
|---|---|---|
| p*, q*, κ | ``target.p_kw``, ``target.q_kvar``, ``target.pv_share`` | kW, kvar, 1 |
| load_p, load_q, g_available | ``now.load_kw``, ``now.load_kvar``, ``now.pv_available_kw`` | kW, kvar, kW |
| b, β, g | ``battery_kw``, ``battery_kvar``, ``pv_kw`` | kW, kvar, kW |
"""

from dataclasses import dataclass
from math import isfinite

from core.plan import ProsumerPlan
from core.resources import Battery, Capability
from realtime.plane import ZERO, Interval, Power, project
from realtime.reasons import Reason
from realtime.storage import Storage, soc_change

DARK_KW = 1e-3
"""Planned PV below this is night: its share would be a ratio of rounding errors, so it is set to 1."""
MISSED_KW = 1e-9


@dataclass(frozen=True)
class Target:
    """The plan's target for a node in this step: net demand p*, q*, and the share κ of the available PV in [0, 1]."""

    p_kw: float
    q_kvar: float
    pv_share: float

    @classmethod
    def of(cls, plan: ProsumerPlan, step: int) -> "Target":
        """The target of step ``step`` of a plan."""
        share = pv_share(float(plan.pv_kw[step]), float(plan.pv_available_kw[step]))
        return cls(float(plan.p_kw[step]), float(plan.q_kvar[step]), share)

    @property
    def valid(self) -> bool:
        """Whether the powers are finite and κ is a share."""
        return isfinite(self.p_kw) and isfinite(self.q_kvar) and 0 <= self.pv_share <= 1

    def scaled(self, share: float) -> "Target":
        """The part of one of several converters."""
        return Target(share * self.p_kw, share * self.q_kvar, self.pv_share)


@dataclass(frozen=True)
class LoadAndPv:
    """Load and available PV of a node now; valid until the next cycle."""

    load_kw: float
    load_kvar: float
    pv_available_kw: float

    @property
    def valid(self) -> bool:
        """Whether all are finite and PV is not negative."""
        return isfinite(self.load_kw) and isfinite(self.load_kvar) and 0 <= self.pv_available_kw < float("inf")

    def scaled(self, share: float) -> "LoadAndPv":
        """The part of one of several converters."""
        return LoadAndPv(share * self.load_kw, share * self.load_kvar, share * self.pv_available_kw)


@dataclass(frozen=True)
class Tracked:
    """The solution of (26); ``soc`` is expected at the end of the step, None without a battery."""

    net: Power
    battery: Power
    pv_kw: float
    soc: float | None
    reasons: tuple[Reason, ...]


def pv_share(planned_kw: float, planned_available_kw: float) -> float:
    """κ: planned PV output as a share of the expected available power; 1 if none was expected."""
    if planned_available_kw < DARK_KW:
        return 1.0
    return min(max(planned_kw / planned_available_kw, 0.0), 1.0)


def track(target: Target, now: LoadAndPv, storage: Storage | None, dt_h: float) -> Tracked:
    """Solve (26) and curtail.

    Args:
        storage: None without a battery. ``storage.allowed`` is the range that its state of charge allows, see
            :func:`realtime.storage.allowed_power`; it may be narrower than the end of this step requires.
        dt_h: hours to the end of the step.

    Raises:
        ValueError: the target or an amount is not finite, PV is negative, or κ is not a share.
    """
    if not (target.valid and now.valid):
        raise ValueError(f"cannot follow {target} with {now}")
    pv_kw = target.pv_share * now.pv_available_kw
    requested = Power(now.load_kw - pv_kw - target.p_kw, now.load_kvar - target.q_kvar)
    battery = nearest(storage, requested)
    p_kw = now.load_kw - battery.p_kw - pv_kw
    excess_kw = max(min(target.p_kw, 0.0) - p_kw, 0.0)
    curtailed_kw = min(excess_kw, pv_kw)
    reasons = []
    if battery.distance_kva(requested) > MISSED_KW:
        reasons.append(Reason.BATTERY_SATURATED)
    if curtailed_kw > MISSED_KW:
        reasons.append(Reason.PV_CURTAILED)
    return Tracked(
        net=Power(p_kw + curtailed_kw, now.load_kvar - battery.q_kvar),
        battery=battery,
        pv_kw=pv_kw - curtailed_kw,
        soc=storage.soc + soc_change(storage.battery, battery.p_kw, dt_h) if storage else None,
        reasons=tuple(reasons),
    )


def nearest(storage: Storage | None, requested: Power) -> Power:
    """Projection of the requested (b, β) on the limits of battery and state of charge; 0 without a battery."""
    if storage is None:
        return ZERO
    allowed = power_limits(storage)
    if storage.battery.capability is Capability.DISC:
        return project(requested, storage.battery.s_max_kva, allowed)
    return Power(allowed.clip(requested.p_kw), _box(storage.battery).clip(requested.q_kvar))


def power_limits(storage: Storage) -> Interval:
    """Range of b: allowed by the state of charge and within ±S/√2 (box) or ±S (disc)."""
    return storage.allowed.within(storage.battery.power_box_kw)


def _box(battery: Battery) -> Interval:
    return Interval(-battery.power_box_kw, battery.power_box_kw)
