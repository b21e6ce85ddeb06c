"""Resources behind a prosumer's meter: battery, curtailable PV, inflexible load (paper A, section 4.1).

A resource is data: its ratings, and its expected series over the T steps of a horizon.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from math import cos, inf, pi, sqrt

import numpy as np

from core.arrays import FloatArray

DISC_EDGES = 32
"""Edges of the polygon inscribed in the capability disc; it keeps 99.5 % of the radius and never exceeds it."""

LEAD_BACK = 0.5
"""Share of a battery's power that leads a state of charge outside the band back into it."""
BESIDE_BAND = 0.005
"""A state of charge outside by less is one at the edge: the 30 s layer keeps a reserve of 0.002 there."""


def inscribed_polygon(s_max_kva: float) -> tuple[FloatArray, float]:
    """Regular polygon in the disc p² + q² ≤ S²: unit normals n [edges, 2] and offset d (kVA), n·(p, q) ≤ d.

    It has corners at (±S, 0) and (0, ±S), so full active power costs nothing.
    """
    angle = 2 * pi * (np.arange(DISC_EDGES) + 0.5) / DISC_EDGES
    return np.column_stack([np.cos(angle), np.sin(angle)]), s_max_kva * cos(pi / DISC_EDGES)


def loss_kw(loss_rel: float, s_max_kva: float, p_kw: FloatArray, q_kvar: FloatArray) -> FloatArray:
    """Loss of a converter that passes (p, q): ℓ (p² + q²)/S, kW; ℓ S at full power."""
    return np.asarray(loss_rel * (p_kw**2 + q_kvar**2) / s_max_kva)


class Capability(StrEnum):
    """How the converter's capability b² + β² ≤ S² enters the optimisation: as its inner box, or as the disc."""

    BOX = "box"
    DISC = "disc"

    def box_kva(self, s_max_kva: float) -> float:
        """Largest active and largest reactive power: half-width of the inner box, S/√2, or radius S of the disc."""
        return s_max_kva / sqrt(2) if self is Capability.BOX else s_max_kva

    def reactive_kvar(self, s_max_kva: float, p_kw: float) -> float:
        """Largest reactive power at the active power ``p_kw``."""
        if self is Capability.BOX:
            return self.box_kva(s_max_kva)
        return sqrt(max(s_max_kva**2 - p_kw**2, 0.0))


