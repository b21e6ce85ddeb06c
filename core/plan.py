"""The result of a coordination: signals, profiles and the prosumers' own plans."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from core.arrays import FloatArray
from core.prices import DemandProfile, PriceSignal
from core.time import TimeAxis

BATTERY, PV, LOAD = "battery", "pv", "load"
"""Kinds of resources with columns in plan.csv."""
SOC, AVAILABLE = "soc", "available_kw"
"""Series of a plan: state of charge at the END of each step; power that a PV plant could generate, kW."""
LOSS = "loss_kw"
"""Series of a plan: loss of the converter, kW; only of a resource whose converter loses anything."""
SERIES: Mapping[str, tuple[str, ...]] = {BATTERY: (SOC,), PV: (AVAILABLE,), LOAD: ()}
"""Series in the plan of a resource of each kind besides its demand."""


@dataclass(frozen=True)
class ResourcePlan:
    """Plan of one resource; arrays [T].

    Attributes:
        kind: such as ``battery``.
        p_kw, q_kvar: its part of the prosumer's demand, positive = consumption.
        series: other planned quantities, by a name with its unit; those of :data:`SERIES` are always present.
        unphysical_kw: largest power by which the plan violates the physics of the resource; 0 in a sound plan.
    """

    kind: str
    p_kw: FloatArray
    q_kvar: FloatArray
    series: Mapping[str, FloatArray]
    unphysical_kw: float = 0.0


@dataclass(frozen=True)
class ProsumerPlan:
    """One prosumer's own plan: its demand, kW and kvar, [T], and the plan of each of its resources, by name."""

    p_kw: FloatArray
    q_kvar: FloatArray
    resources: Mapping[str, ResourcePlan]

    @property
    def battery_kw(self) -> FloatArray:
        """Discharge of all batteries, kW, [T]."""
        return self._total([-plan.p_kw for plan in self.of_kind(BATTERY)])

    @property
    def battery_kvar(self) -> FloatArray:
        """Reactive power supplied by all batteries, kvar, [T]."""
        return self._total([-plan.q_kvar for plan in self.of_kind(BATTERY)])

    @property
    def pv_kw(self) -> FloatArray:
        """Generation of all PV plants, kW, [T]."""
        return self._total([-plan.p_kw for plan in self.of_kind(PV)])

    @property
    def pv_kvar(self) -> FloatArray:
        """Reactive power supplied by all PV plants, kvar, [T]."""
        return self._total([-plan.q_kvar for plan in self.of_kind(PV)])

    @property
    def pv_available_kw(self) -> FloatArray:
        """Power that the PV plants could generate, kW, [T]."""
        return self._total([plan.series[AVAILABLE] for plan in self.of_kind(PV)])

    @property
    def load_kw(self) -> FloatArray:
        """Active power of the inflexible loads, kW, [T]."""
        return self._total([plan.p_kw for plan in self.of_kind(LOAD)])

    @property
    def load_kvar(self) -> FloatArray:
        """Reactive power of the inflexible loads, kvar, [T]."""
        return self._total([plan.q_kvar for plan in self.of_kind(LOAD)])

    @property
    def soc(self) -> FloatArray | None:
        """State of charge of the battery at the END of each step, [T]; None without a battery.

        Raises:
            ValueError: there are several batteries.
        """
        (battery,) = self.of_kind(BATTERY) or (None,)
        return battery.series[SOC] if battery else None

    @property
    def simultaneous_kw(self) -> float:
        """Largest power with which a battery charges and discharges at once: 0, but for a plan of an older version."""
        return max((plan.unphysical_kw for plan in self.of_kind(BATTERY)), default=0.0)

    @property
    def loss_kw(self) -> FloatArray:
        """Loss of all converters, kW, [T]; the demand does not contain it."""
        return self._total([plan.series[LOSS] for plan in self.resources.values() if LOSS in plan.series])

    def of_kind(self, kind: str) -> tuple[ResourcePlan, ...]:
        """The resources of a kind, in order."""
        return tuple(plan for plan in self.resources.values() if plan.kind == kind)

    def _total(self, series: list[FloatArray]) -> FloatArray:
        return reduce(np.add, series) if series else np.zeros(len(self.p_kw))


@dataclass(frozen=True)
class Agreement:
    """A signal, with the profile that answered it."""

    signal: PriceSignal
    profile: DemandProfile


@dataclass(frozen=True)
class Plan:
    """Prices and plans of all prosumers by name, over ``axis``."""

    axis: TimeAxis
    agreements: Mapping[str, Agreement]
    prosumers: Mapping[str, ProsumerPlan]
