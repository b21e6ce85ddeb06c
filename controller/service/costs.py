"""Cost of a day's energy so far, by prosumer: measured power at the retail tariff, from midnight on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from controller.service.prices import Price
from realtime.timing import CYCLE_S, S_PER_H

LONGEST = timedelta(seconds=2 * CYCLE_S)
"""A longer gap between two cycles is not filled, since the energy in it is unknown."""


@dataclass(frozen=True)
class Costs:
    """Net cost ``chf`` by prosumer; ``day`` is an ISO date, ``at`` the time of the last cycle."""

    day: str
    at: datetime
    chf: Mapping[str, float]

    @classmethod
    def none(cls, at: datetime) -> "Costs":
        """No cost yet; ``at`` is local time."""
        return cls(at.date().isoformat(), at, {})

    def after(self, at: datetime, p_kw: Mapping[str, float | None], prices: Mapping[str, Price]) -> "Costs":
        """Add the energy since the last cycle; a power or price that is unknown costs nothing."""
        if at.date() != date.fromisoformat(self.day):
            return Costs.none(at)
        hours = min(max(at - self.at, timedelta()), LONGEST).total_seconds() / S_PER_H
        drawn = {name: (p, prices[name]) for name, p in p_kw.items() if p is not None and name in prices}
        spent = {name: price.rate_chf_per_h(p) * hours for name, (p, price) in drawn.items()}
        return Costs(self.day, at, {**self.chf, **{name: self.chf.get(name, 0.0) + chf for name, chf in spent.items()}})