@dataclass(frozen=True)
class Battery:
    """Battery with its converter.

    Attributes:
        efficiency: in (0, 1], of charging and again of discharging: what the state of charge loses.
        loss_rel: ℓ, share of the rating that the converter loses at full power, :func:`loss_kw`; it is priced, and the
            state of charge does not contain it.
        wear_chf_per_kwh: cost of a kWh that is charged or discharged.
        lead_kw: power that leads a state of charge outside the band back, [T]; None: ``LEAD_BACK`` of the largest.
    """

    s_max_kva: float
    energy_kwh: float
    soc_initial: float = 0.5
    soc_min: float = 0.1
    soc_max: float = 0.9
    soc_final_min: float | None = None
    efficiency: float = 1.0
    capability: Capability = Capability.BOX
    loss_rel: float = 0.0
    wear_chf_per_kwh: float = 0.0
    lead_kw: FloatArray | None = None

    @property
    def power_box_kw(self) -> float:
        """Largest |b| and |β|: half-width of the inner box (20c, 20d), S/√2, or radius S of the disc."""
        return self.capability.box_kva(self.s_max_kva)

    def loss_kw(self, battery_kw: FloatArray, battery_kvar: FloatArray) -> FloatArray:
        """Loss of the converter at the discharge b and the reactive power β, kW, [T]."""
        return loss_kw(self.loss_rel, self.s_max_kva, battery_kw, battery_kvar)

    def scaled(self, share: float) -> "Battery":
        """A part with that share of power and energy, and the same states of charge."""
        return replace(self, s_max_kva=share * self.s_max_kva, energy_kwh=share * self.energy_kwh)

    def disc_halfplanes(self) -> tuple[FloatArray, float]:
        """The capability disc as :func:`inscribed_polygon`, n·(b, β) ≤ d in kVA."""
        return inscribed_polygon(self.s_max_kva)

    def soc_band(self, steps: int, dt_h: float) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest state of charge at the end of each step, [T].

        From an initial state outside the band, they lead back into it with ``lead_kw``, or ``LEAD_BACK`` of the
        largest power.
        """
        lead_kw = np.full(steps, LEAD_BACK * self.power_box_kw) if self.lead_kw is None else self.lead_kw
        led = np.cumsum(lead_kw) * dt_h / self.energy_kwh
        floor = np.minimum(self.soc_min, self.soc_initial + self.efficiency * led)
        if self.soc_final_min is not None:
            floor[-1] = max(floor[-1], self.soc_final_min)
        return floor, np.maximum(self.soc_max, self.soc_initial - led)

    def starting_at(self, soc: float) -> "Battery":
        """The battery starting from ``soc``, moved into its band if it is outside by no more than ``BESIDE_BAND``."""
        inside = min(max(soc, self.soc_min), self.soc_max)
        return replace(self, soc_initial=inside if abs(soc - inside) <= BESIDE_BAND else soc)

    def within(self, soc_min: float, soc_max: float) -> "Battery":
        """The battery with a narrower band; the initial and the final state of charge move into it."""
        final = None if self.soc_final_min is None else min(self.soc_final_min, soc_max)
        return replace(self, soc_min=soc_min, soc_max=soc_max, soc_final_min=final).starting_at(self.soc_initial)

    def after(self, steps: int) -> "Battery":
        """The battery without its first ``steps`` steps."""
        return self if self.lead_kw is None else replace(self, lead_kw=self.lead_kw[steps:])


@dataclass(frozen=True)
class Pv:
    """Curtailable photovoltaic plant (paper A, eq. 21), and the reactive power of its inverter.

    Attributes:
        available_kw: mean of each step, at most :attr:`power_box_kw`, [T].
        loss_rel: ℓ, share of the rating that the inverter loses at full power, :func:`loss_kw`.
        s_max_kva: rating of the inverter; None: it supplies active power only.
        capability: how the rating enters the optimisation.
    """

    peak_kw: float
    available_kw: FloatArray
    loss_rel: float = 0.0
    s_max_kva: float | None = None
    capability: Capability = Capability.DISC

    @property
    def rating_kva(self) -> float:
        """Rating S of the inverter; the peak power where it is not given."""
        return self.peak_kw if self.s_max_kva is None else self.s_max_kva

    @property
    def power_box_kw(self) -> float:
        """Largest output that the inverter allows; infinite without a rating."""
        return inf if self.s_max_kva is None else self.capability.box_kva(self.s_max_kva)

    @property
    def reactive_box_kvar(self) -> float:
        """Largest reactive power at any output; 0 without a rating."""
        return 0.0 if self.s_max_kva is None else self.power_box_kw

    def loss_kw(self, output_kw: FloatArray, output_kvar: FloatArray) -> FloatArray:
        """Loss of the inverter, kW, [T]."""
        return loss_kw(self.loss_rel, self.rating_kva, output_kw, output_kvar)

    def after(self, steps: int) -> "Pv":
        """The plant without its first ``steps`` steps."""
        return replace(self, available_kw=self.available_kw[steps:])


@dataclass(frozen=True)
class Load:
    """Inflexible load: demand in kW and kvar, means of each step, [T]."""

    p_kw: FloatArray
    q_kvar: FloatArray

    def after(self, steps: int) -> "Load":
        """The load without its first ``steps`` steps."""
        return Load(self.p_kw[steps:], self.q_kvar[steps:])


Resource = Battery | Pv | Load
"""All kinds of resources. A new kind is a class here, a section of the configuration and a block of :mod:`mpc`."""


@dataclass(frozen=True)
class Outlook:
    """Sums of load and available PV of a site: means of each step in kW and kvar, each [T].

    ``plants_kw`` is the available power of each PV plant; empty: nothing is known but the sum.
    """

    load_kw: FloatArray
    load_kvar: FloatArray
    pv_available_kw: FloatArray
    plants_kw: tuple[FloatArray, ...] = ()
