"""Following the plan between its updates: the projection of paper A, section 4.4, eq. (26).

Per prosumer, every 30 s, without knowledge of the grid:

    min  (p − p*)² + (q − q*)²                                                               (26)
    s.t. p = load_p − b − g,   q = load_q − β,   g = κ g_available
         |b|, |β| ≤ S/√2   or   b² + β² ≤ S²,    soc at the end of the step within its band

and q = load_q − β − γ with |γ| ≤ Γ(g) where inverters of PV plants supply reactive power (:mod:`realtime.plants`).

As p − p* = b* − b with b* = load_p − g − p*, and q − q* = β* − β − γ with β* = load_q − q*, this is the projection of
(b*, β*) on the battery's limits, widened by Γ along the axis of Q. These limits are symmetric in β, so γ = clip(β*, ±Γ)
and the projection of (b*, β* − γ): two clips for the box, :func:`realtime.plane.project` for the disc (the true one,
which contains the polygon that plans use, so every plan can be followed). No solver.

If the battery saturates and the export max(−p, 0) exceeds that of the target, PV is curtailed further:

    g ← max(g − max(min(p*, 0) − p, 0), 0),   and γ may use what Γ(g) has grown by

| symbol | code | unit |
|---|---|---|
| p*, q*, κ | ``target.p_kw``, ``target.q_kvar``, ``target.pv_share`` | kW, kvar, 1 |
| load_p, load_q, g_available | ``now.load_kw``, ``now.load_kvar``, ``now.pv_available_kw`` | kW, kvar, kW |
| b, β, g, γ | ``battery.p_kw``, ``battery.q_kvar``, ``pv_kw``, ``pv_kvar`` | kW, kvar, kW, kvar |
"""

from dataclasses import dataclass, replace
from math import isfinite

from core.plan import AVAILABLE, PV, ProsumerPlan
from core.resources import Battery, Capability
from realtime.plane import ZERO, Interval, Power, project
from realtime.plants import Inverter, Plants, shares_of
from realtime.reasons import Reason
from realtime.storage import Storage, soc_change

DARK_KW = 1e-3
"""Planned PV below this is night: its share would be a ratio of rounding errors, so it is set to 1."""
MISSED_KW = 1e-9


@dataclass(frozen=True)
class Target:
    """The plan's target for a node in this step: net demand p*, q*, and the share κ of the available PV in [0, 1].

    ``pv_shares`` are those of each of several plants; empty: all have the same.
    """

    p_kw: float
    q_kvar: float
    pv_share: float
    pv_shares: tuple[float, ...] = ()

    @classmethod
    def of(cls, plan: ProsumerPlan, step: int) -> "Target":
        """The target of step ``step`` of a plan."""
        share = pv_share(float(plan.pv_kw[step]), float(plan.pv_available_kw[step]))
        plants = plan.of_kind(PV)
        shares = tuple(pv_share(-float(one.p_kw[step]), float(one.series[AVAILABLE][step])) for one in plants)
        return cls(float(plan.p_kw[step]), float(plan.q_kvar[step]), share, shares if len(plants) > 1 else ())

    @property
    def valid(self) -> bool:
        """Whether the powers are finite and κ is a share, that of each plant too."""
        shares = all(0 <= share <= 1 for share in (self.pv_share, *self.pv_shares))
        return isfinite(self.p_kw) and isfinite(self.q_kvar) and shares

    def scaled(self, share: float) -> "Target":
        """The part of one of several converters."""
        return replace(self, p_kw=share * self.p_kw, q_kvar=share * self.q_kvar)

    def outputs_kw(self, now: "LoadAndPv") -> tuple[float, ...]:
        """κ g_available of each plant."""
        available_kw = now.plants_kw
        shares = self.pv_shares if len(self.pv_shares) == len(available_kw) else (self.pv_share,) * len(available_kw)
        return tuple(share * kw for share, kw in zip(shares, available_kw, strict=True))


