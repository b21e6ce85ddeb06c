"""Geometry of the PQ plane: operations that keep a setpoint inside convex limits.

P and Q are never limited one after the other: clipping or ramping them separately could leave the circle. All functions
here expect finite numbers, because comparisons let NaN through: ``max(-15, min(15, nan))`` is 15.
"""

from dataclasses import dataclass
from math import ceil, copysign, floor, hypot, inf, isfinite, sqrt, trunc

SNAP = 1e-6
"""Share of a resolution step within which a number counts as a multiple of the resolution (rounding errors only)."""


@dataclass(frozen=True)
class Power:
    """A point of the PQ plane: net demand of a node, or a battery's discharge."""

    p_kw: float
    q_kvar: float

    @property
    def s_kva(self) -> float:
        """Apparent power √(p² + q²)."""
        return hypot(self.p_kw, self.q_kvar)

    @property
    def finite(self) -> bool:
        """Neither NaN nor infinite."""
        return isfinite(self.p_kw) and isfinite(self.q_kvar)

    def distance_kva(self, other: "Power") -> float:
        """|S − S'|."""
        return hypot(self.p_kw - other.p_kw, self.q_kvar - other.q_kvar)

    def toward(self, end: "Power", share: float) -> "Power":
        """The point at ``share`` in [0, 1] of the straight line to ``end``."""
        return Power(
            self.p_kw + share * (end.p_kw - self.p_kw),
            self.q_kvar + share * (end.q_kvar - self.q_kvar),
        )


ZERO = Power(0.0, 0.0)


@dataclass(frozen=True)
class Interval:
    """lower ≤ value ≤ upper, kW."""

    lower_kw: float = -inf
    upper_kw: float = inf

    def clip(self, value_kw: float) -> float:
        """The nearest value inside."""
        return min(max(value_kw, self.lower_kw), self.upper_kw)

    def scaled(self, share: float) -> "Interval":
        """Both ends multiplied by ``share`` > 0, or the point 0."""
        return Interval(share * self.lower_kw, share * self.upper_kw) if share > 0 else Interval(0.0, 0.0)

    def within(self, half_width_kw: float) -> "Interval":
        """Both ends limited to ± ``half_width_kw``."""
        inner = Interval(-half_width_kw, half_width_kw)
        return Interval(inner.clip(self.lower_kw), inner.clip(self.upper_kw))

    def on_grid(self, resolution_kw: float) -> "Interval":
        """Ends moved inward to multiples of the resolution, so that truncation toward zero cannot leave the interval.

        An interval without such a multiple becomes the multiple nearest to its middle.
        """
        lower = self.lower_kw if not isfinite(self.lower_kw) else ceil(self.lower_kw / resolution_kw - SNAP)
        upper = self.upper_kw if not isfinite(self.upper_kw) else floor(self.upper_kw / resolution_kw + SNAP)
        if lower > upper:
            lower = upper = round((self.lower_kw + self.upper_kw) / 2 / resolution_kw)
        return Interval(lower * resolution_kw, upper * resolution_kw)


ANY = Interval()


def project(point: Power, radius_kva: float, p: Interval) -> Power:
    """Nearest point of {|S| ≤ radius} ∩ {p.lower ≤ P ≤ p.upper}; if it is empty, the disc's point nearest to the strip.

    The projection on the disc alone is radial. If it leaves the strip, the result lies on the strip's edge (from any
    point inside the strip the line to the radial projection would stay in the disc and come closer), and Q is clipped
    to what the disc leaves.
    """
    shrink = radius_kva / point.s_kva if point.s_kva > radius_kva else 1.0
    nearest = Power(shrink * point.p_kw, shrink * point.q_kvar)
    p = p.within(radius_kva)
    if p.lower_kw <= nearest.p_kw <= p.upper_kw:
        return nearest
    p_kw = p.clip(nearest.p_kw)
    q_max = sqrt(max(radius_kva**2 - p_kw**2, 0.0))
    return Power(p_kw, Interval(-q_max, q_max).clip(point.q_kvar))


def truncated(point: Power, resolution_kw: float) -> Power:
    """Each coordinate rounded toward zero to a multiple of the resolution: |S| never grows."""
    return Power(_truncated(point.p_kw, resolution_kw), _truncated(point.q_kvar, resolution_kw))


def _truncated(value: float, resolution: float) -> float:
    steps = value / resolution
    return trunc(steps + copysign(SNAP, steps)) * resolution
