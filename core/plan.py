"""What coordination leaves behind: prices, profiles, and how well both are known to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from core.arrays import FloatArray
from core.prices import DemandProfile, PriceSignal
from core.time import TimeAxis

BATTERY, PV, LOAD = "battery", "pv", "load"
"""Kinds of resources that plan.csv has columns for."""
SOC, AVAILABLE = "soc", "available_kw"
"""Series of a plan: state of charge at the END of each step; power that a PV plant could generate, kW."""
SERIES: Mapping[str, tuple[str, ...]] = {BATTERY: (SOC,), PV: (AVAILABLE,), LOAD: ()}
"""What the plan of a resource of each kind has besides its demand."""
SIMULTANEOUS_VISIBLE_KW = 1e-3
"""Charging and discharging at once by more than this is worth a warning."""


@dataclass(frozen=True)
class ResourcePlan:
    """What one resource is planned to do; arrays [T].

    Attributes:
        kind: what it is, such as ``battery``.
        p_kw, q_kvar: its part of the prosumer's demand, positive = consumption.
        series: what else is planned, by a name with its unit; :data:`SERIES` has those that are always there.
        unphysical_kw: largest power by which the plan does what no real resource can; 0 in a sound plan.
    """

    kind: str
    p_kw: FloatArray
    q_kvar: FloatArray
    series: Mapping[str, FloatArray]
    unphysical_kw: float = 0.0


@dataclass(frozen=True)
class ProsumerPlan:
    """One prosumer's own plan: its demand, [T], and what each of its resources does, by name."""

    p_kw: FloatArray
    q_kvar: FloatArray
    resources: Mapping[str, ResourcePlan]

    @property
    def battery_kw(self) -> FloatArray:
        """Discharge of all batteries, [T]."""
        return self._total([-plan.p_kw for plan in self.of_kind(BATTERY)])

    @property
    def battery_kvar(self) -> FloatArray:
        """Reactive power that the batteries give, [T]."""
        return self._total([-plan.q_kvar for plan in self.of_kind(BATTERY)])

    @property
    def pv_kw(self) -> FloatArray:
        """Generation of all PV plants, [T]."""
        return self._total([-plan.p_kw for plan in self.of_kind(PV)])

    @property
    def pv_available_kw(self) -> FloatArray:
        """What the PV plants could generate, [T]."""
        return self._total([plan.series[AVAILABLE] for plan in self.of_kind(PV)])

    @property
    def load_kw(self) -> FloatArray:
        """Active power of the inflexible loads, [T]."""
        return self._total([plan.p_kw for plan in self.of_kind(LOAD)])

    @property
    def load_kvar(self) -> FloatArray:
        """Reactive power of the inflexible loads, [T]."""
        return self._total([plan.q_kvar for plan in self.of_kind(LOAD)])

    @property
    def soc(self) -> FloatArray | None:
        """State of charge of the battery at the END of each step, [T]; None without one.

        Raises:
            ValueError: there are several batteries.
        """
        (battery,) = self.of_kind(BATTERY) or (None,)
        return battery.series[SOC] if battery else None

    @property
    def simultaneous_kw(self) -> float:
        """Largest power that a battery charges and discharges at once; 0 in a sound plan.

        An efficiency below 1 turns it into waste heat, which a negative price can reward.
        """
        return max((plan.unphysical_kw for plan in self.of_kind(BATTERY)), default=0.0)

    def of_kind(self, kind: str) -> tuple[ResourcePlan, ...]:
        """The resources of a kind, in order."""
        return tuple(plan for plan in self.resources.values() if plan.kind == kind)

    def _total(self, series: list[FloatArray]) -> FloatArray:
        return reduce(np.add, series) if series else np.zeros(len(self.p_kw))


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
