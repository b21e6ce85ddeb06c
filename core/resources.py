"""What stands behind a prosumer's meter: battery, curtailable PV, inflexible load (paper A, section 4.1).

A resource is data: what it can do, and what is expected of it over the T steps of a horizon.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from math import cos, pi, sqrt

import numpy as np

from core.arrays import FloatArray

DISC_EDGES = 32
"""Edges of the polygon inscribed in the capability disc; it keeps 99.5 % of the radius, always on the safe side."""


def inscribed_polygon(s_max_kva: float) -> tuple[FloatArray, float]:
    """Regular polygon in the disc p² + q² ≤ S²: unit normals n [edges, 2] and offset d (kVA), n·(p, q) ≤ d."""
    angle = 2 * pi * np.arange(DISC_EDGES) / DISC_EDGES
    return np.column_stack([np.cos(angle), np.sin(angle)]), s_max_kva * cos(pi / DISC_EDGES)


class Capability(StrEnum):
    """How the converter's capability b² + β² ≤ S² enters the optimisation."""

    BOX = "box"
    DISC = "disc"


@dataclass(frozen=True)
class Battery:
    """Battery with its converter. ``efficiency`` is the factor of charging and again of discharging, in (0, 1]."""

    s_max_kva: float
    energy_kwh: float
    soc_initial: float = 0.5
    soc_min: float = 0.1
    soc_max: float = 0.9
    soc_final_min: float | None = None
    efficiency: float = 1.0
    capability: Capability = Capability.BOX

    @property
    def power_box_kw(self) -> float:
        """(20c, 20d): half-width of the inner box, S/√2; of the disc, S."""
        return self.s_max_kva / sqrt(2) if self.capability is Capability.BOX else self.s_max_kva

    def disc_halfplanes(self) -> tuple[FloatArray, float]:
        """The capability disc as :func:`inscribed_polygon`, n·(b, β) ≤ d."""
        return inscribed_polygon(self.s_max_kva)

    def starting_at(self, soc: float) -> "Battery":
        """The same, starting from ``soc``, which moves into the band if it has left it."""
        return replace(self, soc_initial=min(max(soc, self.soc_min), self.soc_max))

    def within(self, soc_min: float, soc_max: float) -> "Battery":
        """The same with a narrower band; the initial and the final state of charge move into it."""
        final = None if self.soc_final_min is None else min(self.soc_final_min, soc_max)
        return replace(self, soc_min=soc_min, soc_max=soc_max, soc_final_min=final).starting_at(self.soc_initial)

    def after(self, _steps: int) -> "Battery":
        """The same when some steps have passed: nothing of it depends on them."""
        return self


@dataclass(frozen=True)
class Pv:
    """Curtailable photovoltaic plant; active power only (paper A, eq. 21). ``available_kw``: mean of each step, [T]."""

    peak_kw: float
    available_kw: FloatArray

    def after(self, steps: int) -> "Pv":
        """The same when the first ``steps`` steps have passed."""
        return replace(self, available_kw=self.available_kw[steps:])


@dataclass(frozen=True)
class Load:
    """Inflexible load: demand in kW and kvar, means of each step, [T]."""

    p_kw: FloatArray
    q_kvar: FloatArray

    def after(self, steps: int) -> "Load":
        """The same when the first ``steps`` steps have passed."""
        return Load(self.p_kw[steps:], self.q_kvar[steps:])


Resource = Battery | Pv | Load
"""What a site may have. A new kind is a class here, a section of the configuration and a block of :mod:`mpc`."""


@dataclass(frozen=True)
class Outlook:
    """Load and available PV of a site in all: arrays [T] in kW and kvar, means of each step."""

    load_kw: FloatArray
    load_kvar: FloatArray
    pv_available_kw: FloatArray
