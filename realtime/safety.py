"""The safety gate, which every setpoint must pass before it is sent to a device.

In this order, each step on the result of the one before (S is the net power, a point of the PQ plane):

1. **finite**: NaN or infinity → the safe setpoint. First, because comparisons let NaN through.
2. **capability**: |S| ≤ s_max, by the radial projection, which keeps the power factor; Q = 0 for a converter without
   reactive power.
3. **state of charge**: P within the range that keeps the battery in its band until the lease ends (invariant 8).
   2 and 3 are one projection on a convex set, the disc cut by a strip; where they contradict, the disc wins.
4. **ramp**: |S − S_held| ≤ ramp · Δt along the straight line from the setpoint that the device holds. P and Q ramped
   one by one would leave the circle. If S_held itself lies outside 2 or 3 (a limit shrank), the line begins at the
   nearest point inside, which counts against the ramp: toward a hard limit apparent power may shrink at once. It never
   grows faster than the ramp: where 3 would ask for that, the line leads to the nearest point inside, and no further.
5. **truncate** toward zero to the wire's resolution. The range of 3 ends on multiples of it, so no limit is left.

The gate is idempotent: a setpoint that has passed passes again unchanged.
"""

from dataclasses import dataclass
from math import inf, sqrt

from realtime.plane import ANY, ZERO, Interval, Power, project, truncated
from realtime.reasons import Reason

CLOSE_KVA = 1e-9


@dataclass(frozen=True)
class Bounds:
    """Limits at this moment.

    Attributes:
        s_max_kva: present capability, deratings included; ≥ 0.
        ramp_kva: ramp limit × time since the device accepted its last setpoint; ≥ 0.
        p: range of P that the state of charge allows.
        resolution_kw: smallest step of P (kW) and Q (kvar) on the wire; > 0.
        reactive: whether there may be any Q.

    Raises:
        ValueError: a limit is negative or not finite.
    """

    s_max_kva: float
    ramp_kva: float
    p: Interval = ANY
    resolution_kw: float = 1e-3
    reactive: bool = True

    def __post_init__(self) -> None:
        sound = 0 <= self.s_max_kva < inf and 0 <= self.ramp_kva < inf and 0 < self.resolution_kw < inf
        if not sound or not self.p.lower_kw <= self.p.upper_kw:
            raise ValueError(f"no gate can be kept with {self}")


@dataclass(frozen=True)
class Gated:
    """The setpoint that may be written, and the reasons of its changes in the order of the steps."""

    setpoint: Power
    reasons: tuple[Reason, ...]


def gate(asked: Power, held: Power | None, bounds: Bounds, *, safe: Power = ZERO, emergency: bool = False) -> Gated:
    """Limit a setpoint.

    Args:
        asked: any number, NaN included.
        held: the setpoint read back from the device; if unknown (None or not finite) only P = Q = 0 is allowed.
        safe: replaces an ``asked`` that is not finite.
        emergency: the ramp limit does not apply.
    """
    reasons = []
    if not asked.finite:
        reasons.append(Reason.NOT_FINITE)
        asked = safe if safe.finite else ZERO
    if held is None or not held.finite:
        return Gated(ZERO, (*reasons, Reason.NO_READBACK))
    strip = bounds.p.on_grid(bounds.resolution_kw)
    wanted, asked = asked, asked if bounds.reactive else Power(asked.p_kw, 0.0)
    limited = project(asked, bounds.s_max_kva, strip)
    if max(asked.s_kva - bounds.s_max_kva, wanted.distance_kva(asked)) > CLOSE_KVA:
        reasons.append(Reason.CAPABILITY)
    if limited.distance_kva(project(asked, bounds.s_max_kva, ANY)) > bounds.resolution_kw:
        reasons.append(Reason.SOC)
    moved = limited if emergency else _ramped(held, limited, strip, bounds)
    setpoint = truncated(moved, bounds.resolution_kw)
    if abs(strip.clip(setpoint.p_kw) - setpoint.p_kw) > CLOSE_KVA:
        reasons.append(Reason.SOC_UNREACHED)
    if moved.distance_kva(limited) > CLOSE_KVA:
        reasons.append(Reason.RAMP)
    if held.distance_kva(setpoint) > max(bounds.ramp_kva, _cut_kva(bounds)) + CLOSE_KVA:
        reasons.append(Reason.RAMP_EXCEEDED)
    if setpoint.distance_kva(moved) > CLOSE_KVA:
        reasons.append(Reason.TRUNCATED)
    return Gated(setpoint, tuple(reasons))


def _ramped(held: Power, target: Power, strip: Interval, bounds: Bounds) -> Power:
    """As far along the straight line to ``target`` (inside the limits) as the ramp allows.

    The margin that truncation may add is kept free.
    """
    cut_kva = _cut_kva(bounds)
    start = project(held, bounds.s_max_kva, strip)
    if start.s_kva > held.s_kva + CLOSE_KVA and held.distance_kva(start) > bounds.ramp_kva - cut_kva:
        start, target = project(held, bounds.s_max_kva, ANY), start
    budget_kva = max(bounds.ramp_kva - held.distance_kva(start), 0.0)
    if start.distance_kva(truncated(target, bounds.resolution_kw)) <= max(budget_kva, cut_kva) + CLOSE_KVA:
        return target
    return start.toward(target, max(budget_kva - cut_kva, 0.0) / start.distance_kva(target))


def _cut_kva(bounds: Bounds) -> float:
    """Largest change by truncation, and the smallest change that counts: √2 steps of the wire."""
    return sqrt(2) * bounds.resolution_kw
