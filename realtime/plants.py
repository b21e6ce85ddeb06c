"""PV plants behind a node: which part of the output each has, and the reactive power that their inverters leave.

With the output g of all plants, the share s_j of plant j and its rating S_j:

    |γ_j| ≤ √(S_j² − (s_j g)²)   or  S_j/√2 (box);  0 without a rating                     room of plant j
    γ = Σ γ_j ,  each the same share of its room, at most Γ(g) = Σ rooms

If the output changes within a cycle, the shares s_j stay.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from core.resources import Capability
from realtime.plane import Interval


@dataclass(frozen=True)
class Inverter:
    """Inverter of a PV plant; with ``s_max_kva`` None it has no reactive power and no limit."""

    s_max_kva: float | None = None
    capability: Capability = Capability.DISC

    def room_kvar(self, output_kw: float) -> float:
        """Largest reactive power at this output."""
        return 0.0 if self.s_max_kva is None else self.capability.reactive_kvar(self.s_max_kva, output_kw)

    def most_kw(self, q_kvar: float) -> float:
        """Largest output at this reactive power: a circle and a square look the same from both axes."""
        return inf if self.s_max_kva is None else self.capability.reactive_kvar(self.s_max_kva, q_kvar)

    def scaled(self, share: float) -> "Inverter":
        """A part with that share of the rating."""
        return self if self.s_max_kva is None else replace(self, s_max_kva=share * self.s_max_kva)


@dataclass(frozen=True)
class Plants:
    """The plants of a node in one cycle; ``split`` are their shares of the output, which add up to 1."""

    inverters: tuple[Inverter, ...] = ()
    split: tuple[float, ...] = ()

    def reactive(self, pv_kw: float) -> Interval:
        """Range of their reactive power (kvar) at the output ``pv_kw`` of all."""
        room_kvar = sum(self._rooms(pv_kw))
        return Interval(-room_kvar, room_kvar)

    def most_kw(self, pv_kw: float, q_kvar: float) -> float:
        """Largest output of all that keeps the reactive power ``q_kvar``, as it is divided at the output ``pv_kw``."""
        rooms = self._rooms(pv_kw)
        used = min(abs(q_kvar) / sum(rooms), 1.0) if sum(rooms) > 0 else 0.0
        limits = (
            inverter.most_kw(used * room) / share
            for inverter, room, share in zip(self.inverters, rooms, self.split, strict=True)
            if share > 0
        )
        return max(min(limits, default=inf), pv_kw)

    def scaled(self, share: float) -> "Plants":
        """A part with that share of every plant."""
        return Plants(tuple(inverter.scaled(share) for inverter in self.inverters), self.split)

    def _rooms(self, pv_kw: float) -> list[float]:
        return [one.room_kvar(share * pv_kw) for one, share in zip(self.inverters, self.split, strict=True)]


def shares_of(parts: Sequence[float]) -> tuple[float, ...]:
    """Each part's share of the sum; equal shares of nothing."""
    total = sum(parts)
    return tuple(part / total if total > 0 else 1 / len(parts) for part in parts)