@dataclass(frozen=True)
class LoadAndPv:
    """Load and available PV of a node now; valid until the next cycle.

    ``split`` are the shares of each of several plants in the available PV, which add up to 1; empty: there is one.
    """

    load_kw: float
    load_kvar: float
    pv_available_kw: float
    split: tuple[float, ...] = ()

    @property
    def valid(self) -> bool:
        """Whether all are finite, and PV and its shares are not negative."""
        shares = all(0 <= share <= 1 for share in self.split)
        return (
            isfinite(self.load_kw) and isfinite(self.load_kvar) and 0 <= self.pv_available_kw < float("inf") and shares
        )

    @property
    def plants_kw(self) -> tuple[float, ...]:
        """Available PV of each plant."""
        return tuple(share * self.pv_available_kw for share in self.split or (1.0,))

    def scaled(self, share: float) -> "LoadAndPv":
        """The part of one of several converters."""
        return LoadAndPv(share * self.load_kw, share * self.load_kvar, share * self.pv_available_kw, self.split)


@dataclass(frozen=True)
class Tracked:
    """The solution of (26); ``soc`` is expected at the end of the step, None without a battery.

    ``plants`` divides ``pv_kw`` and ``pv_kvar`` among the PV plants.
    """

    net: Power
    battery: Power
    pv_kw: float
    pv_kvar: float
    plants: Plants
    soc: float | None
    reasons: tuple[Reason, ...]


def pv_share(planned_kw: float, planned_available_kw: float) -> float:
    """κ: planned PV output as a share of the expected available power; 1 if none was expected."""
    if planned_available_kw < DARK_KW:
        return 1.0
    return min(max(planned_kw / planned_available_kw, 0.0), 1.0)


def track(
    target: Target, now: LoadAndPv, storage: Storage | None, dt_h: float, inverters: tuple[Inverter, ...] = ()
) -> Tracked:
    """Solve (26) and curtail.

    Args:
        storage: None without a battery. ``storage.allowed`` is the range that its state of charge allows, see
            :func:`realtime.storage.allowed_power`; it may be narrower than the end of this step requires.
        dt_h: hours to the end of the step.
        inverters: of the PV plants; empty: none has reactive power.

    Raises:
        ValueError: the target or an amount is not finite, PV is negative, or κ is not a share.
    """
    if not (target.valid and now.valid):
        raise ValueError(f"cannot follow {target} with {now}")
    outputs_kw = target.outputs_kw(now)
    pv_kw, plants = sum(outputs_kw), plants_with(inverters, outputs_kw)
    requested = Power(now.load_kw - pv_kw - target.p_kw, now.load_kvar - target.q_kvar)
    left_kvar = requested.q_kvar - plants.reactive(pv_kw).clip(requested.q_kvar)
    battery = nearest(storage, Power(requested.p_kw, left_kvar))
    p_kw = now.load_kw - battery.p_kw - pv_kw
    excess_kw = max(min(target.p_kw, 0.0) - p_kw, 0.0)
    curtailed_kw = min(excess_kw, pv_kw)
    pv_kvar = plants.reactive(pv_kw - curtailed_kw).clip(requested.q_kvar - battery.q_kvar)
    reasons = []
    if Power(battery.p_kw, battery.q_kvar + pv_kvar).distance_kva(requested) > MISSED_KW:
        reasons.append(Reason.BATTERY_SATURATED)
    if curtailed_kw > MISSED_KW:
        reasons.append(Reason.PV_CURTAILED)
    return Tracked(
        net=Power(p_kw + curtailed_kw, now.load_kvar - battery.q_kvar - pv_kvar),
        battery=battery,
        pv_kw=pv_kw - curtailed_kw,
        pv_kvar=pv_kvar,
        plants=plants,
        soc=storage.soc + soc_change(storage.battery, battery.p_kw, dt_h) if storage else None,
        reasons=tuple(reasons),
    )


def plants_with(inverters: tuple[Inverter, ...], outputs_kw: tuple[float, ...]) -> Plants:
    """The plants with these outputs; where the amounts do not tell them apart, all have the same share."""
    if len(inverters) != len(outputs_kw):
        return Plants(inverters, tuple(1 / len(inverters) for _ in inverters))
    return Plants(inverters, shares_of(outputs_kw))


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
