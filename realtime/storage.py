"""Powers that a battery's state of charge allows: the constraint of (26) as a range of power.

With the discharge b (kW), capacity E (kWh), efficiency η of each direction and h hours ahead

    soc(h) = soc − b h/(η E)  for b ≥ 0,      soc − η b h/E  for b < 0
    soc_min ≤ soc(h) ≤ soc_max    ⇔    −(soc_max − soc) E/(η h) ≤ b ≤ (soc − soc_min) η E/h
"""

from dataclasses import dataclass

from core.resources import Battery
from realtime.plane import Interval

RETURN_H = 1 / 6
"""Time within which a battery returns from the reserve at an end of its band."""


@dataclass(frozen=True)
class SocRange:
    """Possible states of charge, low ≤ soc ≤ high; a discharge must be safe at ``low``, a charge at ``high``."""

    low: float
    high: float

    def widened(self, by: float) -> "SocRange":
        """The range with a further uncertainty on both sides."""
        return SocRange(self.low - by, self.high + by)


@dataclass(frozen=True)
class Storage:
    """A battery with its present state of charge (best estimate), and the range of discharge that it allows."""

    battery: Battery
    soc: float
    allowed: Interval

    def scaled(self, share: float) -> "Storage":
        """A part with that share of power, energy and range."""
        return Storage(self.battery.scaled(share), self.soc, self.allowed.scaled(share))


def soc_change(battery: Battery, battery_kw: float, hours: float) -> float:
    """Change of the state of charge by the constant discharge ``battery_kw`` over ``hours``."""
    factor = 1 / battery.efficiency if battery_kw > 0 else battery.efficiency
    return -battery_kw * factor * hours / battery.energy_kwh


def usable_band(battery: Battery, reserve: float) -> tuple[float, float]:
    """Lowest and highest state of charge without the reserve at both ends, which is at most a quarter of the band."""
    kept = min(reserve, (battery.soc_max - battery.soc_min) / 4)
    return battery.soc_min + kept, battery.soc_max - kept


def inward(battery: Battery, soc: float, reserve: float, allowed: Interval) -> Interval:
    """Reduce ``allowed`` if the state of charge has drifted into the reserve at an end, so that it returns.

    Noise of the measurement is booked as energy, so the account of a battery at rest drifts. The power that leads back
    out of the reserve within :data:`RETURN_H` (30 W for 0.2 % of 2.5 kWh) stops it; a larger drift counts as the
    reserve.
    """
    low, high = usable_band(battery, reserve)
    kw_per_soc = battery.energy_kwh / RETURN_H
    above = min(soc - high, reserve) * kw_per_soc
    below = min(low - soc, reserve) * kw_per_soc
    return Interval(
        min(above, allowed.upper_kw) if above > 0 else allowed.lower_kw,
        max(-below, allowed.lower_kw) if below > 0 else allowed.upper_kw,
    )


def allowed_power(battery: Battery, soc: SocRange, hours: float) -> Interval:
    """Discharge (kW) that keeps every state of charge of ``soc`` in its band for ``hours``; always contains 0.

    Outside its band the battery may move toward it but is not forced to: full power against the target would trade a
    small error of the account for a real one in the grid.

    Raises:
        ValueError: ``hours`` is not positive, or a bound is not a number.
    """
    if not hours > 0 or not soc.low <= soc.high:
        raise ValueError(f"no power range for soc {soc.low} … {soc.high} over {hours} h")
    kw_per_soc = battery.energy_kwh / hours
    discharge = max(soc.low - battery.soc_min, 0.0) * kw_per_soc * battery.efficiency
    charge = max(battery.soc_max - soc.high, 0.0) * kw_per_soc / battery.efficiency
    return Interval(-charge, discharge)
