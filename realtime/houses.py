"""Passive houses: prosumers without a converter. What they draw is measured, where it can be, or assumed.

The meter at a node sees all that is connected there. With the demands p_c of the converters at the node, the house's
forecast f_h and n houses at the node, what the meter leaves over is theirs, and what the forecasts do not explain of it
is shared equally:

    p_h = f_h + (p_meter − Σ_c p_c − Σ_h f_h) / n
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from realtime.plane import ZERO, Power


@dataclass(frozen=True)
class HouseDemand:
    """Net demand of a passive house; not ``measured``: as forecast."""

    power: Power
    measured: bool


def attributed(
    meter: Power | None, converters: Sequence[Power | None], forecast: Mapping[str, Power]
) -> Mapping[str, HouseDemand]:
    """What each passive house at a node draws, by name.

    Args:
        meter: demand of the whole node; None without a reading. None for one of its ``converters`` likewise: then
            nothing can be told of the houses, and all are assumed to be as ``forecast``.
    """
    known = [power for power in converters if power is not None]
    if meter is None or len(known) < len(converters):
        return {name: HouseDemand(power, measured=False) for name, power in forecast.items()}
    drawn, expected, n = _sum(known), _sum(forecast.values()), len(forecast)
    p_kw = (meter.p_kw - drawn.p_kw - expected.p_kw) / n
    q_kvar = (meter.q_kvar - drawn.q_kvar - expected.q_kvar) / n
    return {
        name: HouseDemand(Power(power.p_kw + p_kw, power.q_kvar + q_kvar), measured=True)
        for name, power in forecast.items()
    }


def _sum(powers: Iterable[Power]) -> Power:
    total = ZERO
    for power in powers:
        total = Power(total.p_kw + power.p_kw, total.q_kvar + power.q_kvar)
    return total
