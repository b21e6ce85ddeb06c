"""Dispatch of one net power to several converters: the problem of paper D, solved in closed form, for P and then for Q.

Each converter c is a resource whose input is its power in the direction of the target t ≥ 0 (for t < 0 all signs
change), within what it can reach in this cycle; its priority S is its own cost per kW, of which only the order counts:

    min  w |Σ_c x_c − t| + Σ_c S_c x_c    s.t.  lower_c ≤ x_c ≤ upper_c ,   0 ≤ lower_c where the ramp allows it
    w > max S − min S:  the target comes before any preference

The optimum fills the least S up to its limits before the next one. Among equals it is not unique; of all optima we take
the one with equal loading ℓ, which needs no iteration, since the sum is piecewise linear in ℓ:

    x_c = clip(ℓ s_max_c, lower_c, upper_c),   Σ_c x_c = the rest of t                                         (level)

So no converter works against another one, and :func:`mpc.coordination.dispatch.solve.dispatch` finds no better sum.

P and Q share the circle of the capability. P is dispatched first, Q within what P leaves. Where Q is then not reached,
P moves from the preferred division p toward the balanced one p', no further than Q needs:

    p(θ) = (1 − θ) p + θ p' ,   the least θ in [0, 1] whose Q is reached, else 1                           (balance)

p' divides without preferences, after Q; after nothing where P would be missed after Q: P comes first. The circle of the
ramp is replaced by the square inside it, so that P and Q may move together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from math import inf, sqrt

from realtime.plane import ZERO, Interval, Power

NEAR_KW = 1e-6
"""A sum this near to the target reaches it."""
HALVINGS = 14
"""Steps of the search for θ: P then moves by at most 6e-5 of the way too far."""


@dataclass(frozen=True)
class Reach:
    """What a converter can do in this cycle.

    Attributes:
        s_max_kva: present capability, deratings included; ≥ 0.
        held, ramp_kva: setpoint in the device, and how far the ramp allows to move from it.
        reactive: whether it can draw or supply reactive power.
        priority: the lowest is used first.
    """

    s_max_kva: float
    held: Power = ZERO
    ramp_kva: float = inf
    reactive: bool = True
    priority: float = 0.0

    @property
    def way_kva(self) -> float:
        """How far P and Q may move, each."""
        return self.ramp_kva / sqrt(2)

    def active(self, q_kvar: float | None = None) -> Interval:
        """Range of P that this Q leaves; None: the Q nearest to 0 that the ramp allows."""
        least_kvar = max(abs(self.held.q_kvar) - self.way_kva, 0.0) if self.reactive else 0.0
        return self._range(self.held.p_kw, least_kvar if q_kvar is None else q_kvar)

    def reactive_range(self, p_kw: float | None = None) -> Interval:
        """Range of Q that this P leaves; None: the P nearest to 0 that the ramp allows."""
        least_kw = max(abs(self.held.p_kw) - self.way_kva, 0.0)
        across = least_kw if p_kw is None else p_kw
        return self._range(self.held.q_kvar, across) if self.reactive else Interval(0.0, 0.0)

    def _range(self, held: float, across: float) -> Interval:
        half = sqrt(max(self.s_max_kva**2 - across**2, 0.0))
        inside = Interval(-half, half)
        return Interval(inside.clip(held - self.way_kva), inside.clip(held + self.way_kva))


def spread(target: Power, reaches: Mapping[str, Reach]) -> Mapping[str, Power]:
    """The part of each converter, by name; their sum is the target, or P and then Q come as near to it as they can."""
    preferred = _active(target.p_kw, reaches, {})
    parts = _with_reactive(target.q_kvar, preferred, reaches)
    if _reached(target.q_kvar, [part.q_kvar for part in parts.values()]):
        return parts
    balanced = _balanced(target, sum(preferred.values()), reaches)
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        parts = _with_reactive(target.q_kvar, _between(preferred, balanced, middle), reaches)
        if _reached(target.q_kvar, [part.q_kvar for part in parts.values()]):
            high = middle
        else:
            low = middle
    return _with_reactive(target.q_kvar, _between(preferred, balanced, high), reaches)


def dispatched(target: float, ranges: Mapping[str, Interval], reaches: Mapping[str, Reach]) -> Mapping[str, float]:
    """The dispatch of P or Q (kW or kvar), within the ranges of the converters."""
    if target < 0:
        mirrored = {name: Interval(-one.upper_kw, -one.lower_kw) for name, one in ranges.items()}
        return {name: -x for name, x in dispatched(-target, mirrored, reaches).items()}
    forward = {name: Interval(one.clip(0.0), one.upper_kw) for name, one in ranges.items()}
    parts = {name: one.lower_kw for name, one in forward.items()}
    for _, names in groupby(sorted(parts, key=lambda c: reaches[c].priority), key=lambda c: reaches[c].priority):
        equals = list(names)
        rest = target - sum(x for name, x in parts.items() if name not in equals)
        parts |= _level(rest, {name: (reaches[name].s_max_kva, forward[name]) for name in equals})
    return parts


def total(parts: Mapping[str, Power]) -> Power:
    """Σ of the parts."""
    return Power(sum(part.p_kw for part in parts.values()), sum(part.q_kvar for part in parts.values()))


def _active(p_kw: float, reaches: Mapping[str, Reach], q_kvar: Mapping[str, float]) -> Mapping[str, float]:
    """The dispatch of P, within what the given Q leave."""
    return dispatched(p_kw, {name: one.active(q_kvar.get(name)) for name, one in reaches.items()}, reaches)


def _with_reactive(q_kvar: float, active: Mapping[str, float], reaches: Mapping[str, Reach]) -> Mapping[str, Power]:
    """The dispatch of Q, within what the given P leave."""
    parts = dispatched(q_kvar, {name: one.reactive_range(active[name]) for name, one in reaches.items()}, reaches)
    return {name: Power(active[name], parts[name]) for name in reaches}


def _balanced(target: Power, carried_kw: float, reaches: Mapping[str, Reach]) -> Mapping[str, float]:
    """P without preferences, after Q if it then still is ``carried_kw``."""
    equals = {name: replace(one, priority=0.0) for name, one in reaches.items()}
    q_kvar = dispatched(target.q_kvar, {name: one.reactive_range() for name, one in equals.items()}, equals)
    after_q = _active(target.p_kw, equals, q_kvar)
    return after_q if _reached(carried_kw, list(after_q.values())) else _active(target.p_kw, equals, {})


def _between(one: Mapping[str, float], other: Mapping[str, float], share: float) -> Mapping[str, float]:
    return {name: x + share * (other[name] - x) for name, x in one.items()}


def _reached(target: float, parts: list[float]) -> bool:
    return abs(sum(parts) - target) <= NEAR_KW


def _level(rest: float, equals: Mapping[str, tuple[float, Interval]]) -> Mapping[str, float]:
    """The parts of (level) whose sum is ``rest``, else as near as the ranges allow; by name: (s_max, range)."""
    usable = {name: pair for name, pair in equals.items() if pair[0] > 0}

    def parts(loading: float) -> dict[str, float]:
        return {name: one.clip(loading * s_max) for name, (s_max, one) in usable.items()}

    bends = sorted({end / s_max for s_max, one in usable.values() for end in (one.lower_kw, one.upper_kw)})
    sums = [sum(parts(bend).values()) for bend in bends]
    if not bends or rest <= sums[0]:
        return parts(bends[0]) if bends else {}
    for (low, below), (high, above) in pairwise(zip(bends, sums, strict=True)):
        if rest <= above:
            return parts(low + (high - low) * (rest - below) / (above - below))
    return parts(bends[-1])
