"""What coordination leaves behind: prices, profiles, and how well both are known to be."""

from collections.abc import Mapping
from dataclasses import dataclass

from core.arrays import FloatArray
from core.prices import DemandProfile, PriceSignal
from core.time import TimeAxis

SIMULTANEOUS_VISIBLE_KW = 1e-3
"""Charging and discharging at once by more than this is worth a warning."""


@dataclass(frozen=True)
class ProsumerPlan:
    """One prosumer's own plan; arrays [T]. ``soc`` is at the END of each step, None without a battery.

    ``simultaneous_kw`` is the largest power that the battery charges and discharges at once: an efficiency below 1
    turns that into waste heat, which a negative price can reward. No real battery does it; 0 in a sound plan.
    """

    p_kw: FloatArray
    q_kvar: FloatArray
    battery_kw: FloatArray
    battery_kvar: FloatArray
    pv_kw: FloatArray
    pv_available_kw: FloatArray
    load_kw: FloatArray
    load_kvar: FloatArray
    soc: FloatArray | None
    simultaneous_kw: float


@dataclass(frozen=True)
class Agreement:
    """The signal that was sent, with the profile that answered it."""

    signal: PriceSignal
    profile: DemandProfile


@dataclass(frozen=True)
class Plan:
    """Prices and plans of all prosumers by name, over ``axis``."""

    axis: TimeAxis
    agreements: Mapping[str, Agreement]
    prosumers: Mapping[str, ProsumerPlan]
